"""Tests of the session machine: its transition table and random walks through it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from odyssey_mock.core.state_machine import IllegalEventError
from odyssey_mock.sessions.session_machine import (
    INITIAL,
    TRANSITIONS,
    SessionEffect,
    SessionEvent,
    SessionMachine,
    SessionState,
)
from tests.support.histories import histories
from tests.support.transition_tables import expected_rows, rows

FROM_THE_NETWORK = {
    SessionEvent.SOCKET_OPENED,
    SessionEvent.ANSWERED,
    SessionEvent.PEER_CLOSED,
    SessionEvent.PEER_ABANDONED,
    SessionEvent.PEER_LOST,
    SessionEvent.CLIENT_LEFT,
    SessionEvent.SOCKET_CLOSED,
    SessionEvent.SOCKET_ABANDONED,
    SessionEvent.SOCKET_LOST,
}
SERVED = {
    SessionState.SIGNALING,
    SessionState.CONNECTING,
    SessionState.CONNECTED,
    SessionState.RETURNING,
    SessionState.REJOINING,
}
"""States of a session with an open signaling socket."""
AWAY = {SessionState.HELD, SessionState.RETURNING, SessionState.REJOINING}
"""States of a session whose client has lost its connection and has not connected again yet."""
UNREAD = {SessionState.WAITING, SessionState.HELD}
"""States of a session that has no signaling socket, and accepts the next one."""

type Step = tuple[SessionState, SessionEvent, tuple[SessionEffect, ...], SessionState]

ROWS: list[Step] = [
    (state, event, effects, after) for state, row in TRANSITIONS.items() for event, (after, effects) in row.items()
]


EXPECTED = """
    waiting    socket_opened       signaling  send_offer
    waiting    dangling            closed     hang_up disarm release
    waiting    unused              closed     hang_up disarm release
    waiting    shut_down           closed     hang_up disarm release
    signaling  socket_opened       signaling  refuse_socket
    signaling  peer_closed         closed     report_unreachable hang_up disarm release
    signaling  peer_abandoned      closed     report_unreachable hang_up disarm release
    signaling  peer_lost           closed     report_unreachable hang_up disarm release
    signaling  client_left         closed     hang_up disarm release
    signaling  socket_closed       waiting    hang_up
    signaling  socket_abandoned    waiting    hang_up
    signaling  socket_lost         waiting    hang_up
    signaling  dangling            closed     report_unreachable hang_up disarm release
    signaling  unused              signaling
    signaling  shut_down           closed     report_shut_down hang_up disarm release
    signaling  answered            connecting apply_answer
    connecting socket_opened       connecting refuse_socket
    connecting peer_closed         closed     report_unreachable hang_up disarm release
    connecting peer_abandoned      closed     report_unreachable hang_up disarm release
    connecting peer_lost           closed     report_unreachable hang_up disarm release
    connecting client_left         closed     hang_up disarm release
    connecting socket_closed       waiting    hang_up
    connecting socket_abandoned    waiting    hang_up
    connecting socket_lost         waiting    hang_up
    connecting dangling            closed     report_unreachable hang_up disarm release
    connecting unused              connecting
    connecting shut_down           closed     report_shut_down hang_up disarm release
    connecting answered            connecting refuse_answer
    connecting description_refused closed     report_bad_answer hang_up disarm release
    connecting peer_connected      connected  disarm arm_limit arm_inactivity start_video open_channels
    connected  socket_opened       connected  refuse_socket
    connected  answered            connected  refuse_answer
    connected  peer_closed         closed     hang_up disarm release
    connected  peer_abandoned      stale      end_stream disarm arm_stale
    connected  peer_lost           held       disarm_inactivity arm_grace drop_connection
    connected  client_left         closed     hang_up disarm release
    connected  socket_closed       closed     hang_up disarm release
    connected  socket_abandoned    stale      hang_up disarm arm_stale
    connected  socket_lost         held       disarm_inactivity arm_grace drop_connection
    connected  stream_overdue      closed     drain hang_up disarm release
    connected  connection_overdue  closed     report_overdue hang_up disarm release
    connected  inactive            closed     hang_up disarm release
    connected  dangling            connected
    connected  grace_over          connected
    connected  unused              connected
    connected  shut_down           closed     report_shut_down hang_up disarm release
    held       socket_opened       returning  send_offer
    held       stream_overdue      closed     hang_up disarm release
    held       connection_overdue  closed     hang_up disarm release
    held       grace_over          closed     hang_up disarm release
    held       dangling            held
    held       unused              held
    held       shut_down           closed     hang_up disarm release
    returning  socket_opened       returning  refuse_socket
    returning  peer_closed         held       drop_connection
    returning  peer_abandoned      held       drop_connection
    returning  peer_lost           held       drop_connection
    returning  client_left         closed     hang_up disarm release
    returning  socket_closed       closed     hang_up disarm release
    returning  socket_abandoned    stale      hang_up disarm arm_stale
    returning  socket_lost         held       drop_connection
    returning  stream_overdue      closed     hang_up disarm release
    returning  connection_overdue  closed     report_overdue hang_up disarm release
    returning  grace_over          closed     report_unreachable hang_up disarm release
    returning  dangling            returning
    returning  unused              returning
    returning  shut_down           closed     report_shut_down hang_up disarm release
    returning  answered            rejoining  apply_answer
    rejoining  socket_opened       rejoining  refuse_socket
    rejoining  peer_closed         held       drop_connection
    rejoining  peer_abandoned      held       drop_connection
    rejoining  peer_lost           held       drop_connection
    rejoining  client_left         closed     hang_up disarm release
    rejoining  socket_closed       closed     hang_up disarm release
    rejoining  socket_abandoned    stale      hang_up disarm arm_stale
    rejoining  socket_lost         held       drop_connection
    rejoining  stream_overdue      closed     hang_up disarm release
    rejoining  connection_overdue  closed     report_overdue hang_up disarm release
    rejoining  grace_over          closed     report_unreachable hang_up disarm release
    rejoining  dangling            rejoining
    rejoining  unused              rejoining
    rejoining  shut_down           closed     report_shut_down hang_up disarm release
    rejoining  answered            rejoining  refuse_answer
    rejoining  description_refused closed     report_bad_answer hang_up disarm release
    rejoining  peer_connected      connected  disarm_grace arm_inactivity resume_video open_channels
    stale      socket_opened       stale      refuse_socket
    stale      answered            stale
    stale      peer_closed         stale
    stale      peer_abandoned      stale
    stale      peer_lost           stale
    stale      client_left         closed     hang_up disarm release
    stale      socket_closed       stale      hang_up
    stale      socket_abandoned    stale      hang_up
    stale      socket_lost         stale      hang_up
    stale      stale_over          closed     hang_up disarm release
    stale      stream_overdue      stale
    stale      connection_overdue  stale
    stale      inactive            stale
    stale      grace_over          stale
    stale      dangling            stale
    stale      unused              stale
    stale      shut_down           closed     hang_up disarm release
    closed     socket_opened       closed     refuse_socket
    closed     answered            closed
    closed     description_refused closed
    closed     peer_connected      closed
    closed     peer_closed         closed
    closed     peer_lost           closed
    closed     client_left         closed
    closed     socket_closed       closed
    closed     peer_abandoned      closed
    closed     socket_abandoned    closed
    closed     socket_lost         closed
    closed     stream_overdue      closed
    closed     connection_overdue  closed
    closed     inactive            closed
    closed     dangling            closed
    closed     unused              closed
    closed     grace_over          closed
    closed     stale_over          closed
    closed     shut_down           closed
