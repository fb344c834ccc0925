"""`History`: the states that one stream, session or simulation job has had so far, with assertions on them.

::

    mock.stream(stream_id).reached("ended")
    mock.stream(stream_id).not_reached("failed")
    mock.session(session_id).reached("held")
    mock.job(job_id).reached("completed")
"""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from odyssey_mock.assertions.failures import ExpectationError, ReadableJournal, moment
from odyssey_mock.core.journal import Entry

type StreamStateName = Literal["starting", "running", "failed", "ended"]
"""A state of a stream, live or simulated. A stream that failed has also ended."""
type SessionStateName = Literal[
    "waiting", "signaling", "connecting", "connected", "held", "returning", "rejoining", "stale", "closed"
]
"""A state of a session; `SessionState` describes the states."""
type JobStateName = Literal["pending", "dispatched", "processing", "completed", "failed", "cancelled"]
"""A state of a simulation job; `JobState` describes the states."""

SHOWN_IDS = 5
"""Maximum number of known ids that the message about an unknown id lists, latest first."""
SHOWN_STEPS = 8
"""Maximum number of state changes that a message lists; earlier changes are only counted."""

_STREAM_STATES: tuple[StreamStateName, ...] = get_args(StreamStateName.__value__)
_SESSION_STATES: tuple[SessionStateName, ...] = get_args(SessionStateName.__value__)
_JOB_STATES: tuple[JobStateName, ...] = get_args(JobStateName.__value__)


@dataclass(frozen=True, slots=True)
class Step[State: str]:
    """A journal entry that shows that the stream, session or job with this id reached one or more states."""

    id: str
    states: Sequence[State]
    entry: Entry


@dataclass(frozen=True, slots=True)
class Subject[State: str]:
    """A kind of object that a `History` describes: streams, sessions or simulation jobs.

    Attributes:
        name: the word for an object of this kind in messages, such as `simulation job`.
        states: all states that an object of this kind can have.
        steps: function that finds, in journal entries, the state changes of all objects of this kind.
    """

    name: str
    states: tuple[State, ...]
    steps: Callable[[Sequence[Entry]], Iterator[Step[State]]]


