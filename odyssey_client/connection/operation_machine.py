"""The state machine of the calls that start, change and end streams over one connection (protocol.md section 4).

Rules:

1. `TRANSITIONS` has one row for each state, which maps each accepted event to the next state and the effects.
   `REFUSALS` lists the calls that a state rejects. Any other event is a bug in `stream_calls.py`. The keys of a row are
   event classes. If the response depends on the waiting calls, `_guarded` selects one of the classes in `Guarded` as
   the key, in place of the event's class.
2. A row names its effects by class. `_resolved` and `_rejected` determine from the event which calls return or raise.
   `Announce` precedes `Resolve` and `Reject`, so that the handler for a reply is called before the waiting call ends.
3. The machine has no channel, futures or clock. `stream_calls.py` carries out its effects, in order.
4. Replies contain no id, so they are matched to calls by order and prompt. The machine has a queue of start calls and a
   queue of interactions. A call that timed out or was cancelled has given up. It stays in its queue for another
   `AdvancedConfig.operation_timeout_s`, so that its late reply is not mistaken for the reply to the next call. A reply
   belongs to the first call of its queue, with these exceptions.

   - If a reply contains the prompt of a later call, but not that of the first call, it belongs to the later call. The
     first call stays in the queue.
   - If the call that a reply belongs to gave up, the reply may belong to a waiting call instead. The waiting call gets
     it if both prompts are equal. It also gets it if its own prompt contains the other prompt, and the reply contains
     its own prompt. It also gets it if the reply begins with its own prompt, but not with the other prompt. The call
     that gave up stays in the queue.
   - A call that gave up is overtaken when a later call of its queue gets a reply. An overtaken call stays in the queue.
     It gets only replies that contain its prompt, and repeated replies to a later call with the same prompt. All other
     replies belong to the first call that is not overtaken.
   - An acknowledgment that contains no queued prompt is ignored if it is equal to one of the last `REPEATS`
     acknowledgments. It is also ignored if it begins with the prompt of an interaction that left the queue without a
     reply.
5. A stream error (`interactive_stream_error`) that arrives before a stream has started, or while a start call waits, is
   the reply to the first queued start call. Otherwise, or if no start call is queued, it is the reply to the first
   queued interaction. If no interaction is queued either, it is the reply to the waiting end call. Overtaken calls do
   not count. If the call that the error belongs to gave up, and a waiting call has the same prompt, the waiting call is
   rejected instead. Two values of the error's `reason` are exceptions.

   - `ALREADY_ACTIVE` is the reply to a start call that was sent after the start call of the running stream. It rejects
     the waiting start call, not an earlier one that gave up. If both have the same prompt, the earlier call may have
     started the running stream. Then the waiting call takes the place of the earlier call in the queue and continues
     to wait.
   - `NO_STREAM` is never the reply to a start call.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from odyssey_client.connection.messages import BroadcastUnusable, StreamerMessage
from odyssey_client.errors import (
    ConnectionClosedError,
    InvalidStateError,
    OdysseyError,
    OdysseyStreamError,
    SessionLostError,
)
from odyssey_client.events import BroadcastReady, InteractAcknowledged, StreamEnded, StreamFailed, StreamStarted
from odyssey_client.service_errors import stream_error

REPEATS = 8
"""Number of acknowledgments that are remembered to recognize repeated ones.

