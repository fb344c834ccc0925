"""The calls that start, steer and end streams over one connection, and the answers they wait for.

Rules:

1. What may happen, and which calls are refused, stands in the table (`operations_table.py`).
2. The machine does nothing but say what is to be done: no channel, no future, no clock.
3. The wire gives answers no number, so they are matched by order: the streamer answers starts in the order they were
   sent, and interactions in theirs. A call that gave up (timed out, cancelled) keeps its place, so that an answer
   that comes late is not taken for the next call's; its place is given up when as much time has passed again. Where
   an answer shows the very text of a later call, and not that of the first in line, it belongs to the later one: the
   first was never answered. An acknowledgement that shows the text of none in line answers nothing where it is the one
   before said twice, or begins with the text of an interaction whose place was given up.
4. A stream error answers the start that waits; else the interaction first in line; else the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from odyssey_client.connection.messages import BroadcastUnusable
from odyssey_client.connection.operation_events import (
    Announce,
    Close,
    Effect,
    End,
    GaveUp,
    Input,
    Interact,
    LoseSession,
    Reject,
    Resolve,
    Start,
)
from odyssey_client.connection.operation_table import INITIAL, REFUSALS, TRANSITIONS, Action, Event, State
from odyssey_client.errors import ConnectionClosedError, InvalidStateError, OdysseyStreamError, SessionLostError
from odyssey_client.events import BroadcastReady, InteractAcknowledged, StreamEnded, StreamError, StreamStarted
from odyssey_client.service_errors import stream_error

_LOST_WHILE_WAITING = (
    "The session was lost before the streamer answered, and its stream with it: whether this was carried out is not "
    "known. Once the status is connected again, a new stream can be started."
)


@dataclass(frozen=True, slots=True)
class _Place:
    """One call's place in line; ``waiting`` no more once the call gave up."""

    call: int
    prompt: str
    waiting: bool = True

    def is_shown_in(self, applied_prompt: str) -> bool:
        prompt = self.prompt.strip().casefold()
        return bool(prompt) and prompt in applied_prompt.casefold()

    def begins(self, applied_prompt: str) -> bool:
        prompt = self.prompt.strip().casefold()
        return bool(prompt) and applied_prompt.strip().casefold().startswith(prompt)


