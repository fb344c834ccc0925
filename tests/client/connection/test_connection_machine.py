"""Tests of the state machine `ConnectionMachine`: its states and effects for fixed and random sequences of events."""

from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from odyssey_client.config import Reconnect
from odyssey_client.connection import connection_machine
from odyssey_client.connection.connection_machine import (
    INITIAL,
    OVER,
    STATUSES,
    TRANSITIONS,
    ConnectionEffect,
    ConnectionEvent,
    ConnectionMachine,
    ConnectionState,
    Guarded,
    IllegalEventError,
    ReasonOverdue,
    ReconnectPolicy,
    RetryDue,
    SetStatus,
)
from odyssey_client.errors import (
    ConnectionClosedError,
    ConnectionLimitReachedError,
    ConnectTimeoutError,
    OdysseyAuthError,
    OdysseyConfigError,
    OdysseyError,
    PeerError,
    QueueTimeoutError,
    SessionLostError,
    SignalingError,
    StreamerDisconnectedError,
)
from odyssey_client.models import ConnectionStatus
from tests.support.connecting import CREDENTIALS, GONE, OFF, OTHERS, RENEWED
from tests.support.transition_tables import expected_rows, rows

S = ConnectionStatus


def up(policy: ReconnectPolicy | None = None) -> ConnectionMachine:
    machine = ConnectionMachine(policy)
    for happened in (
        connection_machine.ConnectWithCredentials(CREDENTIALS),
        connection_machine.VideoAdded(),
        connection_machine.ChannelOpened(),
    ):
        machine.handle(happened)
    return machine


def lost(policy: ReconnectPolicy | None = None) -> ConnectionMachine:
    """Return a machine whose connection lost its signaling socket, and whose first reconnect attempt has begun."""
    machine = up(policy)
    machine.handle(connection_machine.SignalingClosed(1011))
    machine.handle(connection_machine.RetryDue())
    return machine


def come_back(machine: ConnectionMachine) -> tuple[connection_machine.ConnectionEffect, ...]:
    for happened in (connection_machine.SessionOpened(RENEWED), connection_machine.VideoAdded()):
        machine.handle(happened)
    return machine.handle(connection_machine.ChannelOpened())


def told(effects: tuple[connection_machine.ConnectionEffect, ...]) -> list[ConnectionStatus]:
    return [effect.status for effect in effects if isinstance(effect, connection_machine.SetStatus)]


def fatal(effects: tuple[connection_machine.ConnectionEffect, ...]) -> OdysseyError:
    (report,) = [effect for effect in effects if isinstance(effect, connection_machine.Report)]
    assert report.fatal
    return report.error


