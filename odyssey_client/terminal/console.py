"""Consoles of `rich`. Import this module only to show something, because `rich` takes 0.1 s to import."""

from __future__ import annotations

from typing import TextIO, override

from rich.console import Console
from rich.text import Text


class PlainConsole(Console):
    """A console that shows text as it is: without markup, emoji names or highlighted numbers.

    It has colors if ``stream`` is a terminal and NO_COLOR is not set.
    """

    def __init__(self, stream: TextIO) -> None:
        # Otherwise, FORCE_COLOR would also turn on colors, and wrapped lines, in pipes.
        super().__init__(file=stream, force_terminal=stream.isatty(), markup=False, emoji=False, highlight=False)

    @override
    def on_broken_pipe(self) -> None:
        """Raise the `BrokenPipeError` again. By default, `rich` closes standard output and exits."""
        raise  # noqa: PLE0704 - called in an `except` block


def colored(text: str, style: str, stream: TextIO) -> str:
    """Return ``text`` with the escape sequences of ``style`` if ``stream`` shows colors."""
    console = PlainConsole(stream)
    with console.capture() as capture:
        console.print(Text(text, style), end="", soft_wrap=True)
    return capture.get()
