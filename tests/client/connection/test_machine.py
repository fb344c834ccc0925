"""The connection machine alone: what it says is to be done, for any order of things that can happen."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from odyssey_client.connection import machine as m
from odyssey_client.connection import steps
from odyssey_client.connection.machine import ConnectionMachine, IllegalEventError, RetryPolicy
from odyssey_client.connection.machine_table import INITIAL, OVER, TRANSITIONS, Action, Event, State
from odyssey_client.errors import (
    ConnectionClosedError,
    ConnectTimeoutError,
    OdysseyAuthError,
    OdysseyError,
    PeerError,
    SignalingError,
    StreamerDisconnectedError,
)
from odyssey_client.models import ClientCredentials, ConnectionStatus

CREDENTIALS = ClientCredentials("session", "ws://streamer", "token", 600)
S = ConnectionStatus
LEGAL_STATUSES = {
    None: {S.AUTHENTICATING, S.CONNECTING, S.DISCONNECTED},
    S.AUTHENTICATING: {S.AUTHENTICATING, S.CONNECTING, S.FAILED, S.DISCONNECTED},
    S.CONNECTING: {S.CONNECTING, S.CONNECTED, S.FAILED, S.DISCONNECTED},
    S.CONNECTED: {S.FAILED, S.DISCONNECTED},
    S.FAILED: set(),
    S.DISCONNECTED: set(),
}


def up(policy: RetryPolicy | None = None) -> ConnectionMachine:
    machine = ConnectionMachine(policy)
    for happened in (steps.Connect(CREDENTIALS), steps.VideoAdded(), steps.ChannelOpened()):
        machine.handle(happened)
    return machine


def told(effects: tuple[steps.Effect, ...]) -> list[ConnectionStatus]:
    return [effect.status for effect in effects if isinstance(effect, steps.SetStatus)]


def fatal(effects: tuple[steps.Effect, ...]) -> OdysseyError:
    (report,) = [effect for effect in effects if isinstance(effect, steps.Report)]
    assert report.fatal
    return report.error


def test_the_usual_way_up_and_down() -> None:
    machine = ConnectionMachine()
    assert machine.handle(steps.Connect()) == (steps.SetStatus(S.AUTHENTICATING), steps.OpenSession())
    assert machine.handle(steps.SessionOpened(CREDENTIALS)) == (
        steps.SetStatus(S.CONNECTING),
        steps.StartTimer(30.0),
        steps.OpenSignaling(CREDENTIALS),
    )
    assert machine.handle(steps.VideoAdded()) == ()
    assert machine.handle(steps.ChannelOpened()) == (steps.SetStatus(S.CONNECTED), steps.CallConnected())
    disconnected, called, released = machine.handle(steps.Disconnect())
    assert disconnected == steps.SetStatus(S.DISCONNECTED)
    assert called == steps.CallDisconnected()
    assert isinstance(released, steps.Release)


def test_the_channel_may_come_before_the_video() -> None:
    machine = ConnectionMachine()
    machine.handle(steps.Connect(CREDENTIALS))
    assert machine.handle(steps.ChannelOpened()) == ()
    assert told(machine.handle(steps.VideoAdded())) == [S.CONNECTED]


def test_a_queue_is_told_once_and_stays_authenticating() -> None:
    machine = ConnectionMachine()
    machine.handle(steps.Connect())
    assert machine.handle(steps.NoStreamerFree()) == (steps.SetStatus(S.AUTHENTICATING, "Waiting for a free streamer"),)
    assert machine.handle(steps.NoStreamerFree()) == ()


def test_signaling_lost_early_is_tried_again_with_growing_waits_and_then_given_up() -> None:
    machine = ConnectionMachine()
    machine.handle(steps.Connect(CREDENTIALS))
    waits = []
    while True:
        effects = machine.handle(steps.SignalingClosed(1011, "restarting"))
        if machine.is_over:
            break
        waits += [effect.seconds for effect in effects if isinstance(effect, steps.ScheduleRetry)]
        assert steps.DropAttempt() in effects
        machine.handle(steps.RetryDue())
    assert waits == [1.0, 2.0, 2.0, 2.0, 2.0]
    error = fatal(effects)
    assert isinstance(error, SignalingError)
    assert "after 6 tries" in str(error)
    assert "1011, restarting" in str(error)


@pytest.mark.parametrize("code", [1000, 1001])
def test_a_clean_close_ends_a_connection_without_an_error(code: int) -> None:
    effects = up().handle(steps.SignalingClosed(code))
    assert told(effects) == [S.DISCONNECTED]
    assert not any(isinstance(effect, steps.Report) for effect in effects)


@pytest.mark.parametrize("code", [None, 1006, 1011, 4000])
def test_any_other_close_fails_a_connection_that_was_up(code: int | None) -> None:
    effects = up().handle(steps.SignalingClosed(code))
    assert told(effects) == [S.FAILED]
    assert isinstance(fatal(effects), SignalingError)
    assert steps.CallDisconnected() in effects


def test_signaling_may_say_why_the_peer_was_lost() -> None:
    machine = up()
    assert machine.handle(steps.PeerLost(PeerError("the video track ended"))) == (steps.AwaitReason(),)
    assert isinstance(fatal(machine.handle(steps.ErrorReported("streamer_disconnected"))), StreamerDisconnectedError)


def test_a_lost_peer_and_a_clean_close_are_a_clean_end() -> None:
    machine = up()
    machine.handle(steps.PeerLost(PeerError("the video track ended")))
    assert told(machine.handle(steps.SignalingClosed(1000))) == [S.DISCONNECTED]


def test_a_lost_peer_without_a_reason_fails_with_its_first_sign() -> None:
    machine = up()
    first = PeerError("the video track ended")
    machine.handle(steps.PeerLost(first))
    machine.handle(steps.PeerLost(PeerError("its state is closed")))
    assert fatal(machine.handle(steps.ReasonOverdue())) is first


@pytest.mark.parametrize(
    ("before", "missing"),
    [
        ((), "the offer"),
        ((steps.VideoAdded(),), "clientToStreamer"),
        ((steps.ChannelOpened(),), "video track"),
        ((steps.SignalingClosed(1011),), "signaling to come back"),
    ],
)
def test_a_time_out_says_what_was_missing(before: tuple[steps.Input, ...], missing: str) -> None:
    machine = ConnectionMachine()
    for happened in (steps.Connect(CREDENTIALS), *before):
        machine.handle(happened)
    error = fatal(machine.handle(steps.TimedOut()))
    assert isinstance(error, ConnectTimeoutError)
    assert missing in str(error)


def test_a_refused_session_fails_with_its_own_error() -> None:
    machine = ConnectionMachine()
    machine.handle(steps.Connect())
    refusal = OdysseyAuthError("Invalid API key")
    assert fatal(machine.handle(steps.SessionRefused(refusal))) is refusal


def test_disconnecting_early_settles_whoever_waits_and_is_no_error() -> None:
    machine = ConnectionMachine()
    machine.handle(steps.Connect())
    status, release = machine.handle(steps.Disconnect())
    assert status == steps.SetStatus(S.DISCONNECTED)
    assert isinstance(release, steps.Release)
    assert isinstance(release.error, ConnectionClosedError)


def test_disconnecting_before_anything_began_is_an_end_like_any_other() -> None:
    machine = ConnectionMachine()
    assert told(machine.handle(steps.Disconnect())) == [S.DISCONNECTED]
    assert machine.is_over


def test_a_defect_fails_the_connection_and_names_its_innermost_cause() -> None:
    group = ExceptionGroup("a task group", [ExceptionGroup("another", [KeyError("unforeseen")])])
    error = fatal(up().handle(steps.Broke(group)))
    assert "KeyError: 'unforeseen'" in str(error)
    assert error.__cause__ is group


def test_an_event_out_of_place_names_state_and_event() -> None:
    machine = up()
    with pytest.raises(IllegalEventError, match=r"connected expects one of .*disconnect.*; retry_due came") as raised:
        machine.handle(steps.RetryDue())
    assert (raised.value.state, raised.value.event) == (State.CONNECTED, Event.RETRY_DUE)


@given(retry=st.integers(0, 1000), multiplier=st.floats(1, 10), first=st.floats(0, 5), limit=st.floats(5, 20))
def test_waits_grow_up_to_their_limit(retry: int, multiplier: float, first: float, limit: float) -> None:
    policy = RetryPolicy(initial_delay=first, max_delay=limit, multiplier=multiplier)
    assert first <= policy.delay(retry) <= policy.delay(retry + 1) <= limit


def test_every_row_of_the_table_can_be_reached_and_every_action_is_used() -> None:
    reached, fresh = {INITIAL}, {INITIAL}
    while fresh:
        fresh = {to for state in fresh for to, _ in TRANSITIONS[state].values()} - reached
        reached |= fresh
    assert reached == set(State) == set(TRANSITIONS)
    assert {action for row in TRANSITIONS.values() for _, actions in row.values() for action in actions} == set(Action)
    assert {event for row in TRANSITIONS.values() for event in row} == set(Event)
    assert set(m._EFFECTS) == set(Action)


def test_a_connection_that_is_over_never_comes_back() -> None:
    assert all(to == state and not actions for state in OVER for to, actions in TRANSITIONS[state].values())


HAPPENINGS: dict[Event, st.SearchStrategy[steps.Input]] = {
    Event.CONNECT: st.just(steps.Connect()),
    Event.CONNECT_WITH_CREDENTIALS: st.just(steps.Connect(CREDENTIALS)),
    Event.NO_STREAMER_FREE: st.just(steps.NoStreamerFree()),
    Event.SESSION_OPENED: st.just(steps.SessionOpened(CREDENTIALS)),
    Event.SESSION_REFUSED: st.just(steps.SessionRefused(OdysseyAuthError("Invalid API key"))),
    Event.VIDEO_ADDED: st.just(steps.VideoAdded()),
    Event.CHANNEL_OPENED: st.just(steps.ChannelOpened()),
    Event.SIGNALING_CLOSED: st.builds(steps.SignalingClosed, st.sampled_from([1000, 1001]), st.text(max_size=5)),
    Event.SIGNALING_LOST: st.builds(steps.SignalingClosed, st.sampled_from([None, 1006, 1011]), st.text(max_size=5)),
    Event.RETRY_DUE: st.just(steps.RetryDue()),
    Event.ERROR_REPORTED: st.builds(steps.ErrorReported, st.text(max_size=5)),
    Event.PEER_LOST: st.just(steps.PeerLost(PeerError("gone"))),
    Event.REASON_OVERDUE: st.just(steps.ReasonOverdue()),
    Event.TIMED_OUT: st.just(steps.TimedOut()),
    Event.DISCONNECT: st.just(steps.Disconnect()),
    Event.BROKE: st.just(steps.Broke(KeyError("unforeseen"))),
}
ALIAS = {Event.SIGNALING_GIVEN_UP: Event.SIGNALING_LOST}


class AnyLife(RuleBasedStateMachine):
    """Whatever happens, in any order that the table allows."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = ConnectionMachine(RetryPolicy(max_retries=2))
        self.effects: list[steps.Effect] = []
        self.was_up = False

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        listed = sorted({ALIAS.get(event, event) for event in TRANSITIONS[self.machine.state]})
        was_over = self.machine.is_over
        effects = self.machine.handle(data.draw(HAPPENINGS[data.draw(st.sampled_from(listed))]))
        assert not (was_over and effects), "nothing is to be done once all is over"
        self.effects += effects
        self.was_up |= self.machine.is_up

    @precondition(lambda self: self.machine.is_over)
    @rule(data=st.data())
    def an_echo_comes_late(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from(sorted(set(HAPPENINGS) - {Event.DISCONNECT})))
        with pytest.raises(IllegalEventError):
            self.machine.handle(data.draw(HAPPENINGS[event]))

    def count(self, kind: type[steps.Effect]) -> int:
        return sum(isinstance(effect, kind) for effect in self.effects)

    @invariant()
    def statuses_follow_one_another_as_they_may(self) -> None:
        statuses = [None, *told(tuple(self.effects))]
        assert all(after in LEGAL_STATUSES[before] for before, after in pairwise(statuses))

    @invariant()
    def a_fatal_error_is_reported_once_and_only_with_failed(self) -> None:
        assert self.count(steps.Report) == (self.machine.state is State.FAILED)

    @invariant()
    def disconnected_is_called_once_for_what_was_up(self) -> None:
        assert self.count(steps.CallConnected) == self.was_up
        assert self.count(steps.CallDisconnected) == (self.was_up and self.machine.is_over)

    @invariant()
    def what_is_over_is_released_once(self) -> None:
        assert self.count(steps.Release) == self.machine.is_over


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = settings(max_examples=150, stateful_step_count=25)