EXPECTED = """
    idle             Connect                authenticating   SetStatus OpenSession
    idle             ConnectWithCredentials connecting       SetStatus StartTimer OpenSignaling
    idle             Disconnect             disconnected     SetStatus Release
    authenticating   NoStreamerFree         queueing         SetStatus
    authenticating   SessionOpened          connecting       SetStatus StartTimer OpenSignaling
    authenticating   SessionRefused         failed           SetStatus Report Release
    authenticating   Disconnect             disconnected     SetStatus Release
    authenticating   Broke                  failed           SetStatus Report Release
    queueing         NoStreamerFree         queueing
    queueing         SessionOpened          connecting       SetStatus StartTimer OpenSignaling
    queueing         SessionRefused         failed           SetStatus Report Release
    queueing         Disconnect             disconnected     SetStatus Release
    queueing         Broke                  failed           SetStatus Report Release
    connecting       VideoAdded             have_video
    connecting       ChannelOpened          have_channel
    connecting       SignalingClosed        disconnected     SetStatus Release
    connecting       SignalingLost          retrying         SetStatus DropAttempt ScheduleRetry
    connecting       SignalingGivenUp       failed           SetStatus Report Release
    connecting       ErrorReported          failed           SetStatus Report Release
    connecting       PeerLost               failed           SetStatus Report Release
    connecting       TimedOut               failed           SetStatus Report Release
    connecting       Disconnect             disconnected     SetStatus Release
    connecting       Broke                  failed           SetStatus Report Release
    have_video       ChannelOpened          connected        StopTimer WatchVideo SetStatus CallConnected
    have_video       SignalingClosed        disconnected     SetStatus Release
    have_video       SignalingLost          retrying         SetStatus DropAttempt ScheduleRetry
    have_video       SignalingGivenUp       failed           SetStatus Report Release
    have_video       ErrorReported          failed           SetStatus Report Release
    have_video       PeerLost               failed           SetStatus Report Release
    have_video       TimedOut               failed           SetStatus Report Release
    have_video       Disconnect             disconnected     SetStatus Release
    have_video       Broke                  failed           SetStatus Report Release
    have_channel     VideoAdded             connected        StopTimer WatchVideo SetStatus CallConnected
    have_channel     SignalingClosed        disconnected     SetStatus Release
    have_channel     SignalingLost          retrying         SetStatus DropAttempt ScheduleRetry
    have_channel     SignalingGivenUp       failed           SetStatus Report Release
    have_channel     ErrorReported          failed           SetStatus Report Release
    have_channel     PeerLost               failed           SetStatus Report Release
    have_channel     TimedOut               failed           SetStatus Report Release
    have_channel     Disconnect             disconnected     SetStatus Release
    have_channel     Broke                  failed           SetStatus Report Release
    retrying         RetryDue               connecting       SetStatus OpenSignaling
    retrying         TimedOut               failed           SetStatus Report Release
    retrying         Disconnect             disconnected     SetStatus Release
    retrying         Broke                  failed           SetStatus Report Release
    connected        PeerLost               lost             AwaitReason
    connected        Held                   connected
    connected        ConnectionLost         waiting          StopTimer DropAttempt SetStatus Report ScheduleRetry
    connected        GivenUp                failed           SetStatus Report CallDisconnected Release
    connected        Disconnect             disconnected     SetStatus CallDisconnected Release
    connected        Broke                  failed           SetStatus Report CallDisconnected Release
    connected        SignalingClosed        disconnected     SetStatus CallDisconnected Release
    connected        ErrorReported          failed           SetStatus Report CallDisconnected Release
    lost             PeerLost               lost
    lost             Held                   lost
    lost             ConnectionLost         waiting          StopTimer DropAttempt SetStatus Report ScheduleRetry
    lost             GivenUp                failed           SetStatus Report CallDisconnected Release
    lost             Disconnect             disconnected     SetStatus CallDisconnected Release
    lost             Broke                  failed           SetStatus Report CallDisconnected Release
    lost             SignalingClosed        disconnected     SetStatus CallDisconnected Release
    lost             ErrorReported          failed           SetStatus Report CallDisconnected Release
    waiting          RetryDue               renewing         StartTimer RenewSession
    waiting          Disconnect             disconnected     SetStatus CallDisconnected Release
    waiting          Broke                  failed           SetStatus Report CallDisconnected Release
    renewing         SessionOpened          reconnecting     OpenSignaling
    renewing         SessionGone            reopening        StopTimer LoseSession OpenSession
    renewing         SessionRefused         failed           SetStatus Report CallDisconnected Release
    renewing         ConnectionLost         waiting          StopTimer DropAttempt SetStatus Report ScheduleRetry
    renewing         GivenUp                failed           SetStatus Report CallDisconnected Release
    renewing         Disconnect             disconnected     SetStatus CallDisconnected Release
    renewing         Broke                  failed           SetStatus Report CallDisconnected Release
    reopening        NoStreamerFree         requeueing       SetStatus
    reopening        ConnectionLost         waiting          StopTimer DropAttempt SetStatus Report ScheduleRetry
    reopening        GivenUp                failed           SetStatus Report CallDisconnected Release
    reopening        Disconnect             disconnected     SetStatus CallDisconnected Release
    reopening        Broke                  failed           SetStatus Report CallDisconnected Release
    reopening        SessionOpened          reconnecting     StartTimer OpenSignaling
    reopening        SessionRefused         failed           SetStatus Report CallDisconnected Release
    requeueing       NoStreamerFree         requeueing
    requeueing       ConnectionLost         waiting          StopTimer DropAttempt SetStatus Report ScheduleRetry
    requeueing       GivenUp                failed           SetStatus Report CallDisconnected Release
    requeueing       Disconnect             disconnected     SetStatus CallDisconnected Release
    requeueing       Broke                  failed           SetStatus Report CallDisconnected Release
    requeueing       SessionOpened          reconnecting     StartTimer OpenSignaling
    requeueing       SessionRefused         failed           SetStatus Report CallDisconnected Release
    reconnecting     VideoAdded             regained_video
    reconnecting     ChannelOpened          regained_channel
    reconnecting     ConnectionLost         waiting          StopTimer DropAttempt SetStatus Report ScheduleRetry
    reconnecting     GivenUp                failed           SetStatus Report CallDisconnected Release
    reconnecting     Disconnect             disconnected     SetStatus CallDisconnected Release
    reconnecting     Broke                  failed           SetStatus Report CallDisconnected Release
    reconnecting     SignalingClosed        disconnected     SetStatus CallDisconnected Release
    reconnecting     ErrorReported          failed           SetStatus Report CallDisconnected Release
    regained_video   ChannelOpened          connected        StopTimer WatchVideo WatchHold SetStatus
    regained_video   ConnectionLost         waiting          StopTimer DropAttempt SetStatus Report ScheduleRetry
    regained_video   GivenUp                failed           SetStatus Report CallDisconnected Release
    regained_video   Disconnect             disconnected     SetStatus CallDisconnected Release
    regained_video   Broke                  failed           SetStatus Report CallDisconnected Release
    regained_video   SignalingClosed        disconnected     SetStatus CallDisconnected Release
    regained_video   ErrorReported          failed           SetStatus Report CallDisconnected Release
    regained_channel VideoAdded             connected        StopTimer WatchVideo WatchHold SetStatus
    regained_channel ConnectionLost         waiting          StopTimer DropAttempt SetStatus Report ScheduleRetry
    regained_channel GivenUp                failed           SetStatus Report CallDisconnected Release
    regained_channel Disconnect             disconnected     SetStatus CallDisconnected Release
    regained_channel Broke                  failed           SetStatus Report CallDisconnected Release
    regained_channel SignalingClosed        disconnected     SetStatus CallDisconnected Release
    regained_channel ErrorReported          failed           SetStatus Report CallDisconnected Release
    disconnected     Disconnect             disconnected
    failed           Disconnect             failed
"""
"""State, event, next state and effects of every transition."""


def test_each_event_has_its_state_and_effects() -> None:
    assert rows(TRANSITIONS) == expected_rows(EXPECTED)