Other acknowledgments may arrive between an acknowledgment and its repetition. A service that rewrites prompts may also
give two prompts the same text, so older acknowledgments are forgotten.
"""


ALREADY_ACTIVE = "stream_already_active"
"""Reason of the error with which the streamer rejects a start while a stream is running."""

NO_STREAM = "no_active_stream"
"""Reason of the error with which the streamer rejects an interaction or an end while no stream is running."""


class OperationState(StrEnum):
    """State of the streams of a connection."""

    IDLE = "idle"
    """No stream is running; a call may start one."""
    STARTING = "starting"
    """`interactive_stream_start` was sent; waiting for `stream_started`."""
    STARTING_ANOTHER = "starting_another"
    """A start that gave up has started its stream after all, while a later start waits for its reply."""
    STREAMING = "streaming"
    """A stream is running; interactions may be sent."""
    ENDING = "ending"
    """`interactive_stream_end` was sent; waiting for `stream_ended`."""
    CLOSED = "closed"
    """The connection is over."""


# Events, from the shell, which numbers the calls.


@dataclass(frozen=True, slots=True)
class Start:
    """The caller starts a stream."""

    call: int
    prompt: str


@dataclass(frozen=True, slots=True)
class Interact:
    """The caller changes the stream."""

    call: int
    prompt: str


@dataclass(frozen=True, slots=True)
class End:
    """The caller ends the stream."""

    call: int


@dataclass(frozen=True, slots=True)
class GaveUp:
    """A call timed out or was cancelled.

    `stream_calls.py` sends this event twice for each such call; the second event removes the call from its queue.
    """

    call: int


@dataclass(frozen=True, slots=True)
class SessionLost:
    """The session and its stream ended because of ``error``; the connection is about to request a new session."""

    error: OdysseyError


@dataclass(frozen=True, slots=True)
class Close:
    """The connection ended because of ``error``; all waiting calls raise it."""

    error: OdysseyError


type Call = Start | Interact | End
type OperationEvent = Call | GaveUp | StreamerMessage | SessionLost | Close
"""Events from the shell: those defined above, and the messages of the streamer."""


class StartedLate:
    """`stream_started` arrived for a start call that has already timed out or been cancelled."""


class StartRefused:
    """A stream error arrived that is the reply to the waiting start call (rule 5)."""


class EndRefused:
    """A stream error arrived that is the reply to the waiting end call (rule 5)."""


class StartGivenUp:
    """A start call timed out or was cancelled before its reply arrived."""


class InteractGivenUp:
    """An interaction timed out or was cancelled before its reply arrived."""


class EndGivenUp:
    """An end call timed out or was cancelled before its reply arrived."""


class PlaceGivenUp:
    """A call that timed out or was cancelled earlier is removed from its queue."""


type Guarded = StartedLate | StartRefused | EndRefused | StartGivenUp | InteractGivenUp | EndGivenUp | PlaceGivenUp
"""Keys of `TRANSITIONS` that `_guarded` selects in place of an event's class. `stream_calls.py` never sends them."""

type Happening = type[OperationEvent | Guarded]
"""A key of a row in `TRANSITIONS`."""


# Effects, for the shell.


@dataclass(frozen=True, slots=True)
class Announce:
    """Pass the message to handlers and event readers."""

    answer: Announced


@dataclass(frozen=True, slots=True)
class Resolve:
    """Make the call return ``value``: the stream's id, the applied prompt, or None."""

    call: int
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """Make the call raise ``error``."""

    call: int
    error: OdysseyError


type Announced = StreamStarted | InteractAcknowledged | StreamEnded | StreamFailed | BroadcastReady
type OperationEffect = Announce | Resolve | Reject


# The table.

type Transition = tuple[OperationState, tuple[type[OperationEffect], ...]]


def _anywhere(state: OperationState) -> Mapping[Happening, Transition]:
    """Return the transitions that all states except `CLOSED` have in common; most of them do not change ``state``."""
    return {
        InteractAcknowledged: (state, (Announce, Resolve)),
        BroadcastReady: (state, (Announce,)),
        BroadcastUnusable: (state, (Announce,)),
        StreamFailed: (state, (Announce, Reject)),
        InteractGivenUp: (state, ()),
        PlaceGivenUp: (state, ()),
        StartedLate: (state, (Announce,)),
        StreamEnded: (state, (Announce,)),
        SessionLost: (OperationState.IDLE, (Reject,)),
        Close: (OperationState.CLOSED, (Reject,)),
    }


INITIAL = OperationState.IDLE

