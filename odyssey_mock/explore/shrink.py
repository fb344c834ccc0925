"""Making a life that fails shorter, as long as it fails in the same way.

It is delta debugging (Zeller and Hildebrandt 2002), with the parts of a life for the pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from odyssey_mock.explore.explorer import play
from odyssey_mock.explore.outcome import Outcome
from odyssey_mock.explore.scenario import Actor, Scenario, Step

ROUNDS = 400
"""Lives that are played at most, to make one shorter."""


class NothingToShrinkError(ValueError):
    """The life does not fail, so there is nothing to keep."""


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The shortest life found that fails in the same way, and how it went."""

    workload: Scenario
    outcome: Outcome
    played: int
    """How many lives it took."""


def shrink(
    workload: Scenario,
    *,
    signature: str | None = None,
    report: Callable[[str], None] = lambda _: None,
    try_out: Callable[[Scenario], Outcome] = lambda workload: play(workload.seed, workload=workload),
    rounds: int = ROUNDS,
) -> Shrunk:
    """Leave out of `workload` whatever it fails without.

    Args:
        workload: one that fails.
        signature: of the failure that is to stay; its first where not given.
        report: is told of every step forward.
        try_out: plays a life.
        rounds: lives that are played at most.

    Raises:
        NothingToShrinkError: it does not fail, or not so.
    """
    outcome = try_out(workload)
    wanted = signature or (outcome.failures[0].signature if outcome.failures else None)
    if wanted is None or not _fails(outcome, wanted):
        raise NothingToShrinkError(
            f"expected a life that fails{'' if signature is None else f' by {signature}'}, came one that "
            + (f"fails by {outcome.failures[0].signature}" if outcome.failures else "does not")
        )
    best = Shrunk(workload, outcome, 1)
    is_shorter = True
    while is_shorter and best.played < rounds:
        is_shorter = False
        for shorter in _shorter(best.workload):
            if best.played >= rounds:
                break
            outcome = try_out(shorter)
            best = replace(best, played=best.played + 1)
            if _fails(outcome, wanted):
                how = "" if shorter.size < best.workload.size else ", and plainer"
                report(f"{shorter.size} parts are enough, of {workload.size}{how}")
                best = replace(best, workload=shorter, outcome=outcome)
                is_shorter = True
                break
    return best


def _fails(outcome: Outcome, signature: str) -> bool:
    return any(failure.signature == signature for failure in outcome.failures)


def _shorter(workload: Scenario) -> Iterator[Scenario]:
    """What to try next: without whole actors, then ever smaller pieces of each list, then plainer steps."""
    if len(workload.actors) > 1:
        for number in range(len(workload.actors)):
            yield _without_actor(workload, number)
    for settings in _fewer(list(workload.settings.items())):
        yield replace(workload, settings=dict(settings))
    for faults in _fewer(workload.faults):
        yield replace(workload, faults=tuple(faults))
    for weather in _fewer(workload.weather):
        yield replace(workload, weather=tuple(weather))
    for shorter in (_with_fewer_steps, _plainer, _rounder):
        for number, actor in enumerate(workload.actors):
            for less in shorter(actor):
                yield replace(workload, actors=_with(workload.actors, number, less))
    for place, each in enumerate(workload.weather):
        if each.at != round(each.at, 1):
            yield replace(workload, weather=_with(workload.weather, place, replace(each, at=round(each.at, 1))))


def _without_actor(workload: Scenario, number: int) -> Scenario:
    """Without one, and what befalls its machine alone."""
    host = workload.actors[number].host
    weather = tuple(each for each in workload.weather if each.arguments.get("host") != host)
    return replace(workload, actors=_without(workload.actors, number, 1), weather=weather)


def _with_fewer_steps(actor: Actor) -> Iterator[Actor]:
    for steps in _fewer(actor.steps):
        yield replace(actor, steps=tuple(steps))


def _plainer(actor: Actor) -> Iterator[Actor]:
    for place, step in enumerate(actor.steps):
        for plainer in _plainer_steps(step):
            yield replace(actor, steps=_with(actor.steps, place, plainer))
    for advanced in _fewer(list(actor.advanced.items())):
        yield replace(actor, advanced=dict(advanced))


def _rounder(actor: Actor) -> Iterator[Actor]:
    for place, step in enumerate(actor.steps):
        if step.wait != round(step.wait, 1):
            yield replace(actor, steps=_with(actor.steps, place, replace(step, wait=round(step.wait, 1))))


def _plainer_steps(step: Step) -> Iterator[Step]:
    if step.manner != "wait":
        yield replace(step, manner="wait", patience=0.0)
    if step.wait:
        yield replace(step, wait=0.0)
    if step.arguments.get("broadcast"):
        yield replace(step, arguments={**step.arguments, "broadcast": False})


def _fewer[T](items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Leave out a piece: all, each half, each quarter, ... each single one."""
    piece = len(items)
    while piece >= 1:
        for start in range(0, len(items), piece):
            yield _without(items, start, piece)
        piece //= 2


def _without[T](items: Sequence[T], start: int, count: int) -> tuple[T, ...]:
    return (*items[:start], *items[start + count :])


def _with[T](items: Sequence[T], place: int, item: T) -> tuple[T, ...]:
    return (*items[:place], item, *items[place + 1 :])