def test_connect_and_disconnect_effects() -> None:
    machine = ConnectionMachine()
    assert machine.handle(connection_machine.Connect()) == (
        connection_machine.SetStatus(S.AUTHENTICATING),
        connection_machine.OpenSession(),
    )
    assert machine.handle(connection_machine.SessionOpened(CREDENTIALS)) == (
        connection_machine.SetStatus(S.CONNECTING),
        connection_machine.StartTimer(30.0),
        connection_machine.OpenSignaling(CREDENTIALS),
    )
    assert machine.handle(connection_machine.VideoAdded()) == ()
    assert machine.handle(connection_machine.ChannelOpened()) == (
        connection_machine.StopTimer(),
        connection_machine.WatchVideo(),
        connection_machine.SetStatus(S.CONNECTED),
        connection_machine.CallConnected(),
    )
    disconnected, called, released = machine.handle(connection_machine.Disconnect())
    assert disconnected == connection_machine.SetStatus(S.DISCONNECTED)
    assert called == connection_machine.CallDisconnected()
    assert isinstance(released, connection_machine.Release)


def test_channel_may_open_before_video_is_added() -> None:
    machine = ConnectionMachine()
    machine.handle(connection_machine.ConnectWithCredentials(CREDENTIALS))
    assert machine.handle(connection_machine.ChannelOpened()) == ()
    assert told(machine.handle(connection_machine.VideoAdded())) == [S.CONNECTED]


def test_queueing_is_reported_once_as_authenticating() -> None:
    machine = ConnectionMachine()
    machine.handle(connection_machine.Connect())
    assert machine.handle(connection_machine.NoStreamerFree()) == (
        connection_machine.SetStatus(S.AUTHENTICATING, "Waiting for a free streamer"),
    )
    assert machine.handle(connection_machine.NoStreamerFree()) == ()


def test_early_signaling_loss_retries_with_backoff_then_fails() -> None:
    machine = ConnectionMachine()
    machine.handle(connection_machine.ConnectWithCredentials(CREDENTIALS))
    waits = []
    while True:
        effects = machine.handle(connection_machine.SignalingClosed(1011, "restarting"))
        if machine.is_over:
            break
        waits += [effect.seconds for effect in effects if isinstance(effect, connection_machine.ScheduleRetry)]
        assert connection_machine.DropAttempt() in effects
        machine.handle(connection_machine.RetryDue())
    assert waits == [1.0, 2.0, 2.0, 2.0, 2.0]
    error = fatal(effects)
    assert isinstance(error, SignalingError)
    assert "after 6 attempts" in str(error)
    assert "1011, restarting" in str(error)


@pytest.mark.parametrize("code", [1000, 1001])
def test_clean_close_ends_connection_without_error(code: int) -> None:
    effects = up().handle(connection_machine.SignalingClosed(code))
    assert told(effects) == [S.DISCONNECTED]
    assert not any(isinstance(effect, connection_machine.Report) for effect in effects)


@pytest.mark.parametrize("code", [None, 1006, 1011, 4000])
def test_unclean_close_without_reconnect_fails_the_connection(code: int | None) -> None:
    effects = up(OFF).handle(connection_machine.SignalingClosed(code))
    assert told(effects) == [S.FAILED]
    assert isinstance(fatal(effects), SignalingError)
    assert connection_machine.CallDisconnected() in effects


def test_signaling_error_replaces_lost_peer_as_reason() -> None:
    machine = up()
    assert machine.handle(connection_machine.PeerLost(PeerError("the video track ended"))) == (
        connection_machine.AwaitReason(),
    )
    assert isinstance(
        fatal(machine.handle(connection_machine.ErrorReported("streamer_disconnected"))), StreamerDisconnectedError
    )


def test_clean_close_after_lost_peer_is_clean_end() -> None:
    machine = up()
    machine.handle(connection_machine.PeerLost(PeerError("the video track ended")))
    assert told(machine.handle(connection_machine.SignalingClosed(1000))) == [S.DISCONNECTED]


def test_lost_peer_without_reason_fails_with_first_error() -> None:
    machine = up(OFF)
    first = PeerError("the video track ended")
    machine.handle(connection_machine.PeerLost(first))
    machine.handle(connection_machine.PeerLost(PeerError("its state is closed")))
    assert fatal(machine.handle(connection_machine.ReasonOverdue())) is first


@pytest.mark.parametrize(
    ("before", "missing"),
    [
        ((), "the offer and the peer connection"),
        ((connection_machine.VideoAdded(),), "the data channel clientToStreamer"),
        ((connection_machine.ChannelOpened(),), "the video track"),
        ((connection_machine.SignalingClosed(1011),), "signaling to reconnect"),
    ],
)
def test_connect_timeout_names_the_missing_step(
    before: tuple[connection_machine.ConnectionEvent, ...], missing: str
) -> None:
    machine = ConnectionMachine()
    for happened in (connection_machine.ConnectWithCredentials(CREDENTIALS), *before):
        machine.handle(happened)
    assert machine.missing == missing
    error = fatal(machine.handle(connection_machine.TimedOut()))
    assert isinstance(error, ConnectTimeoutError)
    assert str(error) == (
        f"The connection was not up within 30 s: still waiting for {missing}. "
        "Call connect() again, or raise AdvancedConfig.connect_timeout_s."
    )


