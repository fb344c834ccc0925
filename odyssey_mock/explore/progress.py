"""How far a campaign is: a bar on a terminal, elsewhere a line every so many seeds."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

import click

from odyssey_mock.explore.campaign import Tally

LINES = 20
"""Lines in all, where they are not drawn over one another."""
BAR = 4, 24
"""Columns of the bar, at least and at most."""
AROUND, LEFT = "seeds  []  /  ", "0d 00:00:00  "
"""What is in its line beside the bar, the counts and how many seeds there are; the second where there is room."""
ROOMY = 70
"""Columns of a terminal that are enough for the time that is left."""


class Rate:
    """How many seeds a second, of those that were played since it was made."""

    def __init__(self, before: int, now: Callable[[], float] = time.perf_counter) -> None:
        """`before`: seeds that were there already; `now`: seconds of real time."""
        self._before = before
        self._now = now
        self._began = now()

    @property
    def elapsed(self) -> float:
        """Seconds of real time since it was made."""
        return self._now() - self._began

    def of(self, tally: Tally) -> float:
        """Seeds a second; zero where there were none."""
        played = tally.seeds - self._before
        return played / max(self.elapsed, 1e-9) if played else 0.0


@contextmanager
def progress(stream: TextIO, total: int, rate: Rate) -> Iterator[Callable[[Tally], None]]:
    """Show on `stream` how far it is, by a function that takes the tally whenever it has grown."""
    if stream.isatty():
        latest = Tally()

        columns = shutil.get_terminal_size().columns
        width = max(BAR[0], min(BAR[1], columns // 8))
        tells_left = columns >= ROOMY
        room = columns - width - 2 * len(str(total)) - len(AROUND) - (len(LEFT) if tells_left else 0)

        def counts(_: int | None) -> str:
            return next((shown for shown in _shorter_counts(latest, rate) if len(shown) <= room), "")

        with click.progressbar(
            length=total,
            label="seeds",
            show_pos=True,
            show_eta=tells_left,
            width=width,
            file=stream,
            item_show_func=counts,
        ) as bar:

            def draw(tally: Tally) -> None:
                nonlocal latest
                latest = tally
                bar.update(tally.seeds - bar.pos)

            yield draw
        return
    every = max(1, total // LINES)
    told = 0

    def tell(tally: Tally) -> None:
        nonlocal told
        if tally.seeds // every > told or (tally.seeds == total and tally.seeds > told * every):
            told = tally.seeds // every
            click.echo(f"{tally.seeds} of {total} seeds, {_counts(tally, rate)}", file=stream)

    yield tell


def _shorter_counts(tally: Tally, rate: Rate) -> Iterator[str]:
    """What to say, and what to say where there is less room: a line that is too long cannot be drawn over."""
    yield _counts(tally, rate)
    yield f"{tally.failed} failed, {rate.of(tally):.1f}/s"
    yield f"{tally.failed} failed"


def _counts(tally: Tally, rate: Rate) -> str:
    return f"{tally.failed} failed, {len(tally.distinct)} distinct, {rate.of(tally):.1f} seeds/s"
