"""Tests that prompts are reduced to characters of the fonts, wrapped, cut, and drawn legibly in all alphabets."""

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from odyssey_mock.media.fonts import FontSet, bundled_fonts, is_joiner
from odyssey_mock.media.lettering import Digits, Lettering
from tests.support.fonts import require_fonts

BUNDLED = Lettering(20, bundled_fonts())
INK = (255, 255, 255, 255)


def letters(text: str, fonts: FontSet, *, size: int = 40, is_rtl: bool = False) -> NDArray[np.uint8]:
    """Draw white text on a black image; return the part of the image that contains the text, as RGB."""
    lettering = Lettering(size, fonts)
    image = Image.new("RGBA", (1200, 120), (0, 0, 0, 255))
    lettering.draw(image, 20, 20, lettering.readable(text), INK, right=1180 if is_rtl else None)
    box = image.convert("RGB").getbbox()
    assert box is not None, f"expected {text!r} to be visible, got a black image"
    return np.asarray(image.convert("RGB").crop(box))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  a\n\tcat  ", "a cat"),
        ("Ünïcödé Straße — Łódź", "Unicode Strasse - Lodz"),
        ("zero\u200bwidth\u202e\x00\x07", "zerowidth"),
        ("cat\r\x1b \x1b", "cat"),
        ("lone \ud800 surrogate", "lone U+D800 surrogate"),
        ("日本 cat", "U+65E5 U+672C cat"),
        ("cat🐈cat", "cat U+1F408 cat"),
        ("👩\u200d🚀", "U+1F469 U+1F680"),
        ("\uff21 \u00bd", "A 1\u20442"),
        ("a\ufe0f \ufe0f\u00a9\ufe0f", "a \u00a9"),
        ("", ""),
        (" \u200d ", ""),
        ("a\u3164cat\uffa0\u115f\u1160", "a cat"),
    ],
)
def test_text_is_reduced_to_printable_characters(text: str, shown: str) -> None:
    assert BUNDLED.readable(text) == shown


@given(text=st.text(max_size=200))
def test_readable_text_is_read_again_unchanged(text: str) -> None:
    shown = BUNDLED.readable(text)
    assert BUNDLED.readable(shown) == shown


def test_long_text_is_cut_before_it_is_measured() -> None:
    assert len(BUNDLED.readable("snow " * 200_000)) <= 600
    assert len(BUNDLED.readable("\u4e2d" * 200_000)) < 620


@given(text=st.text(max_size=200), width=st.integers(80, 600), lines=st.integers(1, 4))
@settings(max_examples=80)
def test_wrapped_lines_fit_the_panel(text: str, width: int, lines: int) -> None:
    wrapped = BUNDLED.wrap(BUNDLED.readable(text), width, lines)
    assert len(wrapped) <= lines
    assert all(BUNDLED.length(line) <= width for line in wrapped)


@pytest.mark.parametrize("width", [70, 160, 600])
@pytest.mark.parametrize(
    "text",
    ["👩" + "\u200d🚀" * 250, "👍" + "🏽" * 250, "क" + "\u093e" * 300, "a" + "\u0301" * 300, "ก" + "\u0e33" * 300],
)
def test_endless_clusters_fit_the_panel(text: str, width: int) -> None:
    lettering = Lettering(20, require_fonts())
    wrapped = lettering.wrap(lettering.readable(text), width, 4)
    widths = [lettering.length(line) for line in [*wrapped, lettering.ellipsised(lettering.readable(text), width)]]
    assert max(widths) <= width, f"expected lines of at most {width} pixels, got {widths}"
    # A joiner at the start of a line would be drawn as a box.
    assert not any(is_joiner(line[0]) for line in wrapped)


@given(words=st.lists(st.text("abcdefghij", min_size=1, max_size=12), max_size=30))
@settings(max_examples=60)
def test_wrapping_keeps_words_whole_and_in_order(words: list[str]) -> None:
    wrapped = BUNDLED.wrap(" ".join(words), 200, 4)
    shown = " ".join(wrapped)
    if shown.endswith("…"):
        assert " ".join(words).startswith(shown.removesuffix("…").rstrip())
    else:
        assert shown.split() == words


def test_word_wider_than_the_panel_is_broken() -> None:
    wrapped = BUNDLED.wrap("m" * 40, 200, 9)
    assert len(wrapped) > 1
    assert "".join(wrapped) == "m" * 40


def test_only_a_long_line_is_cut() -> None:
    assert BUNDLED.ellipsised("short", 300) == "short"
    cut = BUNDLED.ellipsised("a rather long line of text", 100)
    assert cut.endswith("…")
    assert BUNDLED.length(cut) <= 100


