"""Text that a terminal or a file can show: control characters and characters outside of the encoding are escaped."""

from __future__ import annotations

from typing import TextIO


def encodable(text: str, stream: TextIO) -> str:
    """Return ``text`` with a backslash escape for each character that ``stream`` cannot encode."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def printable(text: str) -> str:
    """Return ``text`` with a backslash escape for each character that is not printable, except newlines."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