@pytest.mark.parametrize(
    ("before", "missing"),
    [
        ((), "a new token for the session"),
        ((connection_machine.SessionOpened(RENEWED),), "the offer and the peer connection"),
        (
            (connection_machine.SessionOpened(RENEWED), connection_machine.VideoAdded()),
            "the data channel clientToStreamer",
        ),
        ((connection_machine.SessionOpened(RENEWED), connection_machine.ChannelOpened()), "the video track"),
    ],
)
def test_timeout_of_reconnecting_names_the_missing_step(
    before: tuple[connection_machine.ConnectionEvent, ...], missing: str
) -> None:
    machine = lost()
    for happened in before:
        machine.handle(happened)
    assert machine.missing == missing
    effects = machine.handle(connection_machine.TimedOut())
    (report,) = (each for each in effects if isinstance(each, connection_machine.Report))
    assert isinstance(report.error, ConnectTimeoutError)
    assert str(report.error) == (
        f"The lost connection was not restored within 30 s: still waiting for {missing}. "
        "The limit is AdvancedConfig.connect_timeout_s."
    )


def test_timeout_of_new_session_waits_for_a_response() -> None:
    machine = lost()
    machine.handle(GONE)
    *_, report, _ = machine.handle(connection_machine.TimedOut())
    assert isinstance(report, connection_machine.Report)
    assert "still waiting for a response. The limit is" in str(report.error)


def test_only_unfinished_connection_misses_something() -> None:
    machine = ConnectionMachine()
    assert (machine.missing, up().missing) == ("a session", None)
    machine.handle(connection_machine.Disconnect())
    assert machine.missing is None


@pytest.mark.parametrize(
    ("code", "reason", "closure"),
    [
        (None, "", "it could not be opened"),
        (None, "refused", "refused"),
        (1011, "", "close code 1011"),
        (1011, "restarting", "close code 1011, restarting"),
    ],
)
def test_status_of_retry_names_loss_and_number(code: int | None, reason: str, closure: str) -> None:
    machine = ConnectionMachine()
    machine.handle(connection_machine.ConnectWithCredentials(CREDENTIALS))
    status, *_ = machine.handle(connection_machine.SignalingClosed(code, reason))
    assert status == connection_machine.SetStatus(
        S.CONNECTING, f"The signaling connection was lost: {closure}. Retry 1 of 5 follows."
    )


def test_released_calls_get_the_reason_of_the_close() -> None:
    *_, release = up().handle(connection_machine.SignalingClosed(1000, "bye"))
    assert isinstance(release, connection_machine.Release)
    assert isinstance(release.error, ConnectionClosedError)
    assert str(release.error) == "The service closed the connection (close code 1000, bye)."
    *_, release = up().handle(connection_machine.Disconnect())
    assert isinstance(release, connection_machine.Release)
    assert str(release.error) == "The connection was closed by disconnect()."


def test_disconnect_while_reconnecting_is_the_reason() -> None:
    *_, release = lost().handle(connection_machine.Disconnect())
    assert isinstance(release, connection_machine.Release)
    assert str(release.error) == "The connection was closed by disconnect()."


def test_loss_names_only_early_attempts() -> None:
    machine = ConnectionMachine()
    for happened in (
        connection_machine.ConnectWithCredentials(CREDENTIALS),
        connection_machine.SignalingClosed(1011),
        connection_machine.RetryDue(),
        connection_machine.VideoAdded(),
        connection_machine.ChannelOpened(),
    ):
        machine.handle(happened)
    reconnecting = (connection_machine.RetryDue(), connection_machine.SessionOpened(RENEWED))
    for events in ((), reconnecting):
        for event in events:
            machine.handle(event)
        *_, report, _ = machine.handle(connection_machine.SignalingClosed(1011))
        assert isinstance(report, connection_machine.Report)
        assert str(report.error) == "The signaling connection was lost: close code 1011."


def test_status_of_failure_is_its_error() -> None:
    status, *_ = up(OFF).handle(connection_machine.SignalingClosed(1011))
    assert status == connection_machine.SetStatus(S.FAILED, "The signaling connection was lost: close code 1011.")


def test_rejected_session_fails_with_its_own_error() -> None:
    machine = ConnectionMachine()
    machine.handle(connection_machine.Connect())
    refusal = OdysseyAuthError("Invalid API key")
    assert fatal(machine.handle(connection_machine.SessionRefused(refusal))) is refusal


def test_early_disconnect_settles_waiting_calls_without_error() -> None:
    machine = ConnectionMachine()
    machine.handle(connection_machine.Connect())
    status, release = machine.handle(connection_machine.Disconnect())
    assert status == connection_machine.SetStatus(S.DISCONNECTED)
    assert isinstance(release, connection_machine.Release)
    assert isinstance(release.error, ConnectionClosedError)


def test_disconnect_before_connect_ends_the_connection() -> None:
    machine = ConnectionMachine()
    assert told(machine.handle(connection_machine.Disconnect())) == [S.DISCONNECTED]
    assert machine.is_over


def test_bug_fails_connection_and_names_innermost_cause() -> None:
    group = ExceptionGroup("a task group", [ExceptionGroup("another", [KeyError("unforeseen")])])
    error = fatal(up().handle(connection_machine.Broke(group)))
    assert str(error) == (
        "The connection ended because of a bug in this client (KeyError: 'unforeseen'). Please report it with the "
        "traceback from the log; connect() can be called again."
    )
    assert error.code == "internal_error"
    assert error.__cause__ is group


def test_wrong_configuration_is_no_bug() -> None:
    wrong = OdysseyConfigError("no such file")
    group = ExceptionGroup("a task group", [ExceptionGroup("another", [wrong])])
    assert fatal(up().handle(connection_machine.Broke(group))) is wrong