TRANSITIONS: Mapping[OperationState, Mapping[Happening, Transition]] = MappingProxyType(
    {
        OperationState.IDLE: {
            **_anywhere(OperationState.IDLE),
            Start: (OperationState.STARTING, ()),
            StartedLate: (OperationState.STREAMING, (Announce,)),
        },
        OperationState.STARTING: {
            **_anywhere(OperationState.STARTING),
            StreamStarted: (OperationState.STREAMING, (Announce, Resolve)),
            StartedLate: (OperationState.STARTING_ANOTHER, (Announce,)),
            StartRefused: (OperationState.IDLE, (Announce, Reject)),
            StartGivenUp: (OperationState.IDLE, ()),
        },
        OperationState.STARTING_ANOTHER: {
            **_anywhere(OperationState.STARTING_ANOTHER),
            StreamStarted: (OperationState.STREAMING, (Announce, Resolve)),
            StreamEnded: (OperationState.STARTING, (Announce,)),
            StartRefused: (OperationState.STREAMING, (Announce, Reject)),
            StartGivenUp: (OperationState.STREAMING, ()),
            SessionLost: (OperationState.IDLE, (Announce, Reject)),
        },
        OperationState.STREAMING: {
            **_anywhere(OperationState.STREAMING),
            Interact: (OperationState.STREAMING, ()),
            End: (OperationState.ENDING, ()),
            StreamEnded: (OperationState.IDLE, (Announce, Reject)),
            SessionLost: (OperationState.IDLE, (Announce, Reject)),
        },
        OperationState.ENDING: {
            **_anywhere(OperationState.ENDING),
            StreamEnded: (OperationState.IDLE, (Announce, Reject, Resolve)),
            EndRefused: (OperationState.IDLE, (Announce, Reject)),
            EndGivenUp: (OperationState.STREAMING, ()),
            SessionLost: (OperationState.IDLE, (Announce, Reject)),
        },
        OperationState.CLOSED: {
            # The shell may still send `GaveUp` for calls that were settled when the connection closed.
            PlaceGivenUp: (OperationState.CLOSED, ()),
            Close: (OperationState.CLOSED, ()),
        },
    }
)

_NOT_CONNECTED = ("not_connected", "The connection is closed. Call connect() first.")
_NOT_STREAMING = ("no_stream", "No stream is running. Call start_stream() first.")
_STARTING = ("stream_starting", "A stream is starting. Wait until start_stream() returns.")
_ENDING = (
    "stream_ending",
    "The stream is ending. Wait until end_stream() returns, then call start_stream().",
)
_RUNNING = ("stream_running", "A stream is already running. Call end_stream() first, or interact() to change it.")

REFUSALS: Mapping[tuple[OperationState, Happening], tuple[str, str]] = MappingProxyType(
    {
        (OperationState.IDLE, Interact): _NOT_STREAMING,
        (OperationState.IDLE, End): _NOT_STREAMING,
        (OperationState.STARTING, Start): _STARTING,
        (OperationState.STARTING, Interact): _STARTING,
        (OperationState.STARTING, End): _STARTING,
        (OperationState.STARTING_ANOTHER, Start): _STARTING,
        (OperationState.STARTING_ANOTHER, Interact): _STARTING,
        (OperationState.STARTING_ANOTHER, End): _STARTING,
        (OperationState.STREAMING, Start): _RUNNING,
        (OperationState.ENDING, Start): _ENDING,
        (OperationState.ENDING, Interact): _ENDING,
        (OperationState.ENDING, End): _ENDING,
        (OperationState.CLOSED, Start): _NOT_CONNECTED,
        (OperationState.CLOSED, Interact): _NOT_CONNECTED,
        (OperationState.CLOSED, End): _NOT_CONNECTED,
    }
)
"""Calls that a state rejects at once, with the ``reason`` and ``message`` of the `InvalidStateError`."""

_BEFORE_STREAM = frozenset({OperationState.IDLE, OperationState.STARTING, OperationState.STARTING_ANOTHER})
"""States in which a stream error is the reply to a start, if one is queued."""

_LOST_WHILE_WAITING = (
    "The session and its stream were lost before the streamer replied: it is not known whether this call was carried "
    "out. Start a new stream once the status is connected again."
)


