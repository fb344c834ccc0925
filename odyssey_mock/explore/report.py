"""Text output of the explorer: progress, violated rules, logs and diagrams."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

import click

from odyssey_client.terminal.progress import ProgressBar
from odyssey_mock.explore.campaign import DistinctFailure, Tally
from odyssey_mock.explore.outcome import Outcome
from odyssey_mock.sim.run_log import RunLogLine, run_diagram

if TYPE_CHECKING:
    from odyssey_mock.sim.fidelity import Fidelity

LAST_LINES = 30
"""Maximum number of log lines that are printed up to a failure."""
DRAWN_LINES = 120
"""Maximum number of log lines that the diagram of a failure shows; with `--diagram`, it shows all lines."""

NOT_AGAIN = "  a second run of the same seed violated no rule: runs of a seed must be equal, so this is a bug too"

HOUR = 3600.0


def log(outcome: Outcome) -> Iterator[str]:
    """Yield the lines of the log, then a line with its hash."""
    yield from map(str, outcome.lines)
    yield f"run hash {outcome.run_hash}"


def verdict(outcome: Outcome) -> str:
    """Return a summary of the run in one line."""
    how = f"{_many(len(outcome.failures), 'rule')} violated" if outcome.failures else "all rules held"
    length = f"{_many(outcome.steps, 'step')}, {outcome.seconds:.3f} virtual seconds"
    return f"seed {outcome.seed}, {outcome.fidelity}: {how}; {length}"


def failures(outcome: Outcome, *, commit: str, again: str) -> str:
    """Return a text that lists the violated rules of a run, and ends with `again`, the command that repeats the run."""
    return "\n".join(
        [
            f"FAILED seed {outcome.seed}, {outcome.fidelity}, commit {commit}",
            *(f"  {each.rule}, at {each.at:.6f}: {each.message}" for each in outcome.failures),
            f"  reproduce: {again}",
        ]
    )


def example(known: DistinctFailure, *, fidelity: Fidelity, commit: str) -> str:
    """Return a text that describes one distinct failure, with the command that runs its example seed again."""
    others = "" if known.count == 1 else f", and {_many(known.count - 1, 'other seed')}"
    failure = known.failure
    return "\n".join(
        [
            f"FAILED seed {known.seed}, {fidelity}, commit {commit}{others}",
            f"  {failure.rule}, at {failure.at:.6f}: {failure.message}",
            f"  reproduce: odyssey-mock explore --{fidelity} --seed {known.seed} --log",
        ]
    )


def last_lines(outcome: Outcome) -> str:
    """Return a text with the last lines of the log, up to the first failure."""
    lines = _until_failure(outcome)
    shown = lines[-LAST_LINES:]
    return "\n".join(
        [
            f"log up to the failure (last {_many(len(shown), 'line')} of {len(lines)}):",
            *(f"  {line}" for line in shown),
        ]
    )


def drawn(outcome: Outcome) -> str:
    """Return a sequence diagram of the run up to the first failure."""
    lines = _until_failure(outcome)
    left_out = max(0, len(lines) - DRAWN_LINES)
    return (
        f"diagram up to the failure (first {_many(left_out, 'line')} omitted):"
        if left_out
        else "diagram up to the failure:"
    ) + (f"\n{run_diagram(lines[-DRAWN_LINES:])}")


def rates(tally: Tally, fidelity: Fidelity, *, before: int, elapsed: float) -> str:
    """Return the totals and the speed of a campaign in one line.

    `before`: number of seeds that earlier runs stored in the results file; `elapsed`: real seconds of this run so far.
    """
    played = tally.seeds - before
    known = f" ({before} from earlier runs)" if before else ""
    speed = f", {played / elapsed:.1f} seeds/s ({played} in {elapsed:.1f} s)" if played and elapsed > 0 else ""
    return (
        f"{_many(tally.seeds, f'{fidelity} seed')}{known}: {tally.failed} failed, "
        f"{_many(len(tally.distinct), 'distinct failure')}, {_many(tally.steps, 'step')}, "
        f"{tally.seconds / HOUR:.1f} virtual hours{speed}"
    )


def _until_failure(outcome: Outcome) -> Sequence[RunLogLine]:
    first = outcome.failures[0].at
    # The time of a failure is rounded to microseconds.
    return [line for line in outcome.lines if round(line.at, 6) <= round(first, 6)]


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


LINES = 20
"""Total number of progress lines if the output is not a terminal."""


class Rate:
    """Speed of a campaign: seeds run per second since this object was created."""

    def __init__(self, before: int, now: Callable[[], float] = time.perf_counter) -> None:
        """Start the measurement.

        `before`: number of seeds that earlier runs stored; `now()`: real time in seconds.
        """
        self._before = before
        self._now = now
        self._began = now()

    @property
    def elapsed(self) -> float:
        """Real seconds since this object was created."""
        return self._now() - self._began

    def of(self, tally: Tally) -> float:
        """Return the seeds per second so far; 0 if no seed was run yet."""
        played = tally.seeds - self._before
        return played / max(self.elapsed, 1e-9) if played else 0.0


@contextmanager
def progress(
    stream: TextIO, total: int, rate: Rate, now: Callable[[], float] = time.perf_counter
) -> Iterator[Callable[[Tally], None]]:
    """Show the progress of a campaign on `stream`, and yield a function that the caller calls with each new tally.

    A terminal shows a progress bar. Any other stream receives at most `LINES` lines in total. `now()`: real time in
    seconds.
    """
    bar = ProgressBar(stream, tells_remaining=True, now=now)
    if bar.is_shown:
        bar.bar(f"0/{total} seeds", "", 0.0)

        def draw(tally: Tally) -> None:
            bar.bar(f"{tally.seeds}/{total} seeds", _counts(tally, rate), tally.seeds / max(total, 1))

        try:
            yield draw
        finally:
            bar.end()
        return
    every = max(1, total // LINES)
    told = 0

    def tell(tally: Tally) -> None:
        nonlocal told
        if tally.seeds // every > told or (tally.seeds == total and tally.seeds > told * every):
            told = tally.seeds // every
            click.echo(f"{tally.seeds} of {total} seeds, {_counts(tally, rate)}", file=stream)

    yield tell


def _counts(tally: Tally, rate: Rate) -> str:
    return f"{tally.failed} failed, {len(tally.distinct)} distinct, {rate.of(tally):.1f} seeds/s"