def test_one_failed_attempt_is_counted_in_the_singular() -> None:
    error = fatal(lost(ReconnectPolicy(max_retries=1)).handle(connection_machine.TimedOut()))
    assert error.__notes__ == ["Gave up after 1 attempt to reconnect."]


def test_illegal_event_error_names_state_and_event() -> None:
    machine = up()
    with pytest.raises(IllegalEventError, match=r"connected expects one of Broke, Conn.*, got RetryDue") as raised:
        machine.handle(connection_machine.RetryDue())
    assert (raised.value.state, raised.value.event) == (ConnectionState.CONNECTED, RetryDue)


def test_lost_connection_reconnects_with_new_token() -> None:
    machine = up()
    effects = machine.handle(connection_machine.SignalingClosed(1011, "restarting"))
    message = "The signaling connection was lost: close code 1011, restarting. Reconnecting now (attempt 1 of 5)."
    *_, status, report, retry = effects
    assert connection_machine.DropAttempt() in effects
    assert status == connection_machine.SetStatus(S.RECONNECTING, message)
    assert isinstance(report, connection_machine.Report)
    assert isinstance(report.error, SignalingError)
    assert not report.fatal
    assert retry == connection_machine.ScheduleRetry(0.0)
    assert machine.handle(connection_machine.RetryDue()) == (
        connection_machine.StartTimer(30.0),
        connection_machine.RenewSession(CREDENTIALS),
    )
    assert machine.handle(connection_machine.SessionOpened(RENEWED)) == (connection_machine.OpenSignaling(RENEWED),)
    assert machine.handle(connection_machine.ChannelOpened()) == ()
    assert machine.handle(connection_machine.VideoAdded()) == (
        connection_machine.StopTimer(),
        connection_machine.WatchVideo(),
        connection_machine.WatchHold(10.0),
        connection_machine.SetStatus(S.CONNECTED),
    )


def test_lost_connection_is_restored_until_up_again() -> None:
    machine = up()
    steps: tuple[ConnectionEvent, ...] = (
        connection_machine.SignalingClosed(1011),
        connection_machine.RetryDue(),
        GONE,
        connection_machine.NoStreamerFree(),
        connection_machine.SessionOpened(RENEWED),
        connection_machine.VideoAdded(),
        connection_machine.ChannelOpened(),
    )
    restoring = []
    for step in steps:
        machine.handle(step)
        restoring.append((machine.is_restoring, machine.is_up))
    assert restoring == [(True, False)] * 6 + [(False, True)]


def test_reconnect_after_lost_peer_reports_first_error() -> None:
    machine = up()
    first = PeerError("the video track ended")
    machine.handle(connection_machine.PeerLost(first))
    machine.handle(connection_machine.PeerLost(PeerError("its state is closed")))
    effects = machine.handle(connection_machine.ReasonOverdue())
    assert told(effects) == [S.RECONNECTING]
    assert connection_machine.Report(first, fatal=False) in effects


@pytest.mark.parametrize(
    "failure",
    [
        connection_machine.SignalingClosed(None, "refused"),
        connection_machine.SignalingClosed(1011),
        connection_machine.PeerLost(PeerError("ICE has failed")),
        connection_machine.TimedOut(),
        connection_machine.ErrorReported("streamer_not_available"),
        connection_machine.ErrorReported("another error"),
    ],
    ids=["no socket", "1011", "peer", "too slow", "known error", "unknown error"],
)
def test_reconnect_attempts_back_off_and_then_fail(failure: connection_machine.ConnectionEvent) -> None:
    machine = up()
    effects = machine.handle(connection_machine.SignalingClosed(1011))
    waits = []
    while not machine.is_over:
        waits += [effect.seconds for effect in effects if isinstance(effect, connection_machine.ScheduleRetry)]
        assert connection_machine.DropAttempt() in effects
        machine.handle(connection_machine.RetryDue())
        machine.handle(connection_machine.SessionOpened(RENEWED))
        effects = machine.handle(failure)
    assert waits == [0.0, 1.0, 2.0, 2.0, 2.0]
    status, report, called, released = effects
    assert isinstance(status, connection_machine.SetStatus)
    assert str(status.message).endswith("Gave up after 5 attempts to reconnect.")
    assert fatal((report,)).__notes__ == ["Gave up after 5 attempts to reconnect."]
    assert called == connection_machine.CallDisconnected()
    assert isinstance(released, connection_machine.Release)


def test_final_loss_of_signaling_is_not_retried() -> None:
    final = connection_machine.SignalingClosed(None, "untrusted", is_final=True)
    opening, reconnecting = ConnectionMachine(), lost()
    opening.handle(connection_machine.ConnectWithCredentials(CREDENTIALS))
    reconnecting.handle(connection_machine.SessionOpened(RENEWED))
    for machine in (opening, reconnecting):
        error = fatal(machine.handle(final))
        assert isinstance(error, SignalingError)
        assert not error.retryable
        assert machine.is_over


def test_reconnect_status_names_attempt_and_wait() -> None:
    machine = lost(ReconnectPolicy(max_retries=3))
    (status,) = (
        e for e in machine.handle(connection_machine.TimedOut()) if isinstance(e, connection_machine.SetStatus)
    )
    assert str(status.message).endswith("still waiting for a new token for the session. The limit is "
        "AdvancedConfig.connect_timeout_s. Reconnecting in 1 s (attempt 2 of 3).")  # fmt: skip


