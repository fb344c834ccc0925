"""`ProgressBar`, one line of a terminal that is redrawn."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from odyssey_client.terminal.text import encodable, printable

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID

REDRAW_S = 0.1
"""Minimum seconds between two redraws. One takes about 2 ms, and downloads report each chunk."""

BAR = 4, 24
"""Minimum and maximum width of the bar, in columns. It takes a quarter of a narrow terminal."""
ROOMY = 70
"""Minimum width of a terminal for showing the remaining time, in columns."""

_DUMB = frozenset({"dumb", "unknown"})
"""Values of TERM for terminals that cannot redraw a line."""


class ProgressBar:
    """Shows the progress of one operation at a time on a terminal. Call `end` after each operation.

    If ``stream`` is not a terminal that can redraw a line, nothing is shown.

    Attributes:
        is_shown: Whether anything is shown.
    """

    def __init__(
        self,
        stream: TextIO | None,
        *,
        tells_remaining: bool = False,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Create a progress bar.

        ``stream`` is None if it was closed. ``tells_remaining``: whether to estimate the remaining time. ``now()``: the
        real time in seconds.
        """
        self._stream = stream
        self._tells_remaining = tells_remaining
        self._now = now
        self._drawn_at = 0.0
        self._has_bar = False
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self.is_shown = stream is not None and stream.isatty() and os.environ.get("TERM", "").lower() not in _DUMB

    def bar(self, state: str, label: str, part: float | None, *, at_once: bool = False) -> None:
        """Show a bar, followed by ``state`` and ``label``.

        A narrow terminal cuts off ``label``. ``part`` is the part that is done, from 0 to 1; None if it is unknown. If
        the line was drawn less than `REDRAW_S` seconds ago, only ``at_once`` draws it again, or the next call.
        """
        self._show(state, label, part, has_bar=True, at_once=at_once)

    def line(self, text: str) -> None:
        """Show a line without a bar, at once."""
        self._show("", text, None, has_bar=False, at_once=True)

    def end(self) -> None:
        """Draw the last state, and end the line, so that further output starts on a new line."""
        if self._progress is not None:
            self._try(self._progress.stop)
        self._progress = None

    def _show(self, state: str, label: str, part: float | None, *, has_bar: bool, at_once: bool) -> None:
        if self._stream is None or not self.is_shown:
            return
        state, label = (encodable(printable(text), self._stream) for text in (state, label))
        total = None if part is None else 1.0
        if has_bar != self._has_bar:
            self.end()
            self._has_bar = has_bar
        if self._progress is None:
            self._progress = progress = self._new(self._stream, has_bar=has_bar)
            self._task = progress.add_task(label, total=total, state=state)
            progress.update(self._task, completed=part)
            self._drawn_at = self._now()
            self._try(progress.start)
            return
        assert self._task is not None, "expected a task, which is added with the bar, got none"
        self._progress.update(self._task, description=label, total=total, completed=part, state=state)
        if at_once or self._now() >= self._drawn_at + REDRAW_S:
            self._drawn_at = self._now()
            self._try(self._progress.refresh)

    def _new(self, stream: TextIO, *, has_bar: bool) -> Progress:
        # See `odyssey_client.terminal`.
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415
        from rich.table import Column  # noqa: PLC0415

        from odyssey_client.terminal.console import PlainConsole  # noqa: PLC0415

        console = PlainConsole(stream)
        # The label takes the width that is left. An ellipsis is not in every encoding.
        label = TextColumn(
            "{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="crop")
        )
        columns: list[ProgressColumn] = [label]
        if has_bar:
            state = TextColumn("{task.fields[state]}", markup=False, table_column=Column(no_wrap=True, overflow="crop"))
            width = max(BAR[0], min(BAR[1], console.width // 4))
            bar = BarColumn(width, complete_style="cyan", finished_style="green")
            left = (TimeRemainingColumn(),) if self._tells_remaining and console.width >= ROOMY else ()
            columns = [bar, state, *left, label]
        return Progress(
            *columns,
            console=console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            get_time=self._now,
            expand=True,
        )

    def _try(self, draw: Callable[[], None]) -> None:
        """Draw, unless the terminal cannot be written.

        Raises:
            BrokenPipeError: the reader of the stream has closed it.
        """
        try:
            draw()
        except BrokenPipeError:
            raise
        except OSError:  # such as a terminal that was closed: the command continues without progress
            self._progress, self.is_shown = None, False
