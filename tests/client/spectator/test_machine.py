"""The spectator's table, walked by Hypothesis without a connection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.spectator.machine import INITIAL, TRANSITIONS, Action, Event, SpectatorMachine, SpectatorState

OVER = {SpectatorState.CLOSED, SpectatorState.FAILED}


def test_every_state_has_a_row_and_can_be_reached() -> None:
    assert set(TRANSITIONS) == set(SpectatorState)
    reached = {INITIAL} | {state for row in TRANSITIONS.values() for state, _ in row.values()}
    assert reached == set(SpectatorState)


def test_only_coming_up_twice_is_impossible() -> None:
    unlisted = {(state, event) for state in SpectatorState for event in Event if event not in TRANSITIONS[state]}
    assert unlisted == {(SpectatorState.CONNECTED, Event.UP)}
    machine = SpectatorMachine()
    machine.handle(Event.UP)
    with pytest.raises(RuntimeError, match="connected expects refused, lost, ended, leave; up came"):
        machine.handle(Event.UP)


@given(st.lists(st.sampled_from(Event), max_size=12))
def test_whatever_happens_who_waits_hears_once_and_all_that_was_opened_is_let_go_once(events: list[Event]) -> None:
    machine = SpectatorMachine()
    done: list[Action] = []
    for event in events:
        if event not in TRANSITIONS[machine.state]:
            continue
        was_over = machine.is_over
        actions = machine.handle(event)
        assert not (was_over and actions), "nothing follows the end"
        done += actions
    assert machine.is_over == (machine.state in OVER) == (Action.RELEASE in done)
    assert done.count(Action.RELEASE) <= 1
    assert done.count(Action.RESOLVE) + done.count(Action.REJECT) <= 1
    assert done.count(Action.END_VIDEO) + done.count(Action.FAIL_VIDEO) == done.count(Action.RELEASE)
    if Action.CALL_DISCONNECT in done:
        assert done[-1] is Action.CALL_DISCONNECT, "what a callback does to us must hold nothing back"
    # Callbacks are for connections that were up, the error of `connect_to_stream` for those that never were.
    assert (Action.CALL_DISCONNECT in done) == (Action.RESOLVE in done and machine.is_over)
    assert (Action.REJECT in done) == (Action.RESOLVE not in done and machine.is_over)
    assert (Action.FAIL_VIDEO in done) == (machine.state is SpectatorState.FAILED)