def test_short_lived_connection_uses_up_attempts() -> None:
    machine = lost(ReconnectPolicy(max_retries=2))
    come_back(machine)
    assert told(machine.handle(connection_machine.SignalingClosed(1011))) == [S.RECONNECTING]
    machine.handle(connection_machine.RetryDue())
    come_back(machine)
    assert told(machine.handle(connection_machine.SignalingClosed(1011))) == [S.FAILED]


def test_lasting_connection_resets_the_attempts() -> None:
    machine = lost(ReconnectPolicy(max_retries=1))
    come_back(machine)
    machine.handle(connection_machine.Held())
    effects = machine.handle(connection_machine.SignalingClosed(1011))
    assert told(effects) == [S.RECONNECTING]
    assert effects[-1] == connection_machine.ScheduleRetry(0.0)


def test_held_event_after_loss_does_not_reset_attempts() -> None:
    machine = lost(ReconnectPolicy(max_retries=1))
    come_back(machine)
    machine.handle(connection_machine.PeerLost(PeerError("no video")))
    machine.handle(connection_machine.Held())
    assert told(machine.handle(connection_machine.ReasonOverdue())) == [S.FAILED]


@pytest.mark.parametrize("policy", [OFF, ReconnectPolicy(max_retries=0)], ids=["off", "no retries"])
def test_loss_without_attempts_is_fatal(policy: ReconnectPolicy) -> None:
    machine = up(policy)
    error = fatal(machine.handle(connection_machine.SignalingClosed(1011)))
    assert not getattr(error, "__notes__", [])


def test_lost_session_is_replaced_by_new_one() -> None:
    machine = lost()
    stop, lose, open_session = machine.handle(GONE)
    assert stop == connection_machine.StopTimer()
    assert isinstance(lose, connection_machine.LoseSession)
    assert isinstance(lose.error, SessionLostError)
    assert open_session == connection_machine.OpenSession()
    assert machine.handle(connection_machine.NoStreamerFree()) == (
        connection_machine.SetStatus(S.RECONNECTING, "Waiting for a free streamer"),
    )
    assert machine.handle(connection_machine.NoStreamerFree()) == ()
    assert machine.handle(connection_machine.SessionOpened(OTHERS)) == (
        connection_machine.StartTimer(30.0),
        connection_machine.OpenSignaling(OTHERS),
    )


def test_next_attempt_renews_the_new_session() -> None:
    machine = lost()
    machine.handle(GONE)
    machine.handle(connection_machine.SessionOpened(OTHERS))
    machine.handle(connection_machine.SignalingClosed(1011))
    assert connection_machine.RenewSession(OTHERS) in machine.handle(connection_machine.RetryDue())


def test_lost_session_is_fatal_with_same_session_policy() -> None:
    machine = lost(ReconnectPolicy(reconnect="same_session"))
    assert isinstance(fatal(machine.handle(GONE)), SessionLostError)


def test_only_retryable_rejection_leads_to_another_attempt() -> None:
    machine = lost()
    assert told(
        machine.handle(connection_machine.SessionRefused(QueueTimeoutError("Timed out waiting for a streamer")))
    ) == [S.RECONNECTING]
    machine.handle(connection_machine.RetryDue())
    refusal = OdysseyAuthError("Invalid API key")
    assert fatal(machine.handle(connection_machine.SessionRefused(refusal))) is refusal


def test_duration_limit_is_fatal_while_reconnecting() -> None:
    machine = lost()
    machine.handle(connection_machine.SessionOpened(RENEWED))
    assert isinstance(
        fatal(machine.handle(connection_machine.ErrorReported("duration_limit_reached"))), ConnectionLimitReachedError
    )


def test_clean_close_while_reconnecting_is_clean_end() -> None:
    machine = lost()
    machine.handle(connection_machine.SessionOpened(RENEWED))
    effects = machine.handle(connection_machine.SignalingClosed(1000))
    assert told(effects) == [S.DISCONNECTED]
    assert connection_machine.CallDisconnected() in effects


@given(retry=st.integers(0, 1000), multiplier=st.floats(1, 10), first=st.floats(0, 5), limit=st.floats(5, 20))
def test_retry_delays_grow_up_to_the_limit(retry: int, multiplier: float, first: float, limit: float) -> None:
    policy = ReconnectPolicy(initial_delay=first, max_delay=limit, multiplier=multiplier)
    assert first <= policy.delay(retry) <= policy.delay(retry + 1) <= limit


def test_retry_delay_doubles_by_default() -> None:
    policy = ReconnectPolicy(max_delay=100)
    assert [policy.delay(retry) for retry in range(4)] == [1, 2, 4, 8]


def test_every_state_is_reachable_and_every_effect_used() -> None:
    reached, fresh = {INITIAL}, {INITIAL}
    while fresh:
        fresh = {to for state in fresh for to, _ in TRANSITIONS[state].values()} - reached
        reached |= fresh
    assert reached == set(ConnectionState) == set(TRANSITIONS)
    used = {effect for row in TRANSITIONS.values() for _, effects in row.values() for effect in effects}
    assert used == set(get_args(ConnectionEffect.__value__))
    events = {*get_args(ConnectionEvent.__value__), *get_args(Guarded.__value__)}
    listed = {event for row in TRANSITIONS.values() for event in row}
    assert listed == events - {ReasonOverdue}, (
        "expected the transition table to contain every event except ReasonOverdue, "
        f"got missing events {events - {ReasonOverdue} - listed} and surplus events {listed - events}"
    )


