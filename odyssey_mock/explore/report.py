"""What people read of a run or a campaign: its progress, which rules did not hold, and how to see it again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

import click

from odyssey_mock.explore.campaign import DistinctFailure, Tally
from odyssey_mock.explore.outcome import Outcome
from odyssey_mock.sim.trace import TraceLine, diagram

if TYPE_CHECKING:
    from odyssey_mock.sim.fidelity import Fidelity

LAST_LINES = 30
"""Lines of the trace shown of a failure, up to it."""
DRAWN_LINES = 120
"""Lines drawn of a failure, up to it: `--diagram` draws them all."""

NOT_AGAIN = "  played again here, every rule held: the run depends on more than its seed, which is a failure of its own"

HOUR = 3600.0


def trace(outcome: Outcome) -> Iterator[str]:
    """The run, a line for each event, and its hash."""
    yield from map(str, outcome.lines)
    yield f"trace hash {outcome.trace_hash}"


def verdict(outcome: Outcome) -> str:
    """How the run went, in a line."""
    how = f"{_many(len(outcome.failures), 'rule')} did not hold" if outcome.failures else "every rule held"
    length = f"{_many(outcome.steps, 'step')}, {outcome.seconds:.3f} virtual seconds"
    return f"seed {outcome.seed}, {outcome.fidelity}: {how}; {length}"


def failures(outcome: Outcome, *, commit: str, again: str) -> str:
    """Which rules did not hold, and the command `again` that shows it again."""
    return "\n".join(
        [
            f"FAILED seed {outcome.seed}, {outcome.fidelity}, commit {commit}",
            *(f"  {each.rule}, at {each.at:.6f}: {each.message}" for each in outcome.failures),
            f"  again: {again}",
        ]
    )


def example(known: DistinctFailure, *, fidelity: Fidelity, commit: str) -> str:
    """A distinct failure, with the seed that shows it."""
    others = "" if known.count == 1 else f", and {_many(known.count - 1, 'other seed')}"
    failure = known.failure
    return "\n".join(
        [
            f"FAILED seed {known.seed}, {fidelity}, commit {commit}{others}",
            f"  {failure.rule}, at {failure.at:.6f}: {failure.message}",
            f"  again: odyssey-mock explore --{fidelity} --seed {known.seed} --trace",
        ]
    )


def last_lines(outcome: Outcome) -> str:
    """What passed just before the first rule did not hold."""
    lines = _until_failure(outcome)
    shown = lines[-LAST_LINES:]
    return "\n".join(
        [f"the last {_many(len(shown), 'line')} of {len(lines)} up to it:", *(f"  {line}" for line in shown)]
    )


def drawn(outcome: Outcome) -> str:
    """What passed before the first rule did not hold, as a sequence diagram."""
    lines = _until_failure(outcome)
    left_out = max(0, len(lines) - DRAWN_LINES)
    return (f"drawn, without {_many(left_out, 'line')} before:" if left_out else "drawn:") + (
        f"\n{diagram(lines[-DRAWN_LINES:])}"
    )


def rates(tally: Tally, fidelity: Fidelity, *, before: int, elapsed: float) -> str:
    """How many, and how fast. `before`: seeds that were not played now; `elapsed`: seconds of real time."""
    played = tally.seeds - before
    known = f" ({before} of them before)" if before else ""
    speed = f", {played / elapsed:.1f} seeds/s ({played} in {elapsed:.1f} s)" if played and elapsed > 0 else ""
    return (
        f"{_many(tally.seeds, f'{fidelity} seed')}{known}: {tally.failed} failed, "
        f"{_many(len(tally.distinct), 'distinct failure')}, {_many(tally.steps, 'step')}, "
        f"{tally.seconds / HOUR:.1f} virtual hours{speed}"
    )


def _until_failure(outcome: Outcome) -> Sequence[TraceLine]:
    first = outcome.failures[0].at
    # A failure says when it was to the microsecond, as lines do in print.
    return [line for line in outcome.lines if round(line.at, 6) <= round(first, 6)]


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


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
