"""How far something is, on the standard error: a bar that is drawn over on a terminal, else a line for each change."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO

from odyssey_client.cli.output import encodable, printable, size

BAR_WIDTH = 24
USUAL_COLUMNS = 80

LIVE_S, LIVE_LINE_S = 0.25, 10.0
"""Seconds from one look at what goes on to the next: on a terminal, and where each is a line of its own."""


class Progress:
    """Shows one thing after the other. Close it in the end: the cursor may stand behind a bar."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream: TextIO | None = stream or sys.stderr  # which is None where it is closed
        self._is_terminal = self._stream is not None and self._stream.isatty()
        self._shown = ""

    def job(self, job_id: str, status: str, done: int, total: int) -> None:
        """Show where a simulation stands: its status, and how many of its streams are done."""
        streams = f"{done} of {total} {'stream' if total == 1 else 'streams'} done"
        self._show(f"Simulation {job_id}", f"{status}, {streams}", done / total if total else 0.0)

    def file(self, name: str, received: int, total: int | None) -> None:
        """Show how far a download is; on a terminal only, as bytes are no change worth a line."""
        if self._is_terminal:
            of = size(received) if total is None else f"{size(received)} of {size(total)}"
            self._show(name, of, 1.0 if received == total else received / total if total else 0.0)

    @property
    def live_s(self) -> float:
        """How long to wait from one `live` to the next, in seconds."""
        return LIVE_S if self._is_terminal else LIVE_LINE_S

    def live(self, line: str) -> None:
        """Show how something stands that goes on without a known end."""
        if self._is_terminal:
            self._draw(line)
        else:
            self._write(f"{printable(line)}\n")

    def end(self) -> None:
        """Leave what is shown, and go on below it."""
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
        # What changes comes first: an id may be longer than the terminal is wide.
        self._draw(f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {how_far}  {what}")

    def _draw(self, text: str) -> None:
        """Draw a line over the one before."""
        room = self._columns() - 1
        line = printable(text)[:room]
        if line != self._shown:
            # Blanks over what is longer: there are terminals that know no other way. No more than there is room for,
            # should the terminal have become narrower.
            self._write(f"\r{line}{' ' * (min(len(self._shown), room) - len(line))}")
            self._shown = line

    def _columns(self) -> int:
        """The width of the terminal, which may be another one than that of the standard output."""
        with contextlib.suppress(OSError, ValueError):  # it has no file descriptor, or is gone
            if self._stream is not None and (columns := os.get_terminal_size(self._stream.fileno()).columns):
                return columns
        return USUAL_COLUMNS

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(encodable(text, self._stream))
            self._stream.flush()
        except BrokenPipeError:  # nobody reads on: the end of a command, as everywhere
            raise
        except OSError:  # a full disk, say: what is done is worth more than how it is shown
            self._stream = None