def test_effects_are_creatable_and_reporting_states_have_status() -> None:
    for effect in get_args(ConnectionEffect.__value__):
        assert isinstance(up()._effect(effect), effect)
    told_on = {to for row in TRANSITIONS.values() for to, effects in row.values() if SetStatus in effects}
    assert told_on == set(STATUSES)


def test_final_states_are_never_left() -> None:
    assert all(to == state and not effects for state in OVER for to, effects in TRANSITIONS[state].values())


# Random sequences of events: the table of transitions is complete, and the invariants hold after each event.

LEGAL_STATUSES = {
    None: {S.AUTHENTICATING, S.CONNECTING, S.DISCONNECTED},
    S.AUTHENTICATING: {S.AUTHENTICATING, S.CONNECTING, S.FAILED, S.DISCONNECTED},
    S.CONNECTING: {S.CONNECTING, S.CONNECTED, S.FAILED, S.DISCONNECTED},
    S.CONNECTED: {S.RECONNECTING, S.FAILED, S.DISCONNECTED},
    S.RECONNECTING: {S.RECONNECTING, S.CONNECTED, S.FAILED, S.DISCONNECTED},
    S.FAILED: set(),
    S.DISCONNECTED: set(),
}


CLOSED = st.builds(connection_machine.SignalingClosed, st.sampled_from([1000, 1001]), st.text(max_size=5))
LOST = st.builds(
    connection_machine.SignalingClosed, st.sampled_from([None, 1006, 1011]), st.text(max_size=5), st.booleans()
)
REPORTED = st.builds(
    connection_machine.ErrorReported, st.sampled_from(["duration_limit_reached", "streamer_disconnected", "", "?"])
)
REFUSED = st.sampled_from(
    [
        connection_machine.SessionRefused(OdysseyAuthError("Invalid API key")),
        connection_machine.SessionRefused(QueueTimeoutError("Timed out waiting for a streamer")),
        GONE,
    ]
)
type Drawn = st.SearchStrategy[connection_machine.ConnectionEvent]

EVERYWHERE: tuple[Drawn, ...] = (
    st.just(connection_machine.Disconnect()),
    st.just(connection_machine.Broke(KeyError("unforeseen"))),
)
OPENING: tuple[Drawn, ...] = (
    st.builds(connection_machine.SessionOpened, st.sampled_from([RENEWED, OTHERS])),
    REFUSED,
    *EVERYWHERE,
)
QUEUEING: tuple[Drawn, ...] = (st.just(connection_machine.NoStreamerFree()), *OPENING)
TIMED_OUT: Drawn = st.just(connection_machine.TimedOut())
PEER_LOST: Drawn = st.just(connection_machine.PeerLost(PeerError("gone")))
SOCKET: tuple[Drawn, ...] = (CLOSED, LOST, REPORTED, PEER_LOST, *EVERYWHERE)
VIDEO: Drawn = st.just(connection_machine.VideoAdded())
CHANNEL: Drawn = st.just(connection_machine.ChannelOpened())
RETRY_DUE: Drawn = st.just(connection_machine.RetryDue())

HAPPENINGS: dict[ConnectionState, tuple[Drawn, ...]] = {
    ConnectionState.IDLE: (
        st.just(connection_machine.Connect()),
        st.just(connection_machine.ConnectWithCredentials(CREDENTIALS)),
        EVERYWHERE[0],
    ),
    ConnectionState.AUTHENTICATING: QUEUEING,
    ConnectionState.QUEUEING: QUEUEING,
    ConnectionState.CONNECTING: (VIDEO, CHANNEL, TIMED_OUT, *SOCKET),
    ConnectionState.HAVE_VIDEO: (CHANNEL, TIMED_OUT, *SOCKET),
    ConnectionState.HAVE_CHANNEL: (VIDEO, TIMED_OUT, *SOCKET),
    ConnectionState.RETRYING: (RETRY_DUE, TIMED_OUT, *EVERYWHERE),
    ConnectionState.CONNECTED: (st.just(connection_machine.Held()), *SOCKET),
    ConnectionState.LOST: (st.just(connection_machine.Held()), st.just(connection_machine.ReasonOverdue()), *SOCKET),
    ConnectionState.WAITING: (RETRY_DUE, *EVERYWHERE),
    ConnectionState.RENEWING: (TIMED_OUT, *OPENING),
    ConnectionState.REOPENING: QUEUEING,
    ConnectionState.REQUEUEING: QUEUEING,
    ConnectionState.RECONNECTING: (VIDEO, CHANNEL, TIMED_OUT, *SOCKET),
    ConnectionState.REGAINED_VIDEO: (CHANNEL, TIMED_OUT, *SOCKET),
    ConnectionState.REGAINED_CHANNEL: (VIDEO, TIMED_OUT, *SOCKET),
    ConnectionState.DISCONNECTED: (EVERYWHERE[0],),
    ConnectionState.FAILED: (EVERYWHERE[0],),
}
"""For each state, the events that the network, the service or the caller can cause. `TRANSITIONS` must contain all."""