class History[State: str]:
    """The states that one stream, session or simulation job has had so far, read from the journal at each call.

    Raises:
        ExpectationError: no journal entry has the id. The message lists the latest ids that the journal has.
    """

    def __init__(self, subject: Subject[State], subject_id: str, journal: ReadableJournal) -> None:
        __tracebackhide__ = True
        self.id = subject_id
        """The id of the stream, session or job."""
        self._subject = subject
        self._journal = journal
        if not self._steps(0):
            known = list(dict.fromkeys(step.id for step in subject.steps(journal.entries)))
            raise ExpectationError(f"expected a {subject.name} with the id {subject_id!r}, got {self._listed(known)}")

    def __repr__(self) -> str:
        return f"<History of {self._subject.name} {self.id}: {', '.join(self.states)}>"

    @property
    def states(self) -> Sequence[State]:
        """The reached states, in order. A state occurs once for each time that it was reached."""
        return [state for step in self._steps(0) for state in step.states]

    def reached(self, state: State, *, since: int = 0) -> Entry:
        """Assert that the state was reached, and return the first journal entry that shows it.

        Args:
            state: the state, current or past.
            since: journal entries before this index are ignored.

        Raises:
            ExpectationError: the state was not reached. The message lists the states that were reached.
            ValueError: there is no such state.
        """
        __tracebackhide__ = True
        self._check(state)
        steps = self._steps(since)
        for step in steps:
            if state in step.states:
                return step.entry
        got = f"got to {steps[-1].states[-1]}" if steps else "got no state"
        where = f" from journal index {since} on" if since else ""
        raise ExpectationError(self._told(f"expected {self._name} to reach {state}{where}, {got}", steps))

    def not_reached(self, state: State, *, since: int = 0) -> None:
        """Assert that the state was not reached; the arguments are those of `reached`.

        Raises:
            ExpectationError: the state was reached. The message lists all states that were reached.
            ValueError: there is no such state.
        """
        __tracebackhide__ = True
        self._check(state)
        steps = self._steps(since)
        for step in steps:
            if state in step.states:
                at = moment(self._journal, step.entry)
                raise ExpectationError(self._told(f"expected {self._name} not to reach {state}, got it at {at}", steps))

    @property
    def _name(self) -> str:
        return f"{self._subject.name} {self.id}"

    def _steps(self, since: int) -> list[Step[State]]:
        # The data of the other entries is not decoded.
        about = [entry for entry in self._journal.since(since) if _mentions(entry, self.id)]
        return [step for step in self._subject.steps(about) if step.id == self.id]

    def _check(self, state: State) -> None:
        __tracebackhide__ = True
        if state not in self._subject.states:
            near = difflib.get_close_matches(state, self._subject.states, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            expected = ", ".join(self._subject.states)
            raise ValueError(f"expected a state of a {self._subject.name} ({expected}), got {state!r}{hint}")

    def _told(self, heading: str, steps: Sequence[Step[State]]) -> str:
        lines = [f"{heading}:"] if steps else [heading]
        if len(steps) > SHOWN_STEPS:
            lines.append(f"{len(steps) - SHOWN_STEPS} earlier changes")
        for step in steps[-SHOWN_STEPS:]:
            event = step.entry.data.get("event")
            cause = "" if event is None else f" (event {event})"
            at = moment(self._journal, step.entry)
            lines.append(f"#{step.entry.index} at {at}: {', '.join(step.states)}{cause}")
        return "\n  ".join(lines)

    def _listed(self, known: Sequence[str]) -> str:
        if not known:
            return f"none: the journal has no {self._subject.name}"
        more = f" and {len(known) - SHOWN_IDS} earlier ids" if len(known) > SHOWN_IDS else ""
        return f"{', '.join(reversed(known[-SHOWN_IDS:]))}{more}"


def _mentions(entry: Entry, subject_id: str) -> bool:
    return subject_id in (entry.stream, entry.session) or str(subject_id) in entry.encoded  # it may be None


_SIMULATED: Mapping[str, tuple[StreamStateName, ...]] = {
    "running": ("running",),
    "completed": ("ended",),
    "failed": ("failed", "ended"),
}
"""The states that a simulated stream reaches when its `StreamStatus` becomes the key."""


def _stream_steps(entries: Sequence[Entry]) -> Iterator[Step[StreamStateName]]:
    for entry in entries:
        if entry.kind != "state" or entry.stream is None:
            continue
        data = entry.data
        states: tuple[StreamStateName, ...] = ()
        if entry.name == "simulation stream":
            states = _SIMULATED.get(data["to"], ())
        elif entry.name == "stream" and data["from"] != data["to"]:
            states = _live(data["to"], data["event"])
        if states:
            yield Step(entry.stream, states, entry)


def _live(state: str, event: str) -> tuple[StreamStateName, ...]:
    """Return the states that a live stream reaches when its session's `StreamMachine` changes to `state`."""
    match state, event:
        case "starting", _:
            return ("starting",)
        case "running", _:
            return ("running",)
        case _, "broke":
            return ("failed", "ended")
        case _:
            return ("ended",)


def _session_steps(entries: Sequence[Entry]) -> Iterator[Step[SessionStateName]]:
    for entry in entries:
        match entry.kind, entry.name:
            case "rest", "POST /sessions/request":
                session_id = _issued(entry, "session_id")
                if session_id is not None:
                    yield Step(session_id, ("waiting",), entry)
            case "state", "session" if entry.session is not None:
                yield Step(entry.session, _named(entry.data["to"], _SESSION_STATES), entry)
            case _:
                pass


def _job_steps(entries: Sequence[Entry]) -> Iterator[Step[JobStateName]]:
    for entry in entries:
        match entry.kind, entry.name:
            case "rest", "POST /simulation-jobs":
                job_id = _issued(entry, "job_id")
                if job_id is not None:
                    yield Step(job_id, ("pending",), entry)
            case "state", "simulation":
                yield Step(entry.data["job"], _named(entry.data["to"], _JOB_STATES), entry)
            case _:
                pass


def _issued(entry: Entry, key: str) -> str | None:
    """Return the id under `key` in the response to a request; None if the response has no such id."""
    response = entry.data["response"]
    value = response.get(key) if isinstance(response, dict) else None
    return value if isinstance(value, str) else None


def _named[State: str](name: str, states: tuple[State, ...]) -> tuple[State, ...]:
    return tuple(state for state in states if state == name)


STREAM: Subject[StreamStateName] = Subject("stream", _STREAM_STATES, _stream_steps)
SESSION: Subject[SessionStateName] = Subject("session", _SESSION_STATES, _session_steps)
JOB: Subject[JobStateName] = Subject("simulation job", _JOB_STATES, _job_steps)
