"""Progress on standard error: a bar that is redrawn on a terminal, otherwise one line per change."""

from __future__ import annotations

import sys
from typing import TextIO

from odyssey_client.cli.output import size
from odyssey_client.terminal.progress import ProgressBar
from odyssey_client.terminal.text import encodable, printable

LIVE_S, LIVE_LINE_S = 0.25, 10.0
"""Seconds between two updates of `Progress.live`: the first value for a terminal, the second for other outputs."""


class Progress:
    """Shows the progress of one operation at a time. Call `end` after each operation to end the line of its bar."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream: TextIO | None = stream or sys.stderr  # None if standard error is closed
        self._bar = ProgressBar(self._stream)
        self._last_line = ""

    def job(self, job_id: str, status: str, done: int, total: int) -> None:
        """Show the status of a simulation and the number of its streams that are done."""
        streams = f"{done} of {total} {'stream' if total == 1 else 'streams'} done"
        what, how_far = f"Simulation {job_id}", f"{status}, {streams}"
        if self._bar.is_shown:
            # The changing part is first: an id may be longer than the width of the terminal.
            self._bar.bar(how_far, what, done / total if total else 0.0, at_once=True)
        elif (line := f"{what}: {how_far}") != self._last_line:
            self._print(line)
            self._last_line = line

    def file(self, name: str, received: int, total: int | None) -> None:
        """Show the progress of a download if standard error is a terminal; otherwise print nothing."""
        of = size(received) if total is None else f"{size(received)} of {size(total)}"
        part = None if total is None else 1.0 if received == total else received / total
        self._bar.bar(of, name, part)

    @property
    def live_s(self) -> float:
        """Seconds to wait between two calls of `live`."""
        return LIVE_S if self._bar.is_shown else LIVE_LINE_S

    def live(self, line: str, part: float | None = None) -> None:
        """Show ``line``, the current state of an operation.

        ``part`` is the part that is done, from 0 to 1; None if the duration is unknown.
        """
        if not self._bar.is_shown:
            self._print(line)
        elif part is None:
            self._bar.line(line)
        else:
            self._bar.bar("", line, part, at_once=True)

    def note(self, line: str) -> None:
        """Print ``line``, which stays when the progress is redrawn."""
        self.end()
        self._print(line)

    def end(self) -> None:
        """End the current line of the terminal, so that further output starts on a new line."""
        self._bar.end()
        self._last_line = ""

    def _print(self, line: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(encodable(f"{printable(line)}\n", self._stream))
            self._stream.flush()
        except BrokenPipeError:  # the reader has closed the pipe: end the command
            raise
        except OSError:  # such as a full disk: the command continues without progress
            self._stream = None
