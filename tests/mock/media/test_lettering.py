"""Tests that captions are wrapped, cut with an ellipsis, and reduced to characters that the typeface can show."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odyssey_mock.media.lettering import Digits, ellipsised, font, plain, wrap


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  a\n\tcat  ", "a cat"),
        ("Ünïcödé Straße — Łódź", "Unicode Strasse - Lodz"),
        ("zero\u200bwidth\u202e\x00\x07", "zerowidth"),
        ("lone \ud800 surrogate", "lone  surrogate"),
        ("日本", "日本"),
        ("", ""),
    ],
)
def test_text_is_reduced_to_printable_characters(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(text=st.text(max_size=200), width=st.integers(60, 600), lines=st.integers(1, 4))
@settings(max_examples=80)
def test_wrapped_lines_fit_the_panel(text: str, width: int, lines: int) -> None:
    wrapped = wrap(text, font(20), width, lines)
    assert len(wrapped) <= lines
    assert all(font(20).getlength(line) <= width for line in wrapped)


@given(words=st.lists(st.text("abcdefghij", min_size=1, max_size=12), max_size=30))
@settings(max_examples=60)
def test_wrapping_keeps_words_whole_and_in_order(words: list[str]) -> None:
    wrapped = wrap(" ".join(words), font(20), 200, 4)
    shown = " ".join(wrapped)
    if shown.endswith("…"):
        assert " ".join(words).startswith(shown.removesuffix("…").rstrip())
    else:
        assert shown.split() == words


def test_word_wider_than_the_panel_is_broken() -> None:
    wrapped = wrap("m" * 40, font(20), 200, 9)
    assert len(wrapped) > 1
    assert "".join(wrapped) == "m" * 40


def test_only_a_long_line_is_cut() -> None:
    assert ellipsised("short", font(20), 300) == "short"
    cut = ellipsised("a rather long line of text", font(20), 100)
    assert cut.endswith("…")
    assert font(20).getlength(cut) <= 100


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
