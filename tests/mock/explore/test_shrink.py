"""Tests of how the explorer shrinks scenarios that fail."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odyssey_mock.explore.outcome import Failure, Outcome
from odyssey_mock.explore.scenario import Actor, ChaosStep, Scenario, Step
from odyssey_mock.explore.scenario_generator import draw
from odyssey_mock.explore.shrink import NothingToShrinkError, shrink


def outcome_of(scenario: Scenario, *rules: str) -> Outcome:
    return Outcome(scenario.seed, scenario.fidelity, tuple(Failure(rule, "expected 1, got 2", 0.0) for rule in rules))


def names(scenario: Scenario) -> list[str]:
    return [step.do for actor in scenario.actors for step in actor.steps]


def fails_with_interact_and_cut(scenario: Scenario) -> Outcome:
    """Pretend to run `scenario`; return an outcome in which it violates the rule `another`.

    A scenario with the steps `connect` and `interact` and with a network cut also violates the rule `the_one`.
    """
    is_met = {"connect", "interact"} <= set(names(scenario)) and any(each.what == "cut" for each in scenario.chaos)
    return outcome_of(scenario, *(["another", "the_one"] if is_met else ["another"]))


LONG = Scenario(
    seed=1,
    fidelity="light",
    settings={"fps": 4, "streamers": 1},
    actors=tuple(
        Actor(
            f"client-{number}",
            number,
            {"max_retries": 0},
            tuple(Step(do, 1.2345, manner="go on") for do in ("connect", "look", "start", "interact", "end")),
        )
        for number in range(3)
    ),
    faults=({"at": "peer.ice", "do": "never"}, {"at": "peer.dtls", "do": "fail"}),
    chaos=(ChaosStep(0.0, "latency"), ChaosStep(1.234, "cut"), ChaosStep(2.0, "reset")),
)


def test_parts_without_effect_are_removed() -> None:
    told: list[str] = []
    shrunk = shrink(
        LONG, signature="the_one: expected #, got #", report=told.append, try_out=fails_with_interact_and_cut
    )
    assert names(shrunk.scenario) == ["connect", "interact"]
    assert [each.what for each in shrunk.scenario.chaos] == ["cut"]
    assert (shrunk.scenario.faults, dict(shrunk.scenario.settings)) == ((), {})
    (actor,) = shrunk.scenario.actors
    assert {(step.wait, step.manner) for step in actor.steps} == {(0.0, "wait")}
    assert not actor.advanced
    assert any(failure.rule == "the_one" for failure in shrunk.outcome.failures)
    assert told[-1] == f"shrunk to {shrunk.scenario.size} of {LONG.size} parts, simplified"
    assert len(told) == len(set(told)) or told.count(told[-1]) > 1, (
        f"expected no repeated progress messages, except for the last one; got {told}"
    )


def test_disturbances_of_removed_hosts_are_removed() -> None:
    weather = tuple(ChaosStep(1.0, "reset", {"host": f"client-{number}"}) for number in range(3))
    shrunk = shrink(
        replace(LONG, chaos=(*weather, ChaosStep(2.0, "crash", {"seconds": 1.0}))),
        try_out=lambda each: outcome_of(each, *(["it"] if len(each.chaos) >= 2 else [])),
        rounds=3,
    )
    assert [actor.host for actor in shrunk.scenario.actors] == ["client-2"]
    assert shrunk.scenario.chaos == (weather[2], ChaosStep(2.0, "crash", {"seconds": 1.0}))


def test_first_failure_is_kept_by_default() -> None:
    shrunk = shrink(LONG, try_out=fails_with_interact_and_cut)
    assert (shrunk.scenario.size, shrunk.scenario.actors) == (0, (replace(LONG.actors[-1], steps=(), advanced={}),))


def test_passing_scenario_cannot_be_shrunk() -> None:
    with pytest.raises(NothingToShrinkError, match="got one that does not fail"):
        shrink(LONG, try_out=outcome_of)
    with pytest.raises(
        NothingToShrinkError, match=r"fails with a different: #, got one that fails with it: expected #"
    ):
        shrink(LONG, signature="a different: #", try_out=lambda scenario: outcome_of(scenario, "it"))


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.data())
def test_any_scenario_is_shrunk_to_one_step(seed: int, data: st.DataObject) -> None:
    scenario = draw(seed)
    wanted = data.draw(st.sampled_from(sorted(set(names(scenario)))))
    shrunk = shrink(
        scenario, try_out=lambda each: outcome_of(each, *(["it"] if wanted in names(each) else [])), rounds=5000
    )
    assert names(shrunk.scenario) == [wanted]
    assert shrunk.scenario.size == 1


def test_number_of_tried_scenarios_is_limited() -> None:
    played: list[Scenario] = []

    def try_out(scenario: Scenario) -> Outcome:
        played.append(scenario)
        return outcome_of(scenario, "it")

    shrunk = shrink(LONG, try_out=try_out, rounds=3)
    assert (shrunk.played, len(played)) == (3, 3)
