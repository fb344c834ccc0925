"""The connection machine alone: what it says is to be done, for any order of things that can happen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.connection import connection_events
from odyssey_client.connection import connection_machine as m
from odyssey_client.connection.connection_machine import ConnectionMachine, IllegalEventError, ReconnectPolicy
from odyssey_client.connection.connection_table import INITIAL, OVER, TRANSITIONS, Action, Event, State
from odyssey_client.errors import (
    ConnectionClosedError,
    ConnectionLimitReachedError,
    ConnectTimeoutError,
    OdysseyAuthError,
    OdysseyError,
    PeerError,
    QueueTimeoutError,
    SessionLostError,
    SignalingError,
    StreamerDisconnectedError,
)
from odyssey_client.models import ConnectionStatus
from tests.support.connecting import CREDENTIALS, GONE, OFF, OTHERS, RENEWED

S = ConnectionStatus


def up(policy: ReconnectPolicy | None = None) -> ConnectionMachine:
    machine = ConnectionMachine(policy)
    for happened in (
        connection_events.Connect(CREDENTIALS),
        connection_events.VideoAdded(),
        connection_events.ChannelOpened(),
    ):
        machine.handle(happened)
    return machine


def lost(policy: ReconnectPolicy | None = None) -> ConnectionMachine:
    """One that was up, lost its signaling, and has begun its first try to come back."""
    machine = up(policy)
    machine.handle(connection_events.SignalingClosed(1011))
    machine.handle(connection_events.RetryDue())
    return machine


def come_back(machine: ConnectionMachine) -> tuple[connection_events.Effect, ...]:
    for happened in (connection_events.SessionOpened(RENEWED), connection_events.VideoAdded()):
        machine.handle(happened)
    return machine.handle(connection_events.ChannelOpened())


def told(effects: tuple[connection_events.Effect, ...]) -> list[ConnectionStatus]:
    return [effect.status for effect in effects if isinstance(effect, connection_events.SetStatus)]


def fatal(effects: tuple[connection_events.Effect, ...]) -> OdysseyError:
    (report,) = [effect for effect in effects if isinstance(effect, connection_events.Report)]
    assert report.fatal
    return report.error


def test_the_usual_way_up_and_down() -> None:
    machine = ConnectionMachine()
    assert machine.handle(connection_events.Connect()) == (
        connection_events.SetStatus(S.AUTHENTICATING),
        connection_events.OpenSession(),
    )
    assert machine.handle(connection_events.SessionOpened(CREDENTIALS)) == (
        connection_events.SetStatus(S.CONNECTING),
        connection_events.StartTimer(30.0),
        connection_events.OpenSignaling(CREDENTIALS),
    )
    assert machine.handle(connection_events.VideoAdded()) == ()
    assert machine.handle(connection_events.ChannelOpened()) == (
        connection_events.StopTimer(),
        connection_events.WatchVideo(),
        connection_events.SetStatus(S.CONNECTED),
        connection_events.CallConnected(),
    )
    disconnected, called, released = machine.handle(connection_events.Disconnect())
    assert disconnected == connection_events.SetStatus(S.DISCONNECTED)
    assert called == connection_events.CallDisconnected()
    assert isinstance(released, connection_events.Release)


def test_the_channel_may_come_before_the_video() -> None:
    machine = ConnectionMachine()
    machine.handle(connection_events.Connect(CREDENTIALS))
    assert machine.handle(connection_events.ChannelOpened()) == ()
    assert told(machine.handle(connection_events.VideoAdded())) == [S.CONNECTED]


def test_a_queue_is_told_once_and_stays_authenticating() -> None:
    machine = ConnectionMachine()
    machine.handle(connection_events.Connect())
    assert machine.handle(connection_events.NoStreamerFree()) == (
        connection_events.SetStatus(S.AUTHENTICATING, "Waiting for a free streamer"),
    )
    assert machine.handle(connection_events.NoStreamerFree()) == ()


def test_signaling_lost_early_is_tried_again_with_growing_waits_and_then_given_up() -> None:
    machine = ConnectionMachine()
    machine.handle(connection_events.Connect(CREDENTIALS))
    waits = []
    while True:
        effects = machine.handle(connection_events.SignalingClosed(1011, "restarting"))
        if machine.is_over:
            break
        waits += [effect.seconds for effect in effects if isinstance(effect, connection_events.ScheduleRetry)]
        assert connection_events.DropAttempt() in effects
        machine.handle(connection_events.RetryDue())
    assert waits == [1.0, 2.0, 2.0, 2.0, 2.0]
    error = fatal(effects)
    assert isinstance(error, SignalingError)
    assert "after 6 tries" in str(error)
    assert "1011, restarting" in str(error)


@pytest.mark.parametrize("code", [1000, 1001])
def test_a_clean_close_ends_a_connection_without_an_error(code: int) -> None:
    effects = up().handle(connection_events.SignalingClosed(code))
    assert told(effects) == [S.DISCONNECTED]
    assert not any(isinstance(effect, connection_events.Report) for effect in effects)


@pytest.mark.parametrize("code", [None, 1006, 1011, 4000])
def test_any_other_close_fails_a_connection_that_was_up_and_may_not_come_back(code: int | None) -> None:
    effects = up(OFF).handle(connection_events.SignalingClosed(code))
    assert told(effects) == [S.FAILED]
    assert isinstance(fatal(effects), SignalingError)
    assert connection_events.CallDisconnected() in effects


def test_signaling_may_say_why_the_peer_was_lost() -> None:
    machine = up()
    assert machine.handle(connection_events.PeerLost(PeerError("the video track ended"))) == (
        connection_events.AwaitReason(),
    )
    assert isinstance(
        fatal(machine.handle(connection_events.ErrorReported("streamer_disconnected"))), StreamerDisconnectedError
    )


def test_a_lost_peer_and_a_clean_close_are_a_clean_end() -> None:
    machine = up()
    machine.handle(connection_events.PeerLost(PeerError("the video track ended")))
    assert told(machine.handle(connection_events.SignalingClosed(1000))) == [S.DISCONNECTED]


def test_a_lost_peer_without_a_reason_fails_with_its_first_sign() -> None:
    machine = up(OFF)
    first = PeerError("the video track ended")
    machine.handle(connection_events.PeerLost(first))
    machine.handle(connection_events.PeerLost(PeerError("its state is closed")))
    assert fatal(machine.handle(connection_events.ReasonOverdue())) is first


@pytest.mark.parametrize(
    ("before", "missing"),
    [
        ((), "the offer"),
        ((connection_events.VideoAdded(),), "clientToStreamer"),
        ((connection_events.ChannelOpened(),), "video track"),
        ((connection_events.SignalingClosed(1011),), "signaling to come back"),
    ],
)
def test_a_time_out_says_what_was_missing(before: tuple[connection_events.Input, ...], missing: str) -> None:
    machine = ConnectionMachine()
    for happened in (connection_events.Connect(CREDENTIALS), *before):
        machine.handle(happened)
    error = fatal(machine.handle(connection_events.TimedOut()))
    assert isinstance(error, ConnectTimeoutError)
    assert missing in str(error)


def test_a_refused_session_fails_with_its_own_error() -> None:
    machine = ConnectionMachine()
    machine.handle(connection_events.Connect())
    refusal = OdysseyAuthError("Invalid API key")
    assert fatal(machine.handle(connection_events.SessionRefused(refusal))) is refusal


def test_disconnecting_early_settles_whoever_waits_and_is_no_error() -> None:
    machine = ConnectionMachine()
    machine.handle(connection_events.Connect())
    status, release = machine.handle(connection_events.Disconnect())
    assert status == connection_events.SetStatus(S.DISCONNECTED)
    assert isinstance(release, connection_events.Release)
    assert isinstance(release.error, ConnectionClosedError)


def test_disconnecting_before_anything_began_is_an_end_like_any_other() -> None:
    machine = ConnectionMachine()
    assert told(machine.handle(connection_events.Disconnect())) == [S.DISCONNECTED]
    assert machine.is_over


def test_a_defect_fails_the_connection_and_names_its_innermost_cause() -> None:
    group = ExceptionGroup("a task group", [ExceptionGroup("another", [KeyError("unforeseen")])])
    error = fatal(up().handle(connection_events.Broke(group)))
    assert "KeyError: 'unforeseen'" in str(error)
    assert error.__cause__ is group


def test_an_event_out_of_place_names_state_and_event() -> None:
    machine = up()
    with pytest.raises(IllegalEventError, match=r"connected expects one of .*disconnect.*; retry_due came") as raised:
        machine.handle(connection_events.RetryDue())
    assert (raised.value.state, raised.value.event) == (State.CONNECTED, Event.RETRY_DUE)


def test_a_lost_connection_is_made_again_with_a_new_token_and_is_no_new_one_to_the_user() -> None:
    machine = up()
    effects = machine.handle(connection_events.SignalingClosed(1011, "restarting"))
    message = "The signaling connection was lost: close code 1011, restarting. Try 1 of 5 to reconnect follows."
    *_, status, report, retry = effects
    assert connection_events.DropAttempt() in effects
    assert status == connection_events.SetStatus(S.RECONNECTING, message)
    assert isinstance(report, connection_events.Report)
    assert isinstance(report.error, SignalingError)
    assert not report.fatal
    assert retry == connection_events.ScheduleRetry(0.0)
    assert machine.handle(connection_events.RetryDue()) == (
        connection_events.StartTimer(30.0),
        connection_events.RenewSession(CREDENTIALS),
    )
    assert machine.handle(connection_events.SessionOpened(RENEWED)) == (connection_events.OpenSignaling(RENEWED),)
    assert machine.handle(connection_events.ChannelOpened()) == ()
    assert machine.handle(connection_events.VideoAdded()) == (
        connection_events.StopTimer(),
        connection_events.WatchVideo(),
        connection_events.WatchHold(10.0),
        connection_events.SetStatus(S.CONNECTED),
    )


def test_a_lost_peer_without_a_reason_is_tried_again_with_its_first_sign() -> None:
    machine = up()
    first = PeerError("the video track ended")
    machine.handle(connection_events.PeerLost(first))
    machine.handle(connection_events.PeerLost(PeerError("its state is closed")))
    effects = machine.handle(connection_events.ReasonOverdue())
    assert told(effects) == [S.RECONNECTING]
    assert connection_events.Report(first, fatal=False) in effects


@pytest.mark.parametrize(
    "failure",
    [
        connection_events.SignalingClosed(None, "refused"),
        connection_events.SignalingClosed(1011),
        connection_events.PeerLost(PeerError("ICE has failed")),
        connection_events.TimedOut(),
        connection_events.ErrorReported("streamer_not_available"),
        connection_events.ErrorReported("whatever else"),
    ],
    ids=["no socket", "1011", "peer", "too slow", "known error", "unknown error"],
)
def test_tries_are_made_with_growing_waits_and_then_given_up(failure: connection_events.Input) -> None:
    machine = up()
    effects = machine.handle(connection_events.SignalingClosed(1011))
    waits = []
    while not machine.is_over:
        waits += [effect.seconds for effect in effects if isinstance(effect, connection_events.ScheduleRetry)]
        assert connection_events.DropAttempt() in effects
        machine.handle(connection_events.RetryDue())
        machine.handle(connection_events.SessionOpened(RENEWED))
        effects = machine.handle(failure)
    assert waits == [0.0, 1.0, 2.0, 2.0, 2.0]
    status, report, called, released = effects
    assert isinstance(status, connection_events.SetStatus)
    assert str(status.message).endswith("Given up after 5 tries to reconnect.")
    assert fatal((report,)).__notes__ == ["Given up after 5 tries to reconnect."]
    assert called == connection_events.CallDisconnected()
    assert isinstance(released, connection_events.Release)


def test_each_try_names_itself_and_the_wait_before_it() -> None:
    machine = lost(ReconnectPolicy(max_retries=3))
    (status,) = (e for e in machine.handle(connection_events.TimedOut()) if isinstance(e, connection_events.SetStatus))
    assert str(status.message).endswith("still waiting for a new token for the session. The limit is "
        "AdvancedConfig.connect_timeout_s. Try 2 of 3 to reconnect follows in 1 s.")  # fmt: skip


def test_a_connection_that_does_not_hold_uses_up_its_tries() -> None:
    machine = lost(ReconnectPolicy(max_retries=2))
    come_back(machine)
    assert told(machine.handle(connection_events.SignalingClosed(1011))) == [S.RECONNECTING]
    machine.handle(connection_events.RetryDue())
    come_back(machine)
    assert told(machine.handle(connection_events.SignalingClosed(1011))) == [S.FAILED]


def test_a_connection_that_has_held_has_all_its_tries_again() -> None:
    machine = lost(ReconnectPolicy(max_retries=1))
    come_back(machine)
    machine.handle(connection_events.Held())
    effects = machine.handle(connection_events.SignalingClosed(1011))
    assert told(effects) == [S.RECONNECTING]
    assert effects[-1] == connection_events.ScheduleRetry(0.0)


def test_a_connection_that_is_lost_in_the_very_moment_it_would_have_held_has_not() -> None:
    machine = lost(ReconnectPolicy(max_retries=1))
    come_back(machine)
    machine.handle(connection_events.PeerLost(PeerError("no video")))
    machine.handle(connection_events.Held())
    assert told(machine.handle(connection_events.ReasonOverdue())) == [S.FAILED]


@pytest.mark.parametrize("policy", [OFF, ReconnectPolicy(max_retries=0)], ids=["off", "no tries"])
def test_without_tries_a_loss_is_fatal_at_once(policy: ReconnectPolicy) -> None:
    machine = up(policy)
    error = fatal(machine.handle(connection_events.SignalingClosed(1011)))
    assert not getattr(error, "__notes__", [])


def test_a_session_that_is_gone_is_replaced_by_a_new_one() -> None:
    machine = lost()
    stop, lose, open_session = machine.handle(GONE)
    assert stop == connection_events.StopTimer()
    assert isinstance(lose, connection_events.LoseSession)
    assert isinstance(lose.error, SessionLostError)
    assert open_session == connection_events.OpenSession()
    assert machine.handle(connection_events.NoStreamerFree()) == (
        connection_events.SetStatus(S.RECONNECTING, "Waiting for a free streamer"),
    )
    assert machine.handle(connection_events.NoStreamerFree()) == ()
    assert machine.handle(connection_events.SessionOpened(OTHERS)) == (
        connection_events.StartTimer(30.0),
        connection_events.OpenSignaling(OTHERS),
    )


def test_the_next_try_is_for_the_new_session() -> None:
    machine = lost()
    machine.handle(GONE)
    machine.handle(connection_events.SessionOpened(OTHERS))
    machine.handle(connection_events.SignalingClosed(1011))
    assert connection_events.RenewSession(OTHERS) in machine.handle(connection_events.RetryDue())


def test_a_session_that_is_gone_is_fatal_where_no_other_will_do() -> None:
    machine = lost(ReconnectPolicy(reconnect="same_session"))
    assert isinstance(fatal(machine.handle(GONE)), SessionLostError)


def test_a_refusal_that_may_pass_costs_a_try_and_one_that_may_not_is_fatal() -> None:
    machine = lost()
    assert told(
        machine.handle(connection_events.SessionRefused(QueueTimeoutError("Timed out waiting for a streamer")))
    ) == [S.RECONNECTING]
    machine.handle(connection_events.RetryDue())
    refusal = OdysseyAuthError("Invalid API key")
    assert fatal(machine.handle(connection_events.SessionRefused(refusal))) is refusal


def test_the_limit_of_a_connection_is_fatal_during_a_try_too() -> None:
    machine = lost()
    machine.handle(connection_events.SessionOpened(RENEWED))
    assert isinstance(
        fatal(machine.handle(connection_events.ErrorReported("duration_limit_reached"))), ConnectionLimitReachedError
    )


def test_a_clean_close_during_a_try_is_a_clean_end() -> None:
    machine = lost()
    machine.handle(connection_events.SessionOpened(RENEWED))
    effects = machine.handle(connection_events.SignalingClosed(1000))
    assert told(effects) == [S.DISCONNECTED]
    assert connection_events.CallDisconnected() in effects


@given(retry=st.integers(0, 1000), multiplier=st.floats(1, 10), first=st.floats(0, 5), limit=st.floats(5, 20))
def test_waits_grow_up_to_their_limit(retry: int, multiplier: float, first: float, limit: float) -> None:
    policy = ReconnectPolicy(initial_delay=first, max_delay=limit, multiplier=multiplier)
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
