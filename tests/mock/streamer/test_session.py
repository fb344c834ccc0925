"""The session's table, walked by Hypothesis without a socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.machine import IllegalEventError
from odyssey_mock.streamer.session import INITIAL, TRANSITIONS, Action, Event, SessionMachine, State

FROM_THE_NETWORK = {Event.SOCKET_OPENED, Event.ANSWERED, Event.PEER_LOST, Event.CLIENT_LEFT, Event.SOCKET_LOST}
SERVED = {State.SIGNALING, State.CONNECTING, State.CONNECTED}


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[State, Event, tuple[Action, ...], State]]:
    """What a session goes through: legal events from its beginning on."""
    machine = SessionMachine()
    history = []
    for _ in range(draw(st.integers(1, 30))):
        event = draw(st.sampled_from(sorted(TRANSITIONS[machine.state])))
        before = machine.state
        actions = machine.handle(event)
        history.append((before, event, actions, machine.state))
    return history


def test_every_state_has_a_row_and_every_row_leads_to_a_state() -> None:
    assert set(TRANSITIONS) == set(State)
    reached = {INITIAL} | {target for row in TRANSITIONS.values() for target, _ in row.values()}
    assert reached == set(State)


@pytest.mark.parametrize("state", sorted(SERVED))
def test_nothing_a_client_can_cause_is_illegal_while_it_has_a_socket(state: State) -> None:
    assert set(TRANSITIONS[state]) >= FROM_THE_NETWORK


@pytest.mark.parametrize("state", sorted(State))
def test_the_server_can_shut_a_session_down_in_any_state(state: State) -> None:
    assert TRANSITIONS[state][Event.SHUT_DOWN][0] is State.CLOSED


@given(histories())
def test_the_slot_is_given_back_exactly_once_and_exactly_at_the_close(
    history: list[tuple[State, Event, tuple[Action, ...], State]],
) -> None:
    for before, _, actions, after in history:
        closes = after is State.CLOSED and before is not State.CLOSED
        assert (Action.RELEASE in actions) == closes
    assert sum(actions.count(Action.RELEASE) for _, _, actions, _ in history) <= 1


@given(histories())
def test_a_closed_session_never_comes_back_and_does_nothing_but_refuse(
    history: list[tuple[State, Event, tuple[Action, ...], State]],
) -> None:
    for before, _, actions, after in history:
        if before is State.CLOSED:
            assert after is State.CLOSED
            assert set(actions) <= {Action.REFUSE_SOCKET}


@given(histories())
def test_every_offer_is_hung_up_before_the_next_and_the_channels_open_once_for_each(
    history: list[tuple[State, Event, tuple[Action, ...], State]],
) -> None:
    offered = opened = False
    for _, _, actions, after in history:
        for action in actions:
            if action is Action.SEND_OFFER:
                assert not offered
                offered = True
            elif action is Action.OPEN_CHANNELS:
                assert offered
                assert not opened
                opened = True
            elif action is Action.HANG_UP:
                assert offered
                offered = opened = False
        assert offered == (after in SERVED)


@given(histories())
def test_the_dangling_timer_is_off_exactly_when_a_session_is_up_or_over(
    history: list[tuple[State, Event, tuple[Action, ...], State]],
) -> None:
    armed = True  # from the session's request on
    for _, event, actions, after in history:
        if event is Event.DANGLING:
            armed = False
        for action in actions:
            if action is Action.DISARM_DANGLING:
                assert armed
                armed = False
        assert armed == (after not in {State.CONNECTED, State.CLOSED})


@given(histories())
def test_a_second_socket_is_refused_and_changes_nothing(
    history: list[tuple[State, Event, tuple[Action, ...], State]],
) -> None:
    for before, event, actions, after in history:
        if event is Event.SOCKET_OPENED and before is not State.WAITING:
            assert actions == (Action.REFUSE_SOCKET,)
            assert after is before


@given(st.sampled_from(sorted(State)), st.sampled_from(sorted(Event)))
def test_an_event_the_table_does_not_list_raises_and_leaves_the_state(state: State, event: Event) -> None:
    machine = SessionMachine()
    machine.state = state
    if event in TRANSITIONS[state]:
        machine.handle(event)
        assert machine.state is TRANSITIONS[state][event][0]
    else:
        with pytest.raises(IllegalEventError, match=f"{state} expects one of .*{event} came"):
            machine.handle(event)
        assert machine.state is state