"""
"""State, event, next state and effects of every transition."""


def test_each_event_has_its_state_and_effects() -> None:
    assert rows(TRANSITIONS) == expected_rows(EXPECTED)


def test_new_session_is_waiting() -> None:
    machine = SessionMachine()

    assert machine.state is SessionState.WAITING
    with pytest.raises(IllegalEventError, match=r"a session that is waiting expects one of .*, got answered"):
        machine.handle(SessionEvent.ANSWERED)


def test_every_state_has_a_row_and_is_reached() -> None:
    assert set(TRANSITIONS) == set(SessionState)
    reached = {INITIAL} | {target for row in TRANSITIONS.values() for target, _ in row.values()}
    assert reached == set(SessionState)


@pytest.mark.parametrize("state", sorted(SERVED))
def test_network_events_are_legal_with_a_socket(state: SessionState) -> None:
    assert set(TRANSITIONS[state]) >= FROM_THE_NETWORK


@pytest.mark.parametrize("state", sorted(UNREAD))
def test_socket_gets_offer_if_session_has_no_other(state: SessionState) -> None:
    after, effects = TRANSITIONS[state][SessionEvent.SOCKET_OPENED]
    assert after in {SessionState.SIGNALING, SessionState.RETURNING}
    assert effects == (SessionEffect.SEND_OFFER,)


@pytest.mark.parametrize("state", sorted(SessionState))
def test_session_can_be_shut_down_in_any_state(state: SessionState) -> None:
    assert TRANSITIONS[state][SessionEvent.SHUT_DOWN][0] is SessionState.CLOSED


@pytest.mark.parametrize("state", sorted({SessionState.CONNECTED, *AWAY}))
@pytest.mark.parametrize("event", [SessionEvent.CLIENT_LEFT, SessionEvent.SOCKET_CLOSED, SessionEvent.STREAM_OVERDUE])
def test_proper_close_or_stream_limit_ends_session(state: SessionState, event: SessionEvent) -> None:
    if state is SessionState.HELD and event is not SessionEvent.STREAM_OVERDUE:
        assert event not in TRANSITIONS[state], (
            f"expected no transition for {event}, because a held session has no socket; got one"
        )
    else:
        assert TRANSITIONS[state][event][0] is SessionState.CLOSED


def test_abandoned_connection_makes_session_stale() -> None:
    stale = {
        (state, event)
        for state, row in TRANSITIONS.items()
        for event, (after, _) in row.items()
        if after is SessionState.STALE is not state
    }
    assert stale == {
        (SessionState.CONNECTED, SessionEvent.SOCKET_ABANDONED),
        (SessionState.CONNECTED, SessionEvent.PEER_ABANDONED),
        (SessionState.RETURNING, SessionEvent.SOCKET_ABANDONED),
        (SessionState.REJOINING, SessionEvent.SOCKET_ABANDONED),
    }


def test_stale_session_ends_by_goodbye_time_or_server() -> None:
    ends = {event for event, (after, _) in TRANSITIONS[SessionState.STALE].items() if after is SessionState.CLOSED}
    assert ends == {SessionEvent.CLIENT_LEFT, SessionEvent.STALE_OVER, SessionEvent.SHUT_DOWN}


@pytest.mark.parametrize("state", sorted(SessionState))
def test_abandoning_otherwise_equals_closing(state: SessionState) -> None:
    row = TRANSITIONS[state]
    for closed, abandoned in [
        (SessionEvent.PEER_CLOSED, SessionEvent.PEER_ABANDONED),
        (SessionEvent.SOCKET_CLOSED, SessionEvent.SOCKET_ABANDONED),
    ]:
        assert (closed in row) == (abandoned in row)
        if abandoned in row and row[abandoned][0] is not SessionState.STALE:
            assert row[abandoned] == row[closed]


@pytest.mark.parametrize("event", [SessionEvent.SOCKET_LOST, SessionEvent.PEER_LOST])
def test_loss_holds_only_sessions_that_were_connected(event: SessionEvent) -> None:
    held = {state for state in SERVED if TRANSITIONS[state][event][0] is SessionState.HELD}
    assert held == {SessionState.CONNECTED, SessionState.RETURNING, SessionState.REJOINING}


@given(histories(SessionMachine, TRANSITIONS))
def test_slot_is_released_exactly_once_at_the_close(history: list[Step]) -> None:
    for before, _, effects, after in history:
        closes = after is SessionState.CLOSED and before is not SessionState.CLOSED
        assert (SessionEffect.RELEASE in effects) == closes
    assert sum(effects.count(SessionEffect.RELEASE) for _, _, effects, _ in history) <= 1


@given(histories(SessionMachine, TRANSITIONS))
def test_closed_session_only_rejects_sockets(history: list[Step]) -> None:
    for before, _, effects, after in history:
        if before is SessionState.CLOSED:
            assert after is SessionState.CLOSED
            assert set(effects) <= {SessionEffect.REFUSE_SOCKET}


@given(histories(SessionMachine, TRANSITIONS))
def test_second_socket_is_rejected_without_effect(history: list[Step]) -> None:
    for before, event, effects, after in history:
        if event is SessionEvent.SOCKET_OPENED and before not in UNREAD:
            assert effects == (SessionEffect.REFUSE_SOCKET,)
            assert after is before


@pytest.mark.parametrize("step", ROWS, ids=lambda step: f"{step[0]}-{step[1]}")
def test_reports_are_sent_before_the_connection_closes(step: Step) -> None:
    _, _, effects, _ = step
    last = [effect for effect in effects if effect in {SessionEffect.HANG_UP, SessionEffect.DROP_CONNECTION}]
    if last:
        told = [effect for effect in effects if effect is SessionEffect.DRAIN or effect.name.startswith("REPORT")]
        assert effects[: len(told)] == tuple(told)
        assert len(last) == 1


class Sessions(RuleBasedStateMachine):
    """A Hypothesis test that passes random events of a client, a network and a clock to a `SessionMachine`.

    The test checks each effect against a model of the session.
    """

    def __init__(self) -> None:
        super().__init__()
        self.machine = SessionMachine()
        self.line = False
        """Whether the server has sent an offer on the current connection."""
        self.channels = False
        self.video = False
        """Whether the video is running, even if no client receives it."""
        self.shown = False
        self.slot = True
        self.due = {SessionEvent.DANGLING, SessionEvent.UNUSED}

    def _do(self, event: SessionEvent) -> None:
        self.due.discard(event)
        for effect in self.machine.handle(event):
            match effect:
                case SessionEffect.SEND_OFFER:
                    assert not self.line, "expected one offer for each connection, got a second one"
                    self.line = True
                case SessionEffect.START_VIDEO:
                    assert not self.video
                    self.video = self.shown = True
                    self.due.add(SessionEvent.STREAM_OVERDUE)
                case SessionEffect.RESUME_VIDEO:
                    assert self.video
                    assert not self.shown
                    self.shown = True
                case SessionEffect.OPEN_CHANNELS:
                    assert self.line
                    assert not self.channels
                    self.channels = True
                case SessionEffect.DROP_CONNECTION:
                    assert self.line
                    assert self.video
                    self.line = self.channels = self.shown = False
                case SessionEffect.END_STREAM:
                    assert self.video
                    self.channels = self.video = self.shown = False
                case SessionEffect.ARM_STALE:
                    assert SessionEvent.STALE_OVER not in self.due
                    self.due.add(SessionEvent.STALE_OVER)
                case SessionEffect.HANG_UP:
                    self.line = self.channels = self.video = self.shown = False
                case SessionEffect.RELEASE:
                    assert self.slot
                    self.slot = False
                case SessionEffect.ARM_LIMIT:
                    self.due.add(SessionEvent.CONNECTION_OVERDUE)
                case SessionEffect.ARM_INACTIVITY:
                    self.due.add(SessionEvent.INACTIVE)
                case SessionEffect.DISARM_INACTIVITY:
                    self.due.discard(SessionEvent.INACTIVE)
                case SessionEffect.ARM_GRACE:
                    assert SessionEvent.GRACE_OVER not in self.due, (
                        "expected no ARM_GRACE effect while the grace period is running, got one"
                    )
                    self.due.add(SessionEvent.GRACE_OVER)
                case SessionEffect.DISARM_GRACE:
                    assert SessionEvent.GRACE_OVER in self.due
                    self.due.discard(SessionEvent.GRACE_OVER)
                case SessionEffect.DISARM:
                    self.due &= {SessionEvent.UNUSED, SessionEvent.STREAM_OVERDUE}
                case _:
                    pass

    @rule()
    def a_socket_opens(self) -> None:
        self._do(SessionEvent.SOCKET_OPENED)

    @precondition(lambda self: self.line)
    @rule()
    def the_client_answers(self) -> None:
        self._do(SessionEvent.ANSWERED)

    @precondition(lambda self: self.machine.state in {SessionState.CONNECTING, SessionState.REJOINING})
    @rule(event=st.sampled_from([SessionEvent.PEER_CONNECTED, SessionEvent.DESCRIPTION_REFUSED]))
    def the_answer_is_applied(self, event: SessionEvent) -> None:
        self._do(event)

    @precondition(lambda self: self.line)
    @rule(event=st.sampled_from(sorted(FROM_THE_NETWORK - {SessionEvent.SOCKET_OPENED, SessionEvent.ANSWERED})))
    def the_client_goes(self, event: SessionEvent) -> None:
        self._do(event)

    @rule(data=st.data())
    def something_is_due(self, data: st.DataObject) -> None:
        due = sorted(self.due - ({SessionEvent.STREAM_OVERDUE} if not self.video else set()))
        if due:
            self._do(data.draw(st.sampled_from(due)))

    @rule()
    def the_server_ends_it(self) -> None:
        self._do(SessionEvent.SHUT_DOWN)

    @invariant()
    def what_is_there_is_what_the_state_says(self) -> None:
        state = self.machine.state
        if state is not SessionState.STALE:  # its socket is open if the client closed only the peer
            assert self.line == (state in SERVED)
        assert self.channels == (state is SessionState.CONNECTED)
        assert self.shown == (state is SessionState.CONNECTED)
        assert self.video == (state is SessionState.CONNECTED or state in AWAY)
        assert self.slot == (state is not SessionState.CLOSED)

    @invariant()
    def what_is_due_is_what_can_end_that_state(self) -> None:
        state = self.machine.state
        assert (SessionEvent.GRACE_OVER in self.due) == (state in AWAY)
        assert (SessionEvent.STALE_OVER in self.due) == (state is SessionState.STALE)
        assert (SessionEvent.CONNECTION_OVERDUE in self.due) == (state is SessionState.CONNECTED or state in AWAY)
        assert (SessionEvent.INACTIVE in self.due) <= (state is SessionState.CONNECTED)
        assert (SessionEvent.DANGLING in self.due) == (
            state in {SessionState.WAITING, SessionState.SIGNALING, SessionState.CONNECTING}
        )


TestSessions = Sessions.TestCase


@given(st.sampled_from(sorted(SessionState)), st.sampled_from(sorted(SessionEvent)))
def test_unlisted_event_raises_and_keeps_the_state(state: SessionState, event: SessionEvent) -> None:
    machine = SessionMachine()
    machine.state = state
    if event in TRANSITIONS[state]:
        machine.handle(event)
        assert machine.state is TRANSITIONS[state][event][0]
    else:
        with pytest.raises(IllegalEventError, match=f"{state} expects one of .*got {event}"):
            machine.handle(event)
        assert machine.state is state