class StreamOperations:
    """One connection's place in `TRANSITIONS`, and the calls that wait for answers."""

    def __init__(self) -> None:
        self.state = INITIAL
        self._starts: list[_Place] = []
        self._interactions: list[_Place] = []
        self._end: int | None = None
        self._acknowledged: tuple[_Place, str] | None = None
        """The interaction that was answered last, and the prompt as it was applied."""
        self._given_up: list[_Place] = []
        """Interactions of this stream that have no place in line any more, and were not answered."""

    @property
    def pending(self) -> frozenset[int]:
        """The calls that wait for an answer."""
        waiting = {place.call for place in (*self._starts, *self._interactions) if place.waiting}
        return frozenset(waiting if self._end is None else waiting | {self._end})

    def handle(self, happened: Input) -> tuple[Effect, ...]:
        """Move on, and say what is to be done, in order.

        Raises:
            InvalidStateError: a call does not fit the present state; nothing has changed.
        """
        event = self._classify(happened)
        transition = TRANSITIONS[self.state].get(event)
        if transition is None:
            refusal = REFUSALS.get((self.state, event))
            if refusal is None:
                raise RuntimeError(f"streaming that is {self.state} does not expect {event}")
            raise InvalidStateError(*refusal)
        self.state, actions = transition
        effects: list[Effect] = []
        for action in actions:
            effects += _ACTIONS[action](self, happened)
        if isinstance(happened, StreamStarted):
            _remove(self._starts, _first_shown(self._starts, happened.applied_prompt))
        return tuple(effects)

    def _classify(self, happened: Input) -> Event:
        match happened:
            case StreamStarted(applied_prompt=prompt):
                place = _first_shown(self._starts, prompt)
                return Event.STARTED if place is not None and place.waiting else Event.STARTED_LATE
            case StreamError():
                return self._classify_failure()
            case GaveUp(call):
                return self._classify_giving_up(call)
        return _EVENTS[type(happened)]

    def _classify_failure(self) -> Event:
        if self.state is State.STARTING and self._starts[0].waiting:
            return Event.START_REFUSED
        if self.state is State.ENDING and not self._interactions:
            return Event.END_REFUSED
        return Event.STREAM_ERROR

    def _classify_giving_up(self, call: int) -> Event:
        if call == self._end:
            return Event.END_GIVEN_UP
        if any(place.call == call and place.waiting for place in self._starts):
            return Event.START_GIVEN_UP
        if any(place.call == call and place.waiting for place in self._interactions):
            return Event.INTERACT_GIVEN_UP
        return Event.PLACE_GIVEN_UP

    def _queue(self, happened: Input) -> list[Effect]:
        match happened:
            case Start(call, prompt):
                self._starts.append(_Place(call, prompt))
            case Interact(call, prompt):
                self._interactions.append(_Place(call, prompt))
            case End(call):
                self._end = call
        return []

    def _abandon(self, happened: Input) -> list[Effect]:
        if isinstance(happened, GaveUp):
            for line in (self._starts, self._interactions):
                line[:] = [_Place(p.call, p.prompt, p.waiting and p.call != happened.call) for p in line]
            self._end = None if self._end == happened.call else self._end
        return []

    def _drop_place(self, happened: Input) -> list[Effect]:
        if isinstance(happened, GaveUp):
            self._given_up += [place for place in self._interactions if place.call == happened.call]
            for line in (self._starts, self._interactions):
                line[:] = [place for place in line if place.call != happened.call]
        return []

    def _resolve_start(self, happened: Input) -> list[Effect]:
        if not isinstance(happened, StreamStarted):
            return []
        place = _first_shown(self._starts, happened.applied_prompt)
        return [] if place is None else [Resolve(place.call, happened.stream_id)]

    def _resolve_interact(self, happened: Input) -> list[Effect]:
        if not isinstance(happened, InteractAcknowledged):
            return []
        place = _first_shown(self._interactions, happened.prompt)
        if place is None or self._is_said_twice(place, happened.prompt) or self._is_too_late(place, happened.prompt):
            return []
        self._interactions.remove(place)
        self._acknowledged = place, happened.prompt
        return [Resolve(place.call, happened.prompt)] if place.waiting else []

    def _is_said_twice(self, place: _Place, applied_prompt: str) -> bool:
        """Whether this acknowledges once more what was answered already, and not what is at ``place`` (rule 3)."""
        if self._acknowledged is None or place.is_shown_in(applied_prompt):
            return False
        former, said = self._acknowledged
        return said == applied_prompt and former.is_shown_in(applied_prompt)

    def _is_too_late(self, place: _Place, applied_prompt: str) -> bool:
        """Whether this acknowledges what was given up long ago, and not what is at ``place`` (rule 3)."""
        if place.is_shown_in(applied_prompt):
            return False
        return any(each.begins(applied_prompt) for each in self._given_up)

    def _resolve_end(self, _: Input) -> list[Effect]:
        call, self._end = self._end, None
        return [] if call is None else [Resolve(call)]

    def _reject_start(self, happened: Input) -> list[Effect]:
        return _reject(self._starts.pop(0), happened)

    def _reject_oldest(self, happened: Input) -> list[Effect]:
        before_a_stream = self.state in {State.IDLE, State.STARTING}
        line = self._starts if before_a_stream and self._starts else self._interactions
        return _reject(line.pop(0), happened) if line else []

    def _reject_end(self, happened: Input) -> list[Effect]:
        call, self._end = self._end, None
        return [] if call is None else _reject(_Place(call, ""), happened)

    def _reject_interactions(self, _: Input) -> list[Effect]:
        line, self._interactions, self._given_up = self._interactions, [], []
        message = "The stream ended before this interaction was acknowledged."
        return [Reject(p.call, OdysseyStreamError("stream_ended", message)) for p in line if p.waiting]

    def _reject_all(self, happened: Input) -> list[Effect]:
        calls = sorted(self.pending)
        self._starts, self._interactions, self._given_up, self._end = [], [], [], None
        match happened:
            case Close(error):
                message = f"The connection ended before the streamer answered: {error}"
                return [Reject(call, ConnectionClosedError(message)) for call in calls]
            case LoseSession():
                return [Reject(call, SessionLostError(_LOST_WHILE_WAITING)) for call in calls]
        return []


