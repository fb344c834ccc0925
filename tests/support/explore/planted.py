"""Deliberate bugs in client and mock that the explorer must find. Each is a patch that a `with` block applies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

from odyssey_client.connection import connection_machine
from odyssey_client.connection.connection import Connection
from odyssey_client.connection.operation_machine import OperationMachine
from odyssey_client.connection.stream_calls import StreamCalls
from odyssey_client.errors import OdysseyError
from odyssey_client.events import Connected, Disconnected, Event, StatusChanged
from odyssey_client.media.stream import MediaStream
from odyssey_client.models import ConnectionStatus
from odyssey_client.rest.auth import AccessToken
from odyssey_mock.accounts.usage import Usage
from odyssey_mock.explore.server_rules import READ_SEEDS
from odyssey_mock.http import recorded_exchange
from odyssey_mock.sessions.frame_pump import FramePump
from odyssey_mock.sessions.session_lifecycle import SessionLifecycle, SessionVideo
from odyssey_mock.sessions.session_machine import SessionEffect
from odyssey_mock.sessions.stream_controller import RunningStream, StreamController
from odyssey_mock.simulations import job_machine as jobs

type Planted = AbstractContextManager[object]

RULES = frozenset(
    {
        "all_is_well_again",
        "answers_belong",
        "callbacks_in_wire_order",
        "calls_end_with_their_connection",
        "comes_to_rest",
        "every_call_settles",
        "fatal_once",
        "frames_go_forward",
        "handlers_fit_the_status",
        "hours_add_up",
        "interactions_are_applied",
        "jobs_end",
        "jobs_follow_their_machine",
        "no_false_refusal",
        "no_unhandled_error",
        "nothing_is_left",
        "nothing_is_logged_as_an_error",
        "nothing_said_is_lost",
        "one_media_stream",
        "only_our_errors",
        "only_who_is_cancelled_stops",
        "runs_to_its_end",
        "silence_after_disconnect",
        "slots_add_up",
        "slots_are_freed",
        "statuses_are_legal",
        "streams_end",
        "tries_back_off",
    }
)
"""The names of all rules that the explorer checks."""


@dataclass(frozen=True)
class Defect:
    """A deliberate bug in client or mock. The block `with defect.planted():` runs with the bug.

    Attributes:
        name: short description.
        suffers: the effect of the bug on a user.
        planted: function that returns a context manager, which applies the patch and removes it.
        rules: names of the explorer's rules that the bug violates. The explorer must report at least one of them.
        shown_by: a seed whose scenario is short and reveals the bug. Changes of the scenarios can change it.
    """

    name: str
    suffers: str
    planted: Callable[[], Planted]
    rules: frozenset[str]
    shown_by: int


def _a_future_not_settled() -> Planted:
    def settle(self: Connection, error: OdysseyError) -> None:
        self.streaming.close(error)
        self.media_stream.end(error)
        self._events.end()
        # The future that `ready` awaits is not settled.

    return patch.object(Connection, "_settle", settle)


def _calls_left_to_their_limits() -> Planted:
    return patch.object(StreamCalls, "close", lambda *_: None)


def _a_callback_after_disconnect() -> Planted:
    emit = Connection._emit

    def told_later(self: Connection, event: Event) -> None:
        if isinstance(event, Disconnected) and self._handlers.on_disconnected is not None:
            asyncio.get_running_loop().call_later(0.5, self._handlers.on_disconnected)
        else:
            emit(self, event)

    return patch.object(Connection, "_emit", told_later)


def _a_handler_with_another_stream() -> Planted:
    emit = Connection._emit

    def with_another(self: Connection, event: Event) -> None:
        emit(self, Connected(MediaStream()) if isinstance(event, Connected) else event)

    return patch.object(Connection, "_emit", with_another)


def _a_slot_not_freed() -> Planted:
    carry_out = SessionLifecycle._carry_out

    def without_grace(self: SessionLifecycle, effect: SessionEffect) -> None:
        if effect is not SessionEffect.ARM_GRACE:  # without this timer, the session of a lost client is kept forever
            carry_out(self, effect)

    return patch.object(SessionLifecycle, "_carry_out", without_grace)


def _a_retry_without_back_off() -> Planted:
    return patch.object(connection_machine.ReconnectPolicy, "delay", lambda *_: 0.0)


def _a_reconnect_without_back_off() -> Planted:
    return patch.object(connection_machine.ReconnectPolicy, "try_delay", lambda *_: 0.0)


def _a_double_acknowledgement_accepted() -> Planted:
    return patch.object(OperationMachine, "_is_said_twice", lambda *_: False)


def _a_token_not_renewed() -> Planted:
    return patch.object(AccessToken, "discard", lambda *_: None)


def _statuses_reordered() -> Planted:
    emit = Connection._emit

    def without_flicker(self: Connection, event: Event) -> None:
        if isinstance(event, StatusChanged) and event.status is ConnectionStatus.CONNECTING:
            self._tasks.later(0.1, lambda: emit(self, event))
        else:
            emit(self, event)

    return patch.object(Connection, "_emit", without_flicker)


def _a_frame_repeated() -> Planted:
    order = FramePump._order

    def again(self: FramePump, fault: Any, source: Any, index: int, receiver: Any) -> Any:  # Any: passed through
        # If a receiver has lost a frame, repeat the previous frame.
        return order(self, fault, source, index - 1 if index and self._keyframes._lost else index, receiver)

    return patch.object(FramePump, "_order", again)


def _a_task_left() -> Planted:
    cancel_late = Connection._cancel_late

    async def shielded(self: Connection, delivering: set[asyncio.Task[None]]) -> None:
        await asyncio.shield(asyncio.ensure_future(cancel_late(self, delivering)))

    return patch.object(Connection, "_cancel_late", shielded)


def _an_interaction_lost_on_reconnect() -> Planted:
    carry_out = Connection._carry_out

    def forgetful(self: Connection, effect: connection_machine.ConnectionEffect) -> None:
        if isinstance(effect, connection_machine.DropAttempt):
            self.streaming._machine._interactions.clear()
        carry_out(self, effect)

    return patch.object(Connection, "_carry_out", forgetful)


def _a_job_cancelled_that_has_ended() -> Planted:
    completed = {**jobs.TRANSITIONS[jobs.JobState.COMPLETED], jobs.JobEvent.CANCEL: (jobs.JobState.CANCELLED, ())}
    return patch.object(jobs, "TRANSITIONS", MappingProxyType({**jobs.TRANSITIONS, jobs.JobState.COMPLETED: completed}))


def _hours_not_counted() -> Planted:
    return patch.object(Usage, "simulated", lambda *_: None)


def _hours_by_the_wall_clock() -> Planted:
    finish, end = StreamController._finish, RunningStream.end

    def by_the_wall(self: StreamController, running: RunningStream) -> None:
        def end_by_the_wall(stream: RunningStream, next_index: int, now: float) -> None:
            end(stream, next_index, now)
            stream.record.ended_at = self._clock.time()

        with patch.object(RunningStream, "end", end_by_the_wall):
            finish(self, running)

    return patch.object(StreamController, "_finish", by_the_wall)


def _a_failure_told_twice() -> Planted:
    report = connection_machine.Report

    def twice(
        state: connection_machine.ConnectionState, effects: Sequence[type[connection_machine.ConnectionEffect]]
    ) -> tuple[type[connection_machine.ConnectionEffect], ...]:
        is_fatal = state is connection_machine.ConnectionState.FAILED and report in effects
        return (*effects, report) if is_fatal else tuple(effects)

    table = {
        state: {event: (after, twice(after, effects)) for event, (after, effects) in row.items()}
        for state, row in connection_machine.TRANSITIONS.items()
    }
    return patch.object(connection_machine, "TRANSITIONS", MappingProxyType(table))


def _a_stream_left_on_the_air() -> Planted:
    return patch.object(
        SessionVideo, "end", lambda self, why="": self._video.cancel() if self._video is not None else None
    )


def _a_request_that_cannot_be_read() -> Planted:
    described = recorded_exchange._described

    def raising(request: Any, *, route: str, **others: Any) -> Any:  # Any: passed through
        if route == "/sessions/request":
            raise ValueError("planted")
        return described(request, route=route, **others)

    return patch.object(recorded_exchange, "_described", raising)


DEFECTS = (
    Defect(
        "a future not settled",
        "connect() never returns if the connection fails before it is established",
        _a_future_not_settled,
        frozenset({"every_call_settles"}),
        shown_by=121,
    ),
    Defect(
        "pending calls not ended",
        "start_stream(), interact() and end_stream() wait for seconds on a connection that has ended",
        _calls_left_to_their_limits,
        frozenset({"calls_end_with_their_connection"}),
        shown_by=2,
    ),
    Defect(
        "a callback after disconnect",
        "on_disconnected is called after the resources that it needs were closed",
        _a_callback_after_disconnect,
        frozenset({"silence_after_disconnect"}),
        shown_by=0,
    ),
    Defect(
        "a handler with another stream",
        "an application that shows the stream of on_connected shows no frame",
        _a_handler_with_another_stream,
        frozenset({"one_media_stream"}),
        shown_by=0,
    ),
    Defect(
        "a slot not freed",
        "a client that crashed occupies one of the account's sessions forever",
        _a_slot_not_freed,
        frozenset({"slots_are_freed"}),
        shown_by=23,
    ),
    Defect(
        "a retry without back-off",
        "all clients retry without delay while the service recovers",
        _a_retry_without_back_off,
        frozenset({"tries_back_off"}),
        shown_by=32,
    ),
    Defect(
        "a reconnect without back-off",
        "all clients that lost their connection reconnect without delay while the service recovers",
        _a_reconnect_without_back_off,
        frozenset({"tries_back_off"}),
        shown_by=36,
    ),
    Defect(
        "a duplicate acknowledgment accepted",
        "interact() returns the prompt of another interaction, before its own was applied",
        _a_double_acknowledgement_accepted,
        frozenset({"answers_belong", "interactions_are_applied"}),
        shown_by=75,
    ),
    Defect(
        "a token not renewed",
        "after the service has discarded its access token, a client is rejected until its process restarts",
        _a_token_not_renewed,
        frozenset({"no_false_refusal", "all_is_well_again"}),
        shown_by=88,
    ),
    Defect(
        "statuses reordered",
        "an application shows 'connecting' forever while its video plays",
        _statuses_reordered,
        frozenset({"statuses_are_legal"}),
        shown_by=1,
    ),
    Defect(
        "a frame repeated",
        "after a loss the video stutters, and an application that counts frames counts one twice",
        _a_frame_repeated,
        frozenset({"frames_go_forward"}),
        shown_by=6,
    ),
    Defect(
        "a leaked task",
        "every connection leaks a task: memory grows, and asyncio warns at exit",
        _a_task_left,
        frozenset({"nothing_is_left"}),
        shown_by=0,
    ),
    Defect(
        "an interaction lost on reconnect",
        "interact() times out, or does not return when the stream ends, though the interaction was applied",
        _an_interaction_lost_on_reconnect,
        frozenset({"answers_belong", "calls_end_with_their_connection", "every_call_settles"}),
        shown_by=105,
    ),
    Defect(
        "an ended job cancelled",
        "a simulation that completed, and was paid for, is shown as cancelled",
        _a_job_cancelled_that_has_ended,
        frozenset({"jobs_follow_their_machine"}),
        shown_by=1486,
    ),
    Defect(
        "hours not counted",
        "a test of an exhausted monthly quota of hours never reaches the quota",
        _hours_not_counted,
        frozenset({"hours_add_up"}),
        shown_by=933,
    ),
    Defect(
        "hours by the wall clock",
        "an account is charged for a day after the server's clock was set while a stream ran",
        _hours_by_the_wall_clock,
        frozenset({"hours_add_up"}),
        shown_by=706,
    ),
    Defect(
        "a failure reported twice",
        "an application whose on_error opens a dialog opens it twice for one failure",
        _a_failure_told_twice,
        frozenset({"fatal_once"}),
        shown_by=0,
    ),
    Defect(
        "a stream that never ends",
        "hours are counted forever for a stream whose session has ended",
        _a_stream_left_on_the_air,
        frozenset({"streams_end"}),
        shown_by=2,
    ),
    Defect(
        "a request that cannot be read",
        "an exception ends the test that reads the journal, because a request in it cannot be encoded",
        _a_request_that_cannot_be_read,
        frozenset({"no_unhandled_error"}),
        shown_by=READ_SEEDS,
    ),
)
"""All deliberate bugs."""
