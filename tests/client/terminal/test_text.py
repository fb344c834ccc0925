"""Tests of text with control characters and characters that cannot be encoded."""

import io

import pytest

from odyssey_client.terminal.text import encodable, printable


@pytest.mark.parametrize(
    ("text", "shown"), [("a\x1b[2J", r"a\x1b[2J"), ("é\n漢", "é\n漢"), ("a\r\tb", r"a\r\tb"), ("\u202e", r"\u202e")]
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_characters_outside_encoding_are_escaped() -> None:
    assert encodable("é漢", io.TextIOWrapper(io.BytesIO(), encoding="latin-1")) == "é\\u6f22"