LEADING_ON: dict[ConnectionState, Drawn] = {
    ConnectionState.IDLE: HAPPENINGS[ConnectionState.IDLE][0],
    ConnectionState.AUTHENTICATING: OPENING[0],
    ConnectionState.QUEUEING: OPENING[0],
    ConnectionState.CONNECTING: VIDEO | CHANNEL,
    ConnectionState.HAVE_VIDEO: CHANNEL,
    ConnectionState.HAVE_CHANNEL: VIDEO,
    ConnectionState.RETRYING: RETRY_DUE,
    ConnectionState.CONNECTED: LOST | PEER_LOST,
    ConnectionState.LOST: LOST,
    ConnectionState.WAITING: RETRY_DUE,
    ConnectionState.RENEWING: OPENING[0] | REFUSED,
    ConnectionState.REOPENING: OPENING[0],
    ConnectionState.REQUEUEING: OPENING[0],
    ConnectionState.RECONNECTING: VIDEO | CHANNEL,
    ConnectionState.REGAINED_VIDEO: CHANNEL,
    ConnectionState.REGAINED_CHANNEL: VIDEO,
}
"""For each state, the events after which the life of the connection goes on. Without them, most lives are short."""


@given(data=st.data())
@settings(max_examples=20)
@pytest.mark.parametrize("state", ConnectionState)
def test_every_possible_event_is_listed_for_its_state(state: ConnectionState, data: st.DataObject) -> None:
    for drawn in HAPPENINGS[state]:
        for policy in (
            OFF,
            ReconnectPolicy(),
            ReconnectPolicy(reconnect="same_session"),
            ReconnectPolicy(max_retries=0),
        ):
            machine = ConnectionMachine(policy)
            machine.handle(connection_machine.ConnectWithCredentials(CREDENTIALS))
            machine.state = state
            machine.handle(data.draw(drawn))


class AnyLife(RuleBasedStateMachine):
    """Hypothesis state machine that passes a `ConnectionMachine` random events that are possible in its state."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = ConnectionMachine()
        self.effects: list[connection_machine.ConnectionEffect] = []
        self.was_up = False
        self.is_led_on = False
        """Whether most events are those of `LEADING_ON`. Other lives mostly end before the connection is up."""

    @initialize(
        reconnect=st.sampled_from(["off", "same_session", "new_session"]),
        max_retries=st.integers(min_value=0, max_value=3),
        is_led_on=st.booleans(),
    )
    def with_settings(self, reconnect: Reconnect, max_retries: int, *, is_led_on: bool) -> None:
        self.is_led_on = is_led_on
        self.policy = ReconnectPolicy(max_retries=max_retries, reconnect=reconnect)
        self.machine = ConnectionMachine(self.policy)

    @rule(data=st.data())
    def handle_possible_event(self, data: st.DataObject) -> None:
        was_over = self.machine.is_over
        state = self.machine.state
        leads_on = self.is_led_on and not was_over and data.draw(st.integers(0, 3)) > 0
        effects = self.machine.handle(data.draw(LEADING_ON[state] if leads_on else st.one_of(HAPPENINGS[state])))
        assert not (was_over and effects), f"expected no effects after the end of the connection, got {effects}"
        self.effects += effects
        self.was_up |= self.machine.is_up

    @precondition(lambda self: self.machine.is_over)
    @rule(data=st.data())
    def late_event_is_illegal(self, data: st.DataObject) -> None:
        echo = data.draw(st.one_of(*SOCKET[:-2], VIDEO, CHANNEL, TIMED_OUT, RETRY_DUE, EVERYWHERE[1]))
        with pytest.raises(IllegalEventError):
            self.machine.handle(echo)

    def count(self, kind: type[connection_machine.ConnectionEffect]) -> int:
        return sum(isinstance(effect, kind) for effect in self.effects)

    @invariant()
    def status_changes_are_legal(self) -> None:
        statuses = [None, *told(tuple(self.effects))]
        assert all(after in LEGAL_STATUSES[before] for before, after in pairwise(statuses))

    @invariant()
    def fatal_error_is_reported_once_if_failed(self) -> None:
        fatal_ones = [
            effect for effect in self.effects if isinstance(effect, connection_machine.Report) and effect.fatal
        ]
        assert len(fatal_ones) == (self.machine.state is ConnectionState.FAILED)

    @invariant()
    def each_reconnect_attempt_reports_an_error_within_limit(self) -> None:
        losses = [
            effect for effect in self.effects if isinstance(effect, connection_machine.Report) and not effect.fatal
        ]
        scheduled = [
            e for e in self.effects if isinstance(e, connection_machine.SetStatus) and "Reconnecting " in str(e.message)
        ]
        assert len(losses) == len(scheduled)
        assert self.machine.tries <= self.machine._policy.tries
        assert self.was_up or not losses

    @invariant()
    def connected_and_disconnected_are_called_once(self) -> None:
        assert self.count(connection_machine.CallConnected) == self.was_up
        assert self.count(connection_machine.CallDisconnected) == (self.was_up and self.machine.is_over)

    @invariant()
    def timer_runs_only_in_states_with_time_limit(self) -> None:
        timers = [
            e for e in self.effects if isinstance(e, connection_machine.StartTimer | connection_machine.StopTimer)
        ]
        runs = bool(timers) and isinstance(timers[-1], connection_machine.StartTimer)
        assert self.machine.is_over or runs == (TIMED_OUT in HAPPENINGS[self.machine.state])

    @invariant()
    def attempt_is_dropped_before_next_one(self) -> None:
        attempts = [
            type(e)
            for e in self.effects
            if isinstance(e, connection_machine.OpenSignaling | connection_machine.DropAttempt)
        ]
        assert all(
            pair != (connection_machine.OpenSignaling, connection_machine.OpenSignaling) for pair in pairwise(attempts)
        )

    @invariant()
    def connection_is_released_once_when_over(self) -> None:
        assert self.count(connection_machine.Release) == self.machine.is_over


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = settings(max_examples=300, stateful_step_count=40)
