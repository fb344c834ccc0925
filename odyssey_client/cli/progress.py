"""Progress on standard error: a bar that is redrawn on a terminal, otherwise one line per change."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO

from odyssey_client.cli.output import encodable, printable, size

BAR_WIDTH = 24
USUAL_COLUMNS = 80

LIVE_S, LIVE_LINE_S = 0.25, 10.0
"""Seconds between two updates of `Progress.live`: the first value for a terminal, the second for other outputs."""


class Progress:
    """Shows the progress of one operation at a time. Call `end` after each operation to end the line of its bar."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream: TextIO | None = stream or sys.stderr  # None if standard error is closed
        self._is_terminal = self._stream is not None and self._stream.isatty()
        self._shown = ""

    def job(self, job_id: str, status: str, done: int, total: int) -> None:
        """Show the status of a simulation and the number of its streams that are done."""
        streams = f"{done} of {total} {'stream' if total == 1 else 'streams'} done"
        self._show(f"Simulation {job_id}", f"{status}, {streams}", done / total if total else 0.0)

    def file(self, name: str, received: int, total: int | None) -> None:
        """Show the progress of a download if standard error is a terminal; otherwise print nothing."""
        if self._is_terminal:
            of = size(received) if total is None else f"{size(received)} of {size(total)}"
            self._show(name, of, 1.0 if received == total else received / total if total else 0.0)

    @property
    def live_s(self) -> float:
        """Seconds to wait between two calls of `live`."""
        return LIVE_S if self._is_terminal else LIVE_LINE_S

    def live(self, line: str) -> None:
        """Show ``line``, the current state of an operation whose duration is unknown."""
        if self._is_terminal:
            self._draw(line)
        else:
            self._write(f"{printable(line)}\n")

    def end(self) -> None:
        """End the current line of the terminal, so that further output starts on a new line."""
        if self._is_terminal and self._shown:
            self._write("\n")
        self._shown = ""

    def _show(self, what: str, how_far: str, part: float) -> None:
        if not self._is_terminal:
            line = printable(f"{what}: {how_far}")
            self._write("" if line == self._shown else f"{line}\n")
            self._shown = line
            return
        filled = min(BAR_WIDTH, int(part * BAR_WIDTH))
        # The changing part is first: an id may be longer than the width of the terminal.
        self._draw(f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {how_far}  {what}")

    def _draw(self, text: str) -> None:
        """Replace the current line of the terminal."""
        room = self._columns() - 1
        line = printable(text)[:room]
        if line != self._shown:
            # Blanks overwrite the rest of a longer line, because not every terminal supports escape sequences. They
            # must not exceed the width, which may have shrunk.
            self._write(f"\r{line}{' ' * (min(len(self._shown), room) - len(line))}")
            self._shown = line

    def _columns(self) -> int:
        """Return the width of the terminal in characters; `USUAL_COLUMNS` if it is unknown."""
        with contextlib.suppress(OSError, ValueError):  # the stream has no file descriptor, or is closed
            if self._stream is not None and (columns := os.get_terminal_size(self._stream.fileno()).columns):
                return columns
        return USUAL_COLUMNS

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(encodable(text, self._stream))
            self._stream.flush()
        except BrokenPipeError:  # the reader has closed the pipe: end the command
            raise
        except OSError:  # such as a full disk: the command continues without progress
            self._stream = None
