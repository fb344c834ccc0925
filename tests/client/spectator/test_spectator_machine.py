"""Tests of the state machine `SpectatorMachine` with random sequences of events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.spectator.spectator_machine import (
    INITIAL,
    TRANSITIONS,
    SpectatorEffect,
    SpectatorEvent,
    SpectatorMachine,
    SpectatorState,
)

OVER = {SpectatorState.CLOSED, SpectatorState.FAILED}


def test_every_state_has_a_row_and_is_reachable() -> None:
    assert set(TRANSITIONS) == set(SpectatorState)
    reached = {INITIAL} | {state for row in TRANSITIONS.values() for state, _ in row.values()}
    assert reached == set(SpectatorState)


def test_only_second_up_event_is_illegal() -> None:
    unlisted = {(s, event) for s in SpectatorState for event in SpectatorEvent if event not in TRANSITIONS[s]}
    assert unlisted == {(SpectatorState.CONNECTED, SpectatorEvent.UP)}
    machine = SpectatorMachine()
    machine.handle(SpectatorEvent.UP)
    with pytest.raises(
        RuntimeError,
        match="expected one of refused, lost, ended, leave for a spectator's connection in state connected, got up",
    ):
        machine.handle(SpectatorEvent.UP)


NOT_MADE = (SpectatorEffect.FAIL_VIDEO, SpectatorEffect.REJECT, SpectatorEffect.RELEASE)
GONE = (SpectatorEffect.FAIL_VIDEO, SpectatorEffect.RELEASE, SpectatorEffect.CALL_DISCONNECT)
LEFT = (SpectatorEffect.END_VIDEO, SpectatorEffect.RELEASE, SpectatorEffect.CALL_DISCONNECT)


@pytest.mark.parametrize(
    ("is_up", "event", "state", "effects"),
    [
        (False, SpectatorEvent.REFUSED, SpectatorState.FAILED, NOT_MADE),
        (False, SpectatorEvent.LOST, SpectatorState.FAILED, NOT_MADE),
        (False, SpectatorEvent.ENDED, SpectatorState.FAILED, NOT_MADE),
        (
            False,
            SpectatorEvent.LEAVE,
            SpectatorState.CLOSED,
            (SpectatorEffect.END_VIDEO, SpectatorEffect.REJECT, SpectatorEffect.RELEASE),
        ),
        (True, SpectatorEvent.REFUSED, SpectatorState.FAILED, GONE),
        (True, SpectatorEvent.LOST, SpectatorState.FAILED, GONE),
        (True, SpectatorEvent.ENDED, SpectatorState.CLOSED, LEFT),
        (True, SpectatorEvent.LEAVE, SpectatorState.CLOSED, LEFT),
    ],
)
def test_each_end_has_its_state_and_effects(
    is_up: bool, event: SpectatorEvent, state: SpectatorState, effects: tuple[SpectatorEffect, ...]
) -> None:
    machine = SpectatorMachine()
    if is_up:
        machine.handle(SpectatorEvent.UP)

    assert machine.handle(event) == effects
    assert machine.state is state


@given(st.lists(st.sampled_from(SpectatorEvent), max_size=12))
def test_random_events_settle_and_release_at_most_once(
    events: list[SpectatorEvent],
) -> None:
    machine = SpectatorMachine()
    done: list[SpectatorEffect] = []
    for event in events:
        if event not in TRANSITIONS[machine.state]:
            continue
        was_over = machine.is_over
        effects = machine.handle(event)
        assert not (was_over and effects), f"expected no effects after the end of the connection, got {effects}"
        done += effects
    assert machine.is_over == (machine.state in OVER) == (SpectatorEffect.RELEASE in done)
    assert done.count(SpectatorEffect.RELEASE) <= 1
    assert done.count(SpectatorEffect.RESOLVE) + done.count(SpectatorEffect.REJECT) <= 1
    ends = done.count(SpectatorEffect.END_VIDEO) + done.count(SpectatorEffect.FAIL_VIDEO)
    assert ends == done.count(SpectatorEffect.RELEASE)
    if SpectatorEffect.CALL_DISCONNECT in done:
        assert done[-1] is SpectatorEffect.CALL_DISCONNECT, (
            f"expected CALL_DISCONNECT to be the last effect, got {done[-1]}"
        )
    # Callbacks are called only if the connection was up. Otherwise `connect_to_stream` raises.
    assert (SpectatorEffect.CALL_DISCONNECT in done) == (SpectatorEffect.RESOLVE in done and machine.is_over)
    assert (SpectatorEffect.REJECT in done) == (SpectatorEffect.RESOLVE not in done and machine.is_over)
    assert (SpectatorEffect.FAIL_VIDEO in done) == (machine.state is SpectatorState.FAILED)
