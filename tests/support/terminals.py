"""A stand-in for a terminal, and what a terminal shows after escape sequences were applied."""

import io
import os
import re
import sys
from collections.abc import Sequence

import pytest

_OTHERS = ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
"""Environment variables that change colors or the use of the terminal."""


def describe_terminal(monkeypatch: pytest.MonkeyPatch, *, columns: int = 80) -> None:
    """Set the environment variables of a terminal that has 256 colors and the given width."""
    for name in _OTHERS:
        monkeypatch.delenv(name, raising=False)
    for name, value in _variables(columns).items():
        monkeypatch.setenv(name, value)


def terminal_environment(columns: int = 80) -> dict[str, str]:
    """Return this environment, changed as by `describe_terminal`, for a subprocess."""
    return {name: value for name, value in os.environ.items() if name not in _OTHERS} | _variables(columns)


def _variables(columns: int) -> dict[str, str]:
    return {"TERM": "xterm-256color", "COLUMNS": str(columns)}


class Terminal(io.StringIO):
    """A stream that says that it is a terminal, with the encoding UTF-8."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    @property
    def screen(self) -> list[str]:
        """The lines that the terminal shows."""
        return screen_of(self.getvalue())

    @property
    def drawn(self) -> list[str]:
        """Each state of the lines, in the order in which they were drawn."""
        return [line for line in re.split(r"[\r\n]+", without_escapes(self.getvalue())) if line]


def with_own_terminal(command: Sequence[str]) -> list[str]:
    """Return a command that makes its standard input its controlling terminal, and then runs `command`.

    The process must be the leader of a session without a terminal (`start_new_session`).
    """
    code = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-c", code, *command]


def without_escapes(text: str) -> str:
    """Return `text` without the escape sequences for colors, erased lines and the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def screen_of(text: str) -> list[str]:
    """Return the lines that a terminal shows for `text`. `ESC [ 2 K` erases a line; other sequences show nothing."""
    lines = []
    for line in text.replace("\r\n", "\n").split("\n"):
        cells: list[str] = []
        for drawn in line.rpartition("\x1b[2K")[2].split("\r"):
            shown = without_escapes(drawn)
            cells[: len(shown)] = shown
        lines.append("".join(cells).rstrip())
    return lines
