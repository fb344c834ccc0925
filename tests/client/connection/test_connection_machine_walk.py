"""The connection machine, walked at random: whatever can happen in a state is listed there, and leads nowhere odd."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from odyssey_client.config import Reconnect
from odyssey_client.connection import connection_events
from odyssey_client.connection.connection_machine import ConnectionMachine, IllegalEventError, ReconnectPolicy
from odyssey_client.connection.connection_table import State
from odyssey_client.errors import OdysseyAuthError, PeerError, QueueTimeoutError
from odyssey_client.models import ConnectionStatus
from tests.support.connecting import CREDENTIALS, GONE, OFF, OTHERS, RENEWED

S = ConnectionStatus
LEGAL_STATUSES = {
    None: {S.AUTHENTICATING, S.CONNECTING, S.DISCONNECTED},
    S.AUTHENTICATING: {S.AUTHENTICATING, S.CONNECTING, S.FAILED, S.DISCONNECTED},
    S.CONNECTING: {S.CONNECTING, S.CONNECTED, S.FAILED, S.DISCONNECTED},
    S.CONNECTED: {S.RECONNECTING, S.FAILED, S.DISCONNECTED},
    S.RECONNECTING: {S.RECONNECTING, S.CONNECTED, S.FAILED, S.DISCONNECTED},
    S.FAILED: set(),
    S.DISCONNECTED: set(),
}


def told(effects: tuple[connection_events.Effect, ...]) -> list[ConnectionStatus]:
    return [effect.status for effect in effects if isinstance(effect, connection_events.SetStatus)]


CLOSED = st.builds(connection_events.SignalingClosed, st.sampled_from([1000, 1001]), st.text(max_size=5))
LOST = st.builds(connection_events.SignalingClosed, st.sampled_from([None, 1006, 1011]), st.text(max_size=5))
REPORTED = st.builds(
    connection_events.ErrorReported, st.sampled_from(["duration_limit_reached", "streamer_disconnected", "", "?"])
)
REFUSED = st.sampled_from(
    [
        connection_events.SessionRefused(OdysseyAuthError("Invalid API key")),
        connection_events.SessionRefused(QueueTimeoutError("Timed out waiting for a streamer")),
        GONE,
    ]
)
type Drawn = st.SearchStrategy[connection_events.Input]

EVERYWHERE: tuple[Drawn, ...] = (
    st.just(connection_events.Disconnect()),
    st.just(connection_events.Broke(KeyError("unforeseen"))),
)
OPENING: tuple[Drawn, ...] = (
    st.builds(connection_events.SessionOpened, st.sampled_from([RENEWED, OTHERS])),
    REFUSED,
    *EVERYWHERE,
)
QUEUEING: tuple[Drawn, ...] = (st.just(connection_events.NoStreamerFree()), *OPENING)
TIMED_OUT: Drawn = st.just(connection_events.TimedOut())
PEER_LOST: Drawn = st.just(connection_events.PeerLost(PeerError("gone")))
SOCKET: tuple[Drawn, ...] = (CLOSED, LOST, REPORTED, PEER_LOST, *EVERYWHERE)
VIDEO: Drawn = st.just(connection_events.VideoAdded())
CHANNEL: Drawn = st.just(connection_events.ChannelOpened())
RETRY_DUE: Drawn = st.just(connection_events.RetryDue())

HAPPENINGS: dict[State, tuple[Drawn, ...]] = {
    State.IDLE: (st.just(connection_events.Connect()), st.just(connection_events.Connect(CREDENTIALS)), EVERYWHERE[0]),
    State.AUTHENTICATING: QUEUEING,
    State.QUEUEING: QUEUEING,
    State.CONNECTING: (VIDEO, CHANNEL, TIMED_OUT, *SOCKET),
    State.HAVE_VIDEO: (CHANNEL, TIMED_OUT, *SOCKET),
    State.HAVE_CHANNEL: (VIDEO, TIMED_OUT, *SOCKET),
    State.RETRYING: (RETRY_DUE, TIMED_OUT, *EVERYWHERE),
    State.CONNECTED: (st.just(connection_events.Held()), *SOCKET),
    State.LOST: (st.just(connection_events.Held()), st.just(connection_events.ReasonOverdue()), *SOCKET),
    State.WAITING: (RETRY_DUE, *EVERYWHERE),
    State.RENEWING: (TIMED_OUT, *OPENING),
    State.REOPENING: QUEUEING,
    State.REQUEUEING: QUEUEING,
    State.RECONNECTING: (VIDEO, CHANNEL, TIMED_OUT, *SOCKET),
    State.REGAINED_VIDEO: (CHANNEL, TIMED_OUT, *SOCKET),
    State.REGAINED_CHANNEL: (VIDEO, TIMED_OUT, *SOCKET),
    State.DISCONNECTED: (EVERYWHERE[0],),
    State.FAILED: (EVERYWHERE[0],),
}
"""What a network, a service or a user can cause, by the state in which they can: each of it must be listed there."""


@given(data=st.data())
@settings(max_examples=20)
@pytest.mark.parametrize("state", State)
def test_whatever_can_happen_in_a_state_is_listed_there(state: State, data: st.DataObject) -> None:
    for drawn in HAPPENINGS[state]:
        for policy in (
            OFF,
            ReconnectPolicy(),
            ReconnectPolicy(reconnect="same_session"),
            ReconnectPolicy(max_retries=0),
        ):
            machine = ConnectionMachine(policy)
            machine.handle(connection_events.Connect(CREDENTIALS))
            machine.state = state
            machine.handle(data.draw(drawn))


class AnyLife(RuleBasedStateMachine):
    """Whatever can happen, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = ConnectionMachine()
        self.effects: list[connection_events.Effect] = []
        self.was_up = False

    @initialize(
        reconnect=st.sampled_from(["off", "same_session", "new_session"]),
        max_retries=st.integers(min_value=0, max_value=3),
    )
    def with_settings(self, reconnect: Reconnect, max_retries: int) -> None:
        self.policy = ReconnectPolicy(max_retries=max_retries, reconnect=reconnect)
        self.machine = ConnectionMachine(self.policy)

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        was_over = self.machine.is_over
        effects = self.machine.handle(data.draw(st.one_of(HAPPENINGS[self.machine.state])))
        assert not (was_over and effects), "nothing is to be done once all is over"
        self.effects += effects
        self.was_up |= self.machine.is_up

    @precondition(lambda self: self.machine.is_over)
    @rule(data=st.data())
    def an_echo_comes_late(self, data: st.DataObject) -> None:
        echo = data.draw(st.one_of(*SOCKET[:-2], VIDEO, CHANNEL, TIMED_OUT, RETRY_DUE, EVERYWHERE[1]))
        with pytest.raises(IllegalEventError):
            self.machine.handle(echo)

    def count(self, kind: type[connection_events.Effect]) -> int:
        return sum(isinstance(effect, kind) for effect in self.effects)

    @invariant()
    def statuses_follow_one_another_as_they_may(self) -> None:
        statuses = [None, *told(tuple(self.effects))]
        assert all(after in LEGAL_STATUSES[before] for before, after in pairwise(statuses))

    @invariant()
    def a_fatal_error_is_reported_once_and_only_with_failed(self) -> None:
        fatal_ones = [
            effect for effect in self.effects if isinstance(effect, connection_events.Report) and effect.fatal
        ]
        assert len(fatal_ones) == (self.machine.state is State.FAILED)

    @invariant()
    def each_try_to_come_back_has_its_error_and_there_are_no_more_than_allowed(self) -> None:
        losses = [
            effect for effect in self.effects if isinstance(effect, connection_events.Report) and not effect.fatal
        ]
        scheduled = [e for e in self.effects if isinstance(e, connection_events.SetStatus) and "Try " in str(e.message)]
        assert len(losses) == len(scheduled)
        assert self.machine.tries <= self.machine._policy.tries
        assert self.was_up or not losses

    @invariant()
    def connected_is_called_once_and_disconnected_once_for_what_was_up(self) -> None:
        assert self.count(connection_events.CallConnected) == self.was_up
        assert self.count(connection_events.CallDisconnected) == (self.was_up and self.machine.is_over)

    @invariant()
    def a_timer_runs_when_it_is_to_and_only_then(self) -> None:
        timers = [e for e in self.effects if isinstance(e, connection_events.StartTimer | connection_events.StopTimer)]
        runs = bool(timers) and isinstance(timers[-1], connection_events.StartTimer)
        assert self.machine.is_over or runs == (TIMED_OUT in HAPPENINGS[self.machine.state])

    @invariant()
    def an_attempt_is_dropped_before_the_next(self) -> None:
        attempts = [
            type(e)
            for e in self.effects
            if isinstance(e, connection_events.OpenSignaling | connection_events.DropAttempt)
        ]
        assert all(
            pair != (connection_events.OpenSignaling, connection_events.OpenSignaling) for pair in pairwise(attempts)
        )

    @invariant()
    def what_is_over_is_released_once(self) -> None:
        assert self.count(connection_events.Release) == self.machine.is_over


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = settings(max_examples=300, stateful_step_count=40)
