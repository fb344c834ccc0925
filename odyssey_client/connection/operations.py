"""Starting, steering and ending streams over one connection, as a table (protocol.md section 4).

Rules:

1. What may happen lives in `TRANSITIONS`, which calls are refused in `REFUSALS`, and nowhere else.
2. The machine does nothing but say what is to be done: no channel, no future, no clock.
3. The wire gives answers no number, so they are matched by order: the streamer answers starts in the order they were
   sent, and interactions in theirs. A call that gave up (timed out, cancelled) keeps its place, so that an answer
   that comes late is not taken for the next call's; its place is given up when as much time has passed again. Where
   an answer shows the very text of a later call, and not that of the first in line, it belongs to the later one: the
   first was never answered.
4. A stream error answers the start that waits; else the interaction first in line; else the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from odyssey_client.connection.calls import (
    Announce,
    Close,
    Effect,
    End,
    GaveUp,
    Input,
    Interact,
    Reject,
    Resolve,
    Start,
)
from odyssey_client.errors import ConnectionClosedError, InvalidStateError, OdysseyStreamError
from odyssey_client.events import BroadcastReady, InteractAcknowledged, StreamEnded, StreamError, StreamStarted


class State(StrEnum):
    """Where the streaming of a connection stands."""

    IDLE = "idle"
    """No stream; one may be started."""
    STARTING = "starting"
    """A start was sent; `stream_started` is awaited."""
    STREAMING = "streaming"
    """A stream runs; interactions may be sent."""
    ENDING = "ending"
    """An end was sent; `stream_ended` is awaited."""
    CLOSED = "closed"
    """The connection is over."""


class Event(StrEnum):
    """What can happen; the columns of the table."""

    START = "start"
    INTERACT = "interact"
    END = "end"
    STARTED = "started"
    STARTED_LATE = "started_late"
    """`stream_started` for a start that nobody waits for any more."""
    ACKNOWLEDGED = "acknowledged"
    ENDED = "ended"
    BROADCAST_READY = "broadcast_ready"
    START_REFUSED = "start_refused"
    """A stream error while a start waits first in line."""
    END_REFUSED = "end_refused"
    """A stream error while an end waits and no interaction does."""
    STREAM_ERROR = "stream_error"
    """Any other stream error; it answers the interaction or the abandoned start first in line, if there is one."""
    START_GIVEN_UP = "start_given_up"
    INTERACT_GIVEN_UP = "interact_given_up"
    END_GIVEN_UP = "end_given_up"
    PLACE_GIVEN_UP = "place_given_up"
    """A call that gave up long ago is not answered any more."""
    CLOSE = "close"


class Action(StrEnum):
    """What is to be done."""

    QUEUE_START = "queue_start"
    QUEUE_INTERACT = "queue_interact"
    QUEUE_END = "queue_end"
    ANNOUNCE = "announce"
    RESOLVE_START = "resolve_start"
    RESOLVE_INTERACT = "resolve_interact"
    RESOLVE_END = "resolve_end"
    REJECT_START = "reject_start"
    REJECT_OLDEST = "reject_oldest"
    REJECT_END = "reject_end"
    REJECT_INTERACTIONS = "reject_interactions"
    ABANDON = "abandon"
    DROP_PLACE = "drop_place"
    REJECT_ALL = "reject_all"


type Transition = tuple[State, tuple[Action, ...]]


def _anywhere(state: State) -> Mapping[Event, Transition]:
    """What does not move a connection that is open, whatever its state."""
    return {
        Event.ACKNOWLEDGED: (state, (Action.ANNOUNCE, Action.RESOLVE_INTERACT)),
        Event.BROADCAST_READY: (state, (Action.ANNOUNCE,)),
        Event.STREAM_ERROR: (state, (Action.ANNOUNCE, Action.REJECT_OLDEST)),
        Event.INTERACT_GIVEN_UP: (state, (Action.ABANDON,)),
        Event.PLACE_GIVEN_UP: (state, (Action.DROP_PLACE,)),
        Event.STARTED_LATE: (state, (Action.ANNOUNCE,)),
        Event.ENDED: (state, (Action.ANNOUNCE,)),
        Event.CLOSE: (State.CLOSED, (Action.REJECT_ALL,)),
    }


INITIAL = State.IDLE

# Announcements come before results: a handler has been called by the time the call it belongs to returns.
TRANSITIONS: Mapping[State, Mapping[Event, Transition]] = MappingProxyType(
    {
        State.IDLE: {
            **_anywhere(State.IDLE),
            Event.START: (State.STARTING, (Action.QUEUE_START,)),
            Event.STARTED_LATE: (State.STREAMING, (Action.ANNOUNCE,)),
        },
        State.STARTING: {
            **_anywhere(State.STARTING),
            Event.STARTED: (State.STREAMING, (Action.ANNOUNCE, Action.RESOLVE_START)),
            Event.START_REFUSED: (State.IDLE, (Action.ANNOUNCE, Action.REJECT_START)),
            Event.START_GIVEN_UP: (State.IDLE, (Action.ABANDON,)),
        },
        State.STREAMING: {
            **_anywhere(State.STREAMING),
            Event.INTERACT: (State.STREAMING, (Action.QUEUE_INTERACT,)),
            Event.END: (State.ENDING, (Action.QUEUE_END,)),
            Event.ENDED: (State.IDLE, (Action.ANNOUNCE, Action.REJECT_INTERACTIONS)),
        },
        State.ENDING: {
            **_anywhere(State.ENDING),
            Event.ENDED: (State.IDLE, (Action.ANNOUNCE, Action.REJECT_INTERACTIONS, Action.RESOLVE_END)),
            Event.END_REFUSED: (State.IDLE, (Action.ANNOUNCE, Action.REJECT_END)),
            Event.END_GIVEN_UP: (State.STREAMING, (Action.ABANDON,)),
        },
        State.CLOSED: {
            # Calls that were settled when the connection closed may still give up.
            Event.PLACE_GIVEN_UP: (State.CLOSED, ()),
            Event.CLOSE: (State.CLOSED, ()),
        },
    }
)

_NOT_CONNECTED = ("not_connected", "There is no connection any more. Call connect() first.")
_NO_STREAM = ("no_stream", "No stream is running. Call start_stream() first.")
_STARTING = ("stream_starting", "A stream is being started. Wait until start_stream() has returned.")
_ENDING = (
    "stream_ending",
    "The stream is being ended. Wait until end_stream() has returned, then call start_stream().",
)
_RUNNING = ("stream_running", "A stream is already running. Call end_stream() first, or interact() to change it.")

REFUSALS: Mapping[tuple[State, Event], tuple[str, str]] = MappingProxyType(
    {
        (State.IDLE, Event.INTERACT): _NO_STREAM,
        (State.IDLE, Event.END): _NO_STREAM,
        (State.STARTING, Event.START): _STARTING,
        (State.STARTING, Event.INTERACT): _STARTING,
        (State.STARTING, Event.END): _STARTING,
        (State.STREAMING, Event.START): _RUNNING,
        (State.ENDING, Event.START): _ENDING,
        (State.ENDING, Event.INTERACT): _ENDING,
        (State.ENDING, Event.END): _ENDING,
        (State.CLOSED, Event.START): _NOT_CONNECTED,
        (State.CLOSED, Event.INTERACT): _NOT_CONNECTED,
        (State.CLOSED, Event.END): _NOT_CONNECTED,
    }
)
"""The calls that are refused on the spot, by state: the ``reason`` and ``message`` of the `InvalidStateError`."""


@dataclass(frozen=True, slots=True)
class _Place:
    """One call's place in line; ``waiting`` no more once the call gave up."""

    call: int
    prompt: str
    waiting: bool = True

    def is_shown_in(self, applied_prompt: str) -> bool:
        prompt = self.prompt.strip().casefold()
        return bool(prompt) and prompt in applied_prompt.casefold()


