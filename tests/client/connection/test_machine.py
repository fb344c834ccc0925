"""The connection machine alone: what it says is to be done, for any order of things that can happen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.connection import machine as m
from odyssey_client.connection import steps
from odyssey_client.connection.machine import ConnectionMachine, IllegalEventError, RetryPolicy
from odyssey_client.connection.machine_table import INITIAL, OVER, TRANSITIONS, Action, Event, State
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
from odyssey_client.models import ClientCredentials, ConnectionStatus

CREDENTIALS = ClientCredentials("session", "ws://streamer", "token", 600)
RENEWED = ClientCredentials("session", "ws://streamer", "token-2", 600)
OTHERS = ClientCredentials("session-2", "ws://streamer", "token-3", 600)
OFF = RetryPolicy(reconnect="off")
GONE = steps.SessionRefused(SessionLostError("The session is gone"))
S = ConnectionStatus


def up(policy: RetryPolicy | None = None) -> ConnectionMachine:
    machine = ConnectionMachine(policy)
    for happened in (steps.Connect(CREDENTIALS), steps.VideoAdded(), steps.ChannelOpened()):
        machine.handle(happened)
    return machine


def lost(policy: RetryPolicy | None = None) -> ConnectionMachine:
    """One that was up, lost its signaling, and has begun its first try to come back."""
    machine = up(policy)
    machine.handle(steps.SignalingClosed(1011))
    machine.handle(steps.RetryDue())
    return machine


def come_back(machine: ConnectionMachine) -> tuple[steps.Effect, ...]:
    for happened in (steps.SessionOpened(RENEWED), steps.VideoAdded()):
        machine.handle(happened)
    return machine.handle(steps.ChannelOpened())


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
    assert machine.handle(steps.ChannelOpened()) == (
        steps.StopTimer(),
        steps.WatchVideo(),
        steps.SetStatus(S.CONNECTED),
        steps.CallConnected(),
    )
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
def test_any_other_close_fails_a_connection_that_was_up_and_may_not_come_back(code: int | None) -> None:
    effects = up(OFF).handle(steps.SignalingClosed(code))
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
    machine = up(OFF)
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


def test_a_lost_connection_is_made_again_with_a_new_token_and_is_no_new_one_to_the_user() -> None:
    machine = up()
    effects = machine.handle(steps.SignalingClosed(1011, "restarting"))
    message = "The signaling connection was lost: close code 1011, restarting. Try 1 of 5 to reconnect follows."
    *_, status, report, retry = effects
    assert steps.DropAttempt() in effects
    assert status == steps.SetStatus(S.RECONNECTING, message)
    assert isinstance(report, steps.Report)
    assert isinstance(report.error, SignalingError)
    assert not report.fatal
    assert retry == steps.ScheduleRetry(0.0)
    assert machine.handle(steps.RetryDue()) == (steps.StartTimer(30.0), steps.RenewSession(CREDENTIALS))
    assert machine.handle(steps.SessionOpened(RENEWED)) == (steps.OpenSignaling(RENEWED),)
    assert machine.handle(steps.ChannelOpened()) == ()
    assert machine.handle(steps.VideoAdded()) == (
        steps.StopTimer(),
        steps.WatchVideo(),
        steps.WatchHold(10.0),
        steps.SetStatus(S.CONNECTED),
    )


def test_a_lost_peer_without_a_reason_is_tried_again_with_its_first_sign() -> None:
    machine = up()
    first = PeerError("the video track ended")
    machine.handle(steps.PeerLost(first))
    machine.handle(steps.PeerLost(PeerError("its state is closed")))
    effects = machine.handle(steps.ReasonOverdue())
    assert told(effects) == [S.RECONNECTING]
    assert steps.Report(first, fatal=False) in effects


@pytest.mark.parametrize(
    "failure",
    [
        steps.SignalingClosed(None, "refused"),
        steps.SignalingClosed(1011),
        steps.PeerLost(PeerError("ICE has failed")),
        steps.TimedOut(),
        steps.ErrorReported("streamer_not_available"),
        steps.ErrorReported("whatever else"),
    ],
    ids=["no socket", "1011", "peer", "too slow", "known error", "unknown error"],
)
def test_tries_are_made_with_growing_waits_and_then_given_up(failure: steps.Input) -> None:
    machine = up()
    effects = machine.handle(steps.SignalingClosed(1011))
    waits = []
    while not machine.is_over:
        waits += [effect.seconds for effect in effects if isinstance(effect, steps.ScheduleRetry)]
        assert steps.DropAttempt() in effects
        machine.handle(steps.RetryDue())
        machine.handle(steps.SessionOpened(RENEWED))
        effects = machine.handle(failure)
    assert waits == [0.0, 1.0, 2.0, 2.0, 2.0]
    status, report, called, released = effects
    assert isinstance(status, steps.SetStatus)
    assert str(status.message).endswith("Given up after 5 tries to reconnect.")
    assert fatal((report,)).__notes__ == ["Given up after 5 tries to reconnect."]
    assert called == steps.CallDisconnected()
    assert isinstance(released, steps.Release)


def test_each_try_names_itself_and_the_wait_before_it() -> None:
    machine = lost(RetryPolicy(max_retries=3))
    (status,) = (e for e in machine.handle(steps.TimedOut()) if isinstance(e, steps.SetStatus))
    assert str(status.message).endswith("still waiting for a new token for the session. The limit is "
        "AdvancedConfig.connect_timeout_s. Try 2 of 3 to reconnect follows in 1 s.")  # fmt: skip


def test_a_connection_that_does_not_hold_uses_up_its_tries() -> None:
    machine = lost(RetryPolicy(max_retries=2))
    come_back(machine)
    assert told(machine.handle(steps.SignalingClosed(1011))) == [S.RECONNECTING]
    machine.handle(steps.RetryDue())
    come_back(machine)
    assert told(machine.handle(steps.SignalingClosed(1011))) == [S.FAILED]


def test_a_connection_that_has_held_has_all_its_tries_again() -> None:
    machine = lost(RetryPolicy(max_retries=1))
    come_back(machine)
    machine.handle(steps.Held())
    effects = machine.handle(steps.SignalingClosed(1011))
    assert told(effects) == [S.RECONNECTING]
    assert effects[-1] == steps.ScheduleRetry(0.0)


def test_a_connection_that_is_lost_in_the_very_moment_it_would_have_held_has_not() -> None:
    machine = lost(RetryPolicy(max_retries=1))
    come_back(machine)
    machine.handle(steps.PeerLost(PeerError("no video")))
    machine.handle(steps.Held())
    assert told(machine.handle(steps.ReasonOverdue())) == [S.FAILED]


@pytest.mark.parametrize("policy", [OFF, RetryPolicy(max_retries=0)], ids=["off", "no tries"])
def test_without_tries_a_loss_is_fatal_at_once(policy: RetryPolicy) -> None:
    machine = up(policy)
    error = fatal(machine.handle(steps.SignalingClosed(1011)))
    assert not getattr(error, "__notes__", [])


def test_a_session_that_is_gone_is_replaced_by_a_new_one() -> None:
    machine = lost()
    stop, lose, open_session = machine.handle(GONE)
    assert stop == steps.StopTimer()
    assert isinstance(lose, steps.LoseSession)
    assert isinstance(lose.error, SessionLostError)
    assert open_session == steps.OpenSession()
    assert machine.handle(steps.NoStreamerFree()) == (steps.SetStatus(S.RECONNECTING, "Waiting for a free streamer"),)
    assert machine.handle(steps.NoStreamerFree()) == ()
    assert machine.handle(steps.SessionOpened(OTHERS)) == (steps.StartTimer(30.0), steps.OpenSignaling(OTHERS))


def test_the_next_try_is_for_the_new_session() -> None:
    machine = lost()
    machine.handle(GONE)
    machine.handle(steps.SessionOpened(OTHERS))
    machine.handle(steps.SignalingClosed(1011))
    assert steps.RenewSession(OTHERS) in machine.handle(steps.RetryDue())


def test_a_session_that_is_gone_is_fatal_where_no_other_will_do() -> None:
    machine = lost(RetryPolicy(reconnect="same_session"))
    assert isinstance(fatal(machine.handle(GONE)), SessionLostError)


def test_a_refusal_that_may_pass_costs_a_try_and_one_that_may_not_is_fatal() -> None:
    machine = lost()
    assert told(machine.handle(steps.SessionRefused(QueueTimeoutError("Timed out waiting for a streamer")))) == [
        S.RECONNECTING
    ]
    machine.handle(steps.RetryDue())
    refusal = OdysseyAuthError("Invalid API key")
    assert fatal(machine.handle(steps.SessionRefused(refusal))) is refusal


def test_the_limit_of_a_connection_is_fatal_during_a_try_too() -> None:
    machine = lost()
    machine.handle(steps.SessionOpened(RENEWED))
    assert isinstance(fatal(machine.handle(steps.ErrorReported("duration_limit_reached"))), ConnectionLimitReachedError)


def test_a_clean_close_during_a_try_is_a_clean_end() -> None:
    machine = lost()
    machine.handle(steps.SessionOpened(RENEWED))
    effects = machine.handle(steps.SignalingClosed(1000))
    assert told(effects) == [S.DISCONNECTED]
    assert steps.CallDisconnected() in effects


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