def _announce(_: StreamOperations, happened: Input) -> list[Effect]:
    if isinstance(happened, StreamStarted | InteractAcknowledged | StreamEnded | StreamError | BroadcastReady):
        return [Announce(happened)]
    if isinstance(happened, BroadcastUnusable):
        return [Announce(StreamError("broadcast_error", happened.why))]
    return []


def _tell_loss(_: StreamOperations, happened: Input) -> list[Effect]:
    if not isinstance(happened, LoseSession):
        return []
    return [Announce(StreamError(happened.error.code, str(happened.error))), Announce(StreamEnded())]


def _first_shown(line: list[_Place], applied_prompt: str) -> _Place | None:
    """Whose answer this is: the first in line, unless only a later one's text is in it (rule 3)."""
    if not line or line[0].is_shown_in(applied_prompt):
        return line[0] if line else None
    return next((place for place in line if place.is_shown_in(applied_prompt)), line[0])


def _remove(line: list[_Place], place: _Place | None) -> None:
    if place is not None:
        line.remove(place)


def _reject(place: _Place, happened: Input) -> list[Effect]:
    if not place.waiting or not isinstance(happened, StreamError):
        return []
    return [Reject(place.call, stream_error(happened.reason, happened.message))]


_EVENTS: Mapping[type[object], Event] = {
    Start: Event.START,
    Interact: Event.INTERACT,
    End: Event.END,
    InteractAcknowledged: Event.ACKNOWLEDGED,
    StreamEnded: Event.ENDED,
    BroadcastReady: Event.BROADCAST_READY,
    BroadcastUnusable: Event.BROADCAST_UNUSABLE,
    LoseSession: Event.SESSION_LOST,
    Close: Event.CLOSE,
}

_ACTIONS: Mapping[Action, Callable[[StreamOperations, Input], list[Effect]]] = {
    Action.QUEUE_START: StreamOperations._queue,  # noqa: SLF001
    Action.QUEUE_INTERACT: StreamOperations._queue,  # noqa: SLF001
    Action.QUEUE_END: StreamOperations._queue,  # noqa: SLF001
    Action.ANNOUNCE: _announce,
    Action.RESOLVE_START: StreamOperations._resolve_start,  # noqa: SLF001
    Action.RESOLVE_INTERACT: StreamOperations._resolve_interact,  # noqa: SLF001
    Action.RESOLVE_END: StreamOperations._resolve_end,  # noqa: SLF001
    Action.REJECT_START: StreamOperations._reject_start,  # noqa: SLF001
    Action.REJECT_OLDEST: StreamOperations._reject_oldest,  # noqa: SLF001
    Action.REJECT_END: StreamOperations._reject_end,  # noqa: SLF001
    Action.REJECT_INTERACTIONS: StreamOperations._reject_interactions,  # noqa: SLF001
    Action.ABANDON: StreamOperations._abandon,  # noqa: SLF001
    Action.DROP_PLACE: StreamOperations._drop_place,  # noqa: SLF001
    Action.REJECT_ALL: StreamOperations._reject_all,  # noqa: SLF001
    Action.TELL_LOSS: _tell_loss,
}
