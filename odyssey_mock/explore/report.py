"""What people read of a run or a campaign: which rule did not hold, what passed before, and how to see it again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from odyssey_mock.explore.campaign import Distinct, Tally
from odyssey_mock.explore.diagram import diagram
from odyssey_mock.explore.log import Line
from odyssey_mock.explore.outcome import Outcome

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
    return f"seed {outcome.seed}, {outcome.depth}: {how}; {length}"


def failures(outcome: Outcome, *, commit: str, again: str) -> str:
    """Which rules did not hold, and the command `again` that shows it again."""
    return "\n".join(
        [
            f"FAILED seed {outcome.seed}, {outcome.depth}, commit {commit}",
            *(f"  {each.rule}, at {each.at:.6f}: {each.message}" for each in outcome.failures),
            f"  again: {again}",
        ]
    )


def example(known: Distinct, *, depth: Fidelity, commit: str) -> str:
    """A distinct failure, with the seed that shows it."""
    others = "" if known.count == 1 else f", and {_many(known.count - 1, 'other seed')}"
    failure = known.failure
    return "\n".join(
        [
            f"FAILED seed {known.seed}, {depth}, commit {commit}{others}",
            f"  {failure.rule}, at {failure.at:.6f}: {failure.message}",
            f"  again: odyssey-mock explore --{depth} --seed {known.seed} --trace",
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


def rates(tally: Tally, depth: Fidelity, *, before: int, elapsed: float) -> str:
    """How many, and how fast. `before`: seeds that were not played now; `elapsed`: seconds of real time."""
    played = tally.seeds - before
    known = f" ({before} of them before)" if before else ""
    speed = f", {played / elapsed:.1f} seeds/s ({played} in {elapsed:.1f} s)" if played and elapsed > 0 else ""
    return (
        f"{_many(tally.seeds, f'{depth} seed')}{known}: {tally.failed} failed, "
        f"{_many(len(tally.distinct), 'distinct failure')}, {_many(tally.steps, 'step')}, "
        f"{tally.seconds / HOUR:.1f} virtual hours{speed}"
    )


def _until_failure(outcome: Outcome) -> Sequence[Line]:
    first = outcome.failures[0].at
    # A failure says when it was to the microsecond, as lines do in print.
    return [line for line in outcome.lines if round(line.at, 6) <= round(first, 6)]


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