@dataclass(frozen=True, slots=True)
class _Place:
    """An entry of a queue of calls; ``waiting`` is False once the call has timed out or been cancelled."""

    call: int
    prompt: str
    waiting: bool = True
    overtaken: bool = False
    """Whether the call gave up and a later call got a reply (rule 4)."""
    later_reply: str = ""
    """The applied prompt in the reply to the latest call that repeated the prompt of an overtaken call."""

    @property
    def _text(self) -> str:
        return self.prompt.strip().casefold()

    def is_shown_in(self, applied_prompt: str) -> bool:
        return bool(self._text) and self._text in applied_prompt.casefold()

    def begins(self, applied_prompt: str) -> bool:
        return bool(self._text) and applied_prompt.strip().casefold().startswith(self._text)

    def repeats(self, former: _Place) -> bool:
        return self._text == former._text

    def extends(self, former: _Place) -> bool:
        return former.is_shown_in(self.prompt)

    def passed_by(self, later: _Place, applied_prompt: str) -> _Place:
        """Return this entry as it is after a later call, ``later``, got a reply: overtaken unless it still waits."""
        if self.waiting:
            return self
        reply = applied_prompt if later.repeats(self) else self.later_reply
        return replace(self, overtaken=True, later_reply=reply)


class OperationMachine:
    """The state of the streams of one connection, and the calls that wait for replies."""

    def __init__(self) -> None:
        self.state = INITIAL
        self._starts: list[_Place] = []
        self._interactions: list[_Place] = []
        self._end: int | None = None
        self._acknowledged: deque[tuple[_Place, str]] = deque(maxlen=REPEATS)
        """The last acknowledged interactions with their applied prompts, oldest first."""
        self._given_up: list[_Place] = []
        """Interactions of this stream that left the queue without a reply."""

    @property
    def pending(self) -> frozenset[int]:
        """The calls that wait for a reply, each by its number (``call`` in the events)."""
        waiting = {place.call for place in (*self._starts, *self._interactions) if place.waiting}
        return frozenset(waiting if self._end is None else waiting | {self._end})

    def handle(self, event: OperationEvent) -> tuple[OperationEffect, ...]:
        """Make the transition for ``event`` and return its effects, in order.

        Raises:
            InvalidStateError: the current state rejects the call; nothing has changed.
        """
        happening = self._guarded(event)
        transition = TRANSITIONS[self.state].get(happening)
        if transition is None:
            refusal = REFUSALS.get((self.state, happening))
            if refusal is None:
                expected = ", ".join(sorted(each.__name__ for each in TRANSITIONS[self.state]))
                raise RuntimeError(f"expected {expected} in state {self.state}, got {happening.__name__}")
            raise InvalidStateError(*refusal)
        self.state, kinds = transition
        make: Mapping[type[OperationEffect], Callable[[], Sequence[OperationEffect]]] = {
            Announce: lambda: [Announce(answer) for answer in _announced(event)],
            Resolve: lambda: self._resolved(event),
            Reject: lambda: self._rejected(event, happening),
        }
        effects = tuple(effect for kind in kinds for effect in make[kind]())
        self._remember(event, happening)
        return effects

    # Guards.

    def _guarded(self, event: OperationEvent) -> Happening:
        """Return the key of ``event`` in `TRANSITIONS`.

        The key is the event's class or, in its place, a class from the union `Guarded`. The state and the attributes of
        the machine decide which.
        """
        match event:
            case StreamStarted(applied_prompt=prompt):
                place = _first_shown(self._starts, prompt)
                return StreamStarted if place is not None and place.waiting else StartedLate
            case StreamFailed(reason):
                return self._guarded_error(reason)
            case GaveUp(call):
                return self._guarded_giving_up(call)
        return type(event)

    def _guarded_error(self, reason: str) -> Happening:
        match self.state:
            case OperationState.STARTING if reason == ALREADY_ACTIVE:
                return StartRefused if self._repeated_start() is None else StreamFailed
            case OperationState.STARTING | OperationState.STARTING_ANOTHER if reason != NO_STREAM:
                # A late start has already left the queue, so `ALREADY_ACTIVE` belongs to one that was sent after it.
                is_waiting = reason == ALREADY_ACTIVE or _next(self._starts).waiting
                return StartRefused if is_waiting else StreamFailed
            case OperationState.ENDING if reason != ALREADY_ACTIVE:
                is_next = all(place.overtaken for place in self._interactions)
                return EndRefused if is_next else StreamFailed
        return StreamFailed

    def _guarded_giving_up(self, call: int) -> Happening:
        if call == self._end:
            return EndGivenUp
        if any(place.call == call and place.waiting for place in self._starts):
            return StartGivenUp
        if any(place.call == call and place.waiting for place in self._interactions):
            return InteractGivenUp
        return PlaceGivenUp

    # Waiting calls.

    def _remember(self, event: OperationEvent, happening: Happening) -> None:
        match event:
            case Start(call, prompt):
                self._starts.append(_Place(call, prompt))
            case Interact(call, prompt):
                self._interactions.append(_Place(call, prompt))
            case End(call):
                self._end = call
            case GaveUp(call) if happening is PlaceGivenUp:
                self._drop_place(call)
            case GaveUp(call):
                self._abandon(call)
            case StreamStarted(applied_prompt=prompt):
                if (place := _first_shown(self._starts, prompt)) is not None:
                    _take(self._starts, place, prompt)

    def _abandon(self, call: int) -> None:
        for places in (self._starts, self._interactions):
            places[:] = [replace(each, waiting=each.waiting and each.call != call) for each in places]
        self._end = None if self._end == call else self._end

    def _drop_place(self, call: int) -> None:
        self._given_up += [place for place in self._interactions if place.call == call]
        for places in (self._starts, self._interactions):
            places[:] = [place for place in places if place.call != call]

    # Matching replies to calls.

    def _resolved(self, event: OperationEvent) -> list[Resolve]:
        match event:
            case StreamStarted(stream_id, prompt):
                place = _first_shown(self._starts, prompt)
                return [] if place is None else [Resolve(place.call, stream_id)]
            case InteractAcknowledged(prompt):
                return self._acknowledge(prompt)
            case StreamEnded():
                call, self._end = self._end, None
                return [] if call is None else [Resolve(call)]
        return []

    def _acknowledge(self, applied_prompt: str) -> list[Resolve]:
        place = _first_shown(self._interactions, applied_prompt)
        if place is None or self._is_said_twice(place, applied_prompt) or self._is_too_late(place, applied_prompt):
            return []
        _take(self._interactions, place, applied_prompt)
        self._acknowledged.append((place, applied_prompt))
        return [Resolve(place.call, applied_prompt)] if place.waiting else []

    def _is_said_twice(self, place: _Place, applied_prompt: str) -> bool:
        """Return whether an acknowledgment repeats an earlier one and must be ignored (rule 4).

        ``place`` is the queue entry that the acknowledgment would otherwise belong to.
        """
        if place.is_shown_in(applied_prompt):
            return False
        return any(said == applied_prompt and former.is_shown_in(said) for former, said in self._acknowledged)

    def _is_too_late(self, place: _Place, applied_prompt: str) -> bool:
        """Return whether an acknowledgment is for an interaction that left the queue and must be ignored (rule 4).

        ``place`` is the queue entry that the acknowledgment would otherwise belong to.
        """
        if place.is_shown_in(applied_prompt):
            return False
        return any(each.begins(applied_prompt) for each in self._given_up)

    def _rejected(self, event: OperationEvent, happening: Happening) -> list[Reject]:
        match event:
            case StreamFailed(reason, message):
                call = self._take_refused(happening, reason)
                return [] if call is None else [Reject(call, stream_error(reason, message))]
            case StreamEnded():
                places, self._interactions, self._given_up = self._interactions, [], []
                why = "The stream ended before this interaction was acknowledged."
                return [Reject(each.call, OdysseyStreamError("stream_ended", why)) for each in places if each.waiting]
            case SessionLost():
                return [Reject(call, SessionLostError(_LOST_WHILE_WAITING)) for call in self._take_all()]
            case Close(error):
                why = f"The connection ended before the streamer replied: {error}"
                return [Reject(call, ConnectionClosedError(why)) for call in self._take_all()]
        return []

    def _take_refused(self, happening: Happening, reason: str) -> int | None:
        """Remove the call that a stream error belongs to (rule 5); return its number (``call`` in the events).

        Return None if the error belongs to no call, or if that call no longer waits.
        """
        if happening is EndRefused:
            call, self._end = self._end, None
            return call
        if reason == ALREADY_ACTIVE:
            return self._take_second_start(happening)
        # `StartRefused` has already changed the state: to `STREAMING` if the stream of an earlier start is running.
        before_a_stream = happening is StartRefused or (self.state in _BEFORE_STREAM and reason != NO_STREAM)
        places = self._starts if before_a_stream and self._starts else self._interactions
        if not places:
            return None
        place = _next(places)
        _take(places, place)
        return place.call if place.waiting else None

    def _take_second_start(self, happening: Happening) -> int | None:
        """Remove the start call that `ALREADY_ACTIVE` belongs to (rule 5); return its number if it must be rejected."""
        waiting = self._waiting_start()
        if waiting is not None and happening is StartRefused:
            self._starts.remove(waiting)
            return waiting.call
        if waiting is not None and (former := self._repeated_start()) is not None:
            self._starts.remove(waiting)
            self._starts[self._starts.index(former)] = waiting
            return None
        # Before `stream_started`, the first start may be that of the running stream.
        refused = self._starts[1:] if self.state in _BEFORE_STREAM else self._starts
        if refused:
            self._starts.remove(refused[0])
        return None

    def _waiting_start(self) -> _Place | None:
        return next((place for place in self._starts if place.waiting), None)

    def _repeated_start(self) -> _Place | None:
        """Return the queue entry of a start call that gave up and has the same prompt as the waiting start call.

        Return None if there is none. Overtaken start calls do not count.
        """
        waiting = self._waiting_start()
        formers = (each for each in self._starts if not each.waiting and not each.overtaken)
        return None if waiting is None else next((each for each in formers if waiting.repeats(each)), None)

    def _take_all(self) -> list[int]:
        calls = sorted(self.pending)
        self._starts, self._interactions, self._given_up, self._end = [], [], [], None
        return calls