def test_lines_of_chinese_break_without_spaces() -> None:
    lettering = Lettering(20, require_fonts())
    wrapped = lettering.wrap("窗台上的猫看着雨，夜色很深，" * 2, 150, 9)
    assert "".join(wrapped) == "窗台上的猫看着雨，夜色很深，" * 2
    assert all(100 < lettering.length(line) <= 150 for line in wrapped[:-1])
    assert not any(line.startswith("，") for line in wrapped)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("窗", "猫"),
        ("か", "の"),
        ("한", "글"),
        ("ق", "ط"),
        ("א", "ב"),
        ("क", "ख"),
        ("ก", "ข"),
        ("Ж", "Щ"),
        ("Ω", "Σ"),
        ("🐈", "🚀"),
        ("é", "ó"),
    ],
)
def test_characters_of_every_script_are_drawn(one: str, other: str) -> None:
    fonts = require_fonts()
    drawn, another = letters(one, fonts), letters(other, fonts)
    assert drawn.shape != another.shape or (drawn != another).any(), (
        f"expected {one} and {other} to look different, got equal images"
    )
    for font in {fonts.font_of(one), fonts.font_of(other)}:
        assert font is not None
        box = font.at(40).font.getmask("\U0010ffff")
        for shown in (drawn, another):
            assert shown.shape[:2] != box.size[::-1], "expected a character, got the box for missing characters"


def test_arabic_letters_are_joined_from_right_to_left() -> None:
    fonts = require_fonts()
    joined, apart = letters("سلام", fonts), letters("س ل ا م", fonts)
    assert joined.shape[1] < 0.75 * apart.shape[1], (
        f"expected joined letters to be narrower than 75 % of separate ones, which are {apart.shape[1]} pixels wide, "
        f"got a width of {joined.shape[1]}"
    )


def ink(drawn: NDArray[np.uint8]) -> list[int]:
    """Return the sum of each column of pixels."""
    return [int(column) for column in drawn.astype(int).sum(axis=(0, 2))]


def test_hebrew_letters_run_from_right_to_left() -> None:
    fonts = require_fonts()
    first, word = ink(letters("א", fonts)), ink(letters("אבג", fonts))
    assert word[-len(first) :] == first, (
        f"expected the first letter at the right end of the word, {first}; got {word[-len(first) :]}"
    )


def test_devanagari_letters_are_combined() -> None:
    fonts = require_fonts()
    assert letters("क्षि", fonts).shape[1] < 0.8 * letters("क ष ि", fonts).shape[1]


def test_text_from_right_to_left_ends_right() -> None:
    fonts = require_fonts()
    lettering = Lettering(30, fonts)
    image = Image.new("RGBA", (800, 80), (0, 0, 0, 255))
    lettering.draw(image, 20, 20, "חתול", INK, right=780)
    box = image.convert("RGB").getbbox()
    assert box is not None
    assert 770 <= box[2] <= 780
    assert box[0] > 600


def test_number_in_arabic_runs_from_left_to_right() -> None:
    fonts = require_fonts()
    number = ink(letters("12", fonts))
    # The number is at the left of the word before it.
    assert ink(letters("قطة 12", fonts, is_rtl=True))[: len(number)] == number


def test_emoji_have_colors_and_size_of_text() -> None:
    fonts = require_fonts()
    if (font := fonts.font_of("🐈")) is None or "color" not in font.name:
        pytest.skip(f"the emoji font of this machine has no colors: {font}")
    shown = letters("🐈", fonts).astype(int)
    assert (shown.max(axis=2) - shown.min(axis=2)).max() > 60
    assert 25 < shown.shape[0] < 60


def test_missing_script_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    lettering = Lettering(20, FontSet())
    with caplog.at_level(logging.WARNING):
        for text in ("窗台", "猫", "a cat", "ก"):
            lettering.readable(text)
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == [
        "no font for Chinese on this machine, so prompts show the code points of these characters (U+7A97)",
        "no font for Thai on this machine, so prompts show the code points of these characters (U+0E01)",
    ]


def test_bundled_fonts_are_the_stated_reason(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Lettering(20, bundled_fonts.__wrapped__()).readable("窗台")
    (record,) = caplog.records
    assert record.getMessage() == (
        "no font for Chinese, because the setting `fonts` is `bundled`, "
        "so prompts show the code points of these characters (U+7A97)"
    )


@pytest.mark.parametrize("text", ["\ud800", "\ue000", "\U000e0fff", "\uffff", "\u3164"])
def test_no_font_is_missed_for_characters_without_fonts(text: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Lettering(20, FontSet()).readable(f"a {text} cat")
    assert [record.getMessage() for record in caplog.records] == []


def test_width_of_a_number_ignores_its_digits() -> None:
    digits = Digits(24, ground=30, ink=220)
    assert {digits.width(f"00:0{n}.{n}{n}{n}") for n in range(10)} == {digits.width("00:00.000")}


def test_digits_are_drawn_in_ink_on_ground() -> None:
    digits = Digits(24, ground=30, ink=220)
    plane = np.full((60, 200), 99, np.uint8)
    digits.draw(plane, 10, 8, "#42")
    written = plane[8 : 8 + digits.height, 10 : 10 + digits.width("#42")]
    assert written.min() == 30
    assert written.max() == 220
    plane[8 : 8 + digits.height, 10 : 10 + digits.width("#42")] = 99
    assert (plane == 99).all()