class StreamOperations:
    """One connection's place in `TRANSITIONS`, and the calls that wait for answers."""

    def __init__(self) -> None:
        self.state = INITIAL
        self._starts: list[_Place] = []
        self._interactions: list[_Place] = []
        self._end: int | None = None

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
        _remove(self._interactions, place)
        return [Resolve(place.call, happened.prompt)] if place is not None and place.waiting else []

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
        line, self._interactions = self._interactions, []
        message = "The stream ended before this interaction was acknowledged."
        return [Reject(p.call, OdysseyStreamError("stream_ended", message)) for p in line if p.waiting]

    def _reject_all(self, happened: Input) -> list[Effect]:
        calls = sorted(self.pending)
        self._starts, self._interactions, self._end = [], [], None
        if not isinstance(happened, Close):
            return []
        message = f"The connection ended before the streamer answered: {happened.error}"
        return [Reject(call, ConnectionClosedError(message)) for call in calls]


def _announce(_: StreamOperations, happened: Input) -> list[Effect]:
    if isinstance(happened, StreamStarted | InteractAcknowledged | StreamEnded | StreamError | BroadcastReady):
        return [Announce(happened)]
    return []


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
    return [Reject(place.call, OdysseyStreamError(happened.reason, happened.message))]


_EVENTS: Mapping[type[object], Event] = {
    Start: Event.START,
    Interact: Event.INTERACT,
    End: Event.END,
    InteractAcknowledged: Event.ACKNOWLEDGED,
    StreamEnded: Event.ENDED,
    BroadcastReady: Event.BROADCAST_READY,
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
}