def _announced(event: OperationEvent) -> list[Announced]:
    match event:
        case StreamStarted() | InteractAcknowledged() | StreamEnded() | StreamFailed() | BroadcastReady():
            return [event]
        case BroadcastUnusable(why):
            return [StreamFailed("broadcast_error", why)]
        case SessionLost(error):
            return [StreamFailed(error.code, str(error)), StreamEnded()]
    return []


def _first_shown(places: list[_Place], applied_prompt: str) -> _Place | None:
    """Return the queue entry of the call that gets a reply (rule 4); None if the queue is empty.

    A call whose prompt the reply contains takes precedence over an overtaken call with the same ``later_reply``. If
    there is neither, the first call that is not overtaken gets the reply. For a call that gave up, see `_successor`.
    """
    if not places:
        return None
    shown = next((each for each in places if each.is_shown_in(applied_prompt)), None)
    if shown is not None:
        return _successor(places, shown, applied_prompt)
    repeated = next((each for each in places if each.later_reply and each.later_reply == applied_prompt), None)
    return repeated or _next(places, applied_prompt)


def _next(places: list[_Place], applied_prompt: str = "") -> _Place:
    """Return the queue entry of the call that gets a reply that contains no queued prompt (rules 4 and 5)."""
    first = next((each for each in places if not each.overtaken), places[0])
    return _successor(places, first, applied_prompt)


def _successor(places: list[_Place], place: _Place, applied_prompt: str) -> _Place:
    """Return the queue entry of the waiting call that gets the reply to a call that gave up (rule 4).

    Return ``place`` itself if its call waits, or if there is no such call.
    """
    if place.waiting:
        return place
    for each in places:
        if not each.waiting:
            continue
        adds_words = each.extends(place) and each.is_shown_in(applied_prompt)
        if each.repeats(place) or adds_words or (each.begins(applied_prompt) and not place.begins(applied_prompt)):
            return each
    return place


def _take(places: list[_Place], place: _Place, applied_prompt: str = "") -> None:
    """Remove ``place``, whose call got a reply; mark earlier calls that gave up as overtaken."""
    at = places.index(place)
    places[: at + 1] = [each.passed_by(place, applied_prompt) for each in places[:at]]
