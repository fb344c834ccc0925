"""Tests that text is divided into clusters, lines and runs, in visual order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.media.fonts import bundled_fonts
from odyssey_mock.media.text_runs import characters, clusters, is_right_to_left, runs, units
from tests.support.fonts import TableOfFonts

ALEF, BET, GIMEL = "\u05d0", "\u05d1", "\u05d2"
FONTS = TableOfFonts(
    {
        "hebrew": f"{ALEF}{BET}{GIMEL}() .,?",
        "greek": "αβγ ",
        "chinese": "中文、。abc",
        "emoji": "🐈🚀👩🇫🇷👍🏽❤1\u20e3",
    }
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("abc", ["a", "b", "c"]),
        ("e\u0301o", ["e\u0301", "o"]),
        ("👩\u200d🚀🐈", ["👩\u200d🚀", "🐈"]),
        ("👩\u200d…", ["👩\u200d", "…"]),
        ("🙂\u200d↔\ufe0f🏃🏽\u200d♀\ufe0f", ["🙂\u200d↔\ufe0f", "🏃🏽\u200d♀\ufe0f"]),
        ("🇫🇷🇩🇪", ["🇫🇷", "🇩🇪"]),
        ("👍🏽!", ["👍🏽", "!"]),
        ("1\ufe0f\u20e32", ["1\ufe0f\u20e3", "2"]),
        ("a \u0301", ["a", " ", "\u0301"]),
        ("क\u094dष", ["क\u094d", "ष"]),
        ("می\u200cخواهم", ["م", "ی\u200c", "خ", "و", "ا", "ه", "م"]),
        ("", []),
    ],
)
def test_marks_and_emoji_sequences_are_clusters(text: str, parts: list[str]) -> None:
    assert clusters(text) == parts


@pytest.mark.parametrize(
    "emoji", ["👩🏽\u200d❤\ufe0f\u200d💋\u200d👨🏿", "🏴" + "".join(chr(0xE0000 + ord(c)) for c in "gbeng\x7f")]
)
def test_longest_emoji_are_one_cluster(emoji: str) -> None:
    assert clusters(emoji * 2) == [emoji, emoji]


@pytest.mark.parametrize("text", ["👩" + "\u200d🚀" * 250, "👍" + "🏽" * 250, "❤\ufe0f" + "\u200d❤" * 250])
def test_endless_emoji_are_divided(text: str) -> None:
    parts = clusters(text)
    assert "".join(parts) == text
    assert max(map(len, parts)) <= 17, f"expected clusters of at most 17 characters, got lengths {[*map(len, parts)]}"


def test_characters_of_a_cluster_keep_their_joiners() -> None:
    assert characters("👩🏽\u200d❤\ufe0f\u200d💋") == ["👩", "🏽\u200d", "❤\ufe0f\u200d", "💋"]
    assert characters("") == []


@given(st.text(max_size=60))
def test_clusters_are_the_whole_text(text: str) -> None:
    assert "".join(clusters(text)) == text


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a cat", [("a", False), ("cat", True)]),
        ("中文 cat", [("中", False), ("文", False), ("cat", True)]),
        ("cat中文。", [("cat", False), ("中", False), ("文。", False)]),
        ("แมวนั่ง", [("แมวนั่ง", False)]),
    ],
)
def test_lines_break_at_spaces_and_in_chinese(text: str, parts: list[tuple[str, bool]]) -> None:
    assert list(units(text)) == parts


@pytest.mark.parametrize(
    ("text", "is_rtl"),
    [("cat", False), (ALEF, True), (f"12 ({ALEF} cat", True), (f"cat {ALEF}", False), ("12", False), ("", False)],
)
def test_first_letter_decides_the_direction(text: str, is_rtl: bool) -> None:
    assert is_right_to_left(text) is is_rtl


def drawn(text: str) -> list[tuple[str, str | None, bool]]:
    """Return text, font and direction of each run, from left to right."""
    return [(run.text, run.font.path, run.is_rtl) for run in runs(text, FONTS, is_rtl=is_right_to_left(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a cat", [("a cat", None, False)]),
        ("αβ γ", [("αβ γ", "greek", False)]),
        ("a αβ.", [("a ", None, False), ("αβ", "greek", False), (".", None, False)]),
        # The words of a Hebrew text run from right to left, those of another font at their left.
        (f"{ALEF} {BET}", [(f"{ALEF} {BET}", "hebrew", True)]),
        (
            f"{ALEF} αβ {BET}",
            [
                (BET, "hebrew", True),
                (" ", None, True),
                ("αβ", "greek", False),
                (" ", None, True),
                (ALEF, "hebrew", True),
            ],
        ),
        # A number runs from left to right, within the text from right to left.
        (
            f"a {ALEF} 1,5 {BET} b",
            [
                ("a ", None, False),
                (BET, "hebrew", True),
                (" ", None, True),
                ("1,5", None, False),
                (" ", None, True),
                (ALEF, "hebrew", True),
                (" b", None, False),
            ],
        ),
        # Punctuation after the text is on its left.
        (f"{ALEF}.", [(f"{ALEF}.", "hebrew", True)]),
        # Both brackets of a pair have the same direction.
        (f"a {ALEF} ({BET}) b", [("a ", None, False), (f"{ALEF} ({BET})", "hebrew", True), (" b", None, False)]),
        (
            f"a ({BET}) b",
            [
                ("a ", None, False),
                ("(", "hebrew", False),
                (BET, "hebrew", True),
                (")", "hebrew", False),
                (" b", None, False),
            ],
        ),
        (
            f"{ALEF} (αβ) {BET}",
            [
                (BET, "hebrew", True),
                (") ", None, True),
                ("αβ", "greek", False),
                (" (", None, True),
                (ALEF, "hebrew", True),
            ],
        ),
        (f"({ALEF}) 12", [("12", None, False), (" ", None, True), (f"({ALEF})", "hebrew", True)]),
    ],
)
def test_runs_are_in_visual_order(text: str, expected: list[tuple[str, str | None, bool]]) -> None:
    assert drawn(text) == expected


def test_font_of_a_word_has_all_its_letters() -> None:
    assert drawn("中a") == [("中a", "chinese", False)]
    assert drawn("中x") == [("中", "chinese", False), ("x", None, False)]
    assert drawn("a中🐈") == [("a中", "chinese", False), ("🐈", "emoji", False)]


def test_space_between_emoji_is_not_of_their_font() -> None:
    assert drawn("🐈 🚀") == [("🐈", "emoji", False), (" ", None, False), ("🚀", "emoji", False)]


@given(st.text(max_size=60), st.booleans())
def test_runs_contain_every_character_once(text: str, is_rtl: bool) -> None:
    for fonts in (FONTS, bundled_fonts()):
        assert sorted("".join(run.text for run in runs(text, fonts, is_rtl=is_rtl))) == sorted(text)
