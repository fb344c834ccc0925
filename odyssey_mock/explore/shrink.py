"""Shrinking: removes parts of a failing scenario as long as the failure stays.

The algorithm is delta debugging (Zeller and Hildebrandt 2002).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from odyssey_mock.explore.explorer import play
from odyssey_mock.explore.outcome import Outcome
from odyssey_mock.explore.scenario import Actor, Scenario, Step

ROUNDS = 400
"""Default maximum number of scenarios that `shrink` runs."""


class NothingToShrinkError(ValueError):
    """The run of the scenario violates no rule, or no failure has the signature that `shrink` was called with."""


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The smallest scenario found with the same failure, and its outcome."""

    scenario: Scenario
    outcome: Outcome
    played: int
    """Number of scenarios that `shrink` has run."""


def shrink(
    scenario: Scenario,
    *,
    signature: str | None = None,
    report: Callable[[str], None] = lambda _: None,
    try_out: Callable[[Scenario], Outcome] = lambda scenario: play(scenario.seed, scenario=scenario),
    rounds: int = ROUNDS,
) -> Shrunk:
    """Find a smaller scenario with the same failure, which is recognized by its signature.

    Parts of `scenario` are removed or simplified one after the other, as long as the failure stays.

    Args:
        scenario: a failing scenario.
        signature: `Failure.signature` of the failure to keep; by default that of the first failure.
        report: called with a message after every improvement.
        try_out: function that runs a scenario.
        rounds: maximum number of scenarios to run.

    Raises:
        NothingToShrinkError: the run of `scenario` violates no rule, or has no failure with `signature`.
    """
    outcome = try_out(scenario)
    wanted = signature or (outcome.failures[0].signature if outcome.failures else None)
    if wanted is None or not _fails(outcome, wanted):
        raise NothingToShrinkError(
            f"expected a scenario that fails{'' if signature is None else f' with {signature}'}, got one that "
            + (f"fails with {outcome.failures[0].signature}" if outcome.failures else "does not fail")
        )
    best = Shrunk(scenario, outcome, 1)
    is_shorter = True
    while is_shorter and best.played < rounds:
        is_shorter = False
        for shorter in _shorter(best.scenario):
            if best.played >= rounds:
                break
            outcome = try_out(shorter)
            best = replace(best, played=best.played + 1)
            if _fails(outcome, wanted):
                how = "" if shorter.size < best.scenario.size else ", simplified"
                report(f"shrunk to {shorter.size} of {scenario.size} parts{how}")
                best = replace(best, scenario=shorter, outcome=outcome)
                is_shorter = True
                break
    return best


def _fails(outcome: Outcome, signature: str) -> bool:
    return any(failure.signature == signature for failure in outcome.failures)


def _shorter(scenario: Scenario) -> Iterator[Scenario]:
    """Yield smaller versions of `scenario`: first without some of its parts, then with simpler steps and times."""
    if len(scenario.actors) > 1:
        for number in range(len(scenario.actors)):
            yield _without_actor(scenario, number)
    for settings in _fewer(list(scenario.settings.items())):
        yield replace(scenario, settings=dict(settings))
    for faults in _fewer(scenario.faults):
        yield replace(scenario, faults=tuple(faults))
    for chaos in _fewer(scenario.chaos):
        yield replace(scenario, chaos=tuple(chaos))
    for shorter in (_with_fewer_steps, _plainer, _rounder):
        for number, actor in enumerate(scenario.actors):
            for less in shorter(actor):
                yield replace(scenario, actors=_with(scenario.actors, number, less))
    for place, each in enumerate(scenario.chaos):
        if each.at != round(each.at, 1):
            yield replace(scenario, chaos=_with(scenario.chaos, place, replace(each, at=round(each.at, 1))))


def _without_actor(scenario: Scenario, number: int) -> Scenario:
    """Return the scenario without one actor and without the disturbances of its host."""
    host = scenario.actors[number].host
    chaos = tuple(each for each in scenario.chaos if each.arguments.get("host") != host)
    return replace(scenario, actors=_without(scenario.actors, number, 1), chaos=chaos)


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
    """Yield `items` without one part: first without all items, then without each half, finally without each item."""
    piece = len(items)
    while piece >= 1:
        for start in range(0, len(items), piece):
            yield _without(items, start, piece)
        piece //= 2


def _without[T](items: Sequence[T], start: int, count: int) -> tuple[T, ...]:
    return (*items[:start], *items[start + count :])


def _with[T](items: Sequence[T], place: int, item: T) -> tuple[T, ...]:
    return (*items[:place], item, *items[place + 1 :])
