"""The contents of a trace file: events on one time axis, and the manifest.

`to_json` and `from_json` convert both to the JSON of the file. docs/reference/trace.md describes it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from odyssey_client.models import JSON

FORMAT = "odytrace"
"""Value of the manifest's field ``format``."""
VERSION = 1
"""Version of the format that this module writes, and the newest that it reads."""

type Lane = Literal[
    "test",
    "call",
    "callback",
    "http",
    "signaling",
    "sdp",
    "peer",
    "channel",
    "stats",
    "state",
    "deadline",
    "fault",
    "clock",
    "frame",
    "log",
    "note",
]
LANES: tuple[Lane, ...] = get_args(Lane.__value__)
"""The lanes, in the order in which a viewer shows them."""
SPAN_LANES: frozenset[Lane] = frozenset({"test", "call", "callback", "http"})
"""Lanes whose events may be spans: they have a beginning and an end."""

type Side = Literal["client", "server", "test"]
SIDES: tuple[Side, ...] = get_args(Side.__value__)

type Outcome = Literal["passed", "failed", "error", "none"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome.__value__)

type TimeAxis = Literal["real", "virtual"]
TIME_AXES: tuple[TimeAxis, ...] = get_args(TimeAxis.__value__)


class FormatError(ValueError):
    """An event or a manifest is not as the format requires."""


@dataclass(frozen=True, slots=True)
class Source:
    """A line of code.

    Attributes:
        file: Path of the file; relative to the working directory if the file is below it.
        line: Number of the line, from 1.
        function: Name of the function; empty if unknown.
    """

    file: str
    line: int
    function: str = ""

    def to_json(self) -> dict[str, JSON]:
        """Return the line as JSON."""
        return {"file": self.file, "line": self.line, "function": self.function}

    @classmethod
    def from_json(cls, value: object) -> Source:
        """Return the line that ``value`` describes.

        Raises:
            FormatError: ``value`` describes no line.
        """
        fields = _Fields(value, "source")
        return cls(fields.text("file"), fields.whole("line"), fields.text("function", ""))


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One event of a trace.

    Attributes:
        at: Seconds on the time axis; 0 is the start of the recording.
        lane: The kind of event.
        side: Who recorded the event: the client, the server, or the test.
        name: Short description, such as ``POST /sessions/token`` or ``interact_acknowledged``.
        data: Further values, whose meaning depends on the lane.
        is_span: Whether the event has an end.
        end: When a span ended, in seconds on the time axis; None if it had not ended when the recording did.
        actor: The client, such as ``client 1``, or the host of a simulated test; None if there is only one.
        session: Id of the session; None if unknown.
        stream: Id of the stream; None if unknown.
        sender: Who sent a message.
        error: What went wrong, in one sentence; None if nothing did.
        source: The line of the caller that caused the event.
        image: The thumbnail of an event of the lane ``frame``, as JPEG.
    """

    at: float
    lane: Lane
    side: Side
    name: str
    data: Mapping[str, JSON] = field(default_factory=dict)
    is_span: bool = False
    end: float | None = None
    actor: str | None = None
    session: str | None = None
    stream: str | None = None
    sender: Literal["client", "server"] | None = None
    error: str | None = None
    source: Source | None = None
    image: bytes | None = None

    @property
    def is_pending(self) -> bool:
        """Whether the event is a span that had not ended when the recording did."""
        return self.is_span and self.end is None

    def to_json(self, number: int) -> dict[str, JSON]:
        """Return the event as JSON, without its image. ``number`` is unique in the trace."""
        value: dict[str, JSON] = {
            "i": number,
            "t": round(self.at, 6),
            "lane": self.lane,
            "side": self.side,
            "name": self.name,
        }
        if self.is_span:
            value["end"] = None if self.end is None else round(self.end, 6)
        optional = (("actor", self.actor), ("session", self.session), ("stream", self.stream), ("from", self.sender))
        value.update({key: text for key, text in (*optional, ("error", self.error)) if text is not None})
        if self.source is not None:
            value["source"] = self.source.to_json()
        value["data"] = dict(self.data)
        return value

    @classmethod
    def from_json(cls, value: object) -> TraceEvent:
        """Return the event that ``value`` describes.

        Raises:
            FormatError: a field is missing or invalid.
        """
        fields = _Fields(value, "event")
        given = fields.values
        end = given.get("end")
        lane = cast("Lane", fields.one_of("lane", LANES))
        if "end" in given and lane not in SPAN_LANES:
            raise FormatError(f"event: expected no `end` in the lane {lane!r}, got {_shown(end)}")
        data = given.get("data", {})
        if not isinstance(data, dict):
            raise FormatError(f"event: expected an object as `data`, got {_shown(data)}")
        return cls(
            at=fields.number("t"),
            lane=lane,
            side=cast("Side", fields.one_of("side", SIDES)),
            name=fields.text("name"),
            data=data,
            is_span="end" in given,
            end=None if end is None else fields.number("end"),
            actor=fields.optional_text("actor"),
            session=fields.optional_text("session"),
            stream=fields.optional_text("stream"),
            sender=cast("Any", fields.one_of("from", ("client", "server"))) if "from" in given else None,
            error=fields.optional_text("error"),
            source=Source.from_json(given["source"]) if "source" in given else None,
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """The failure of a test.

    Attributes:
        type: Name of the exception's class.
        message: The message of the exception.
        traceback: The traceback as text, as pytest shows it.
        phase: ``setup``, ``call`` or ``teardown``.
        source: The line of the test that failed; None if unknown.
    """

    type: str
    message: str
    traceback: str = ""
    phase: str = "call"
    source: Source | None = None

    def to_json(self) -> dict[str, JSON]:
        """Return the failure as JSON."""
        return {
            "type": self.type,
            "message": self.message,
            "traceback": self.traceback,
            "phase": self.phase,
            "source": None if self.source is None else self.source.to_json(),
        }

    @classmethod
    def from_json(cls, value: object) -> Failure:
        """Return the failure that ``value`` describes.

        Raises:
            FormatError: a field is missing or invalid.
        """
        fields = _Fields(value, "failure")
        source = fields.values.get("source")
        return cls(
            fields.text("type"),
            fields.text("message"),
            fields.text("traceback", ""),
            fields.text("phase", "call"),
            None if source is None else Source.from_json(source),
        )


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A source file in a trace.

    Attributes:
        file: Path of the file, as in `Source.file`.
        text: The lines that the trace contains.
        first_line: Number of the first of these lines in the file.
    """

    file: str
    text: str
    first_line: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a trace is about.

    Attributes:
        title: The id of the test, or another title.
        outcome: The result of the test; ``none`` if the trace is not of a test.
        began_at: The start of the time axis, in seconds since the epoch.
        duration: Duration of the recording in seconds on the time axis.
        time: Whether the axis shows the time of the machine, or the virtual time of a simulated test.
        recorded_by: Versions of the packages, of Python and of the platform, by name.
        seed: The seed of a simulated test.
        commit: The commit of the tested project.
        command: The command that ran the test.
        failure: The failure of the test.
        dropped: Number of events that are missing because of the limits, by lane.
    """

    title: str
    began_at: float
    duration: float
    outcome: Outcome = "none"
    time: TimeAxis = "real"
    recorded_by: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    commit: str | None = None
    command: str | None = None
    failure: Failure | None = None
    dropped: Mapping[Lane, int] = field(default_factory=dict)

    def to_json(self, *, sources: Sequence[JSON], events: int, frames: int) -> dict[str, JSON]:
        """Return the manifest as JSON.

        Args:
            sources: The source files: objects with ``file``, ``entry`` and ``first_line``.
            events: Number of events in the file.
            frames: Number of thumbnails in the file.
        """
        return {
            "format": FORMAT,
            "version": VERSION,
            "title": self.title,
            "outcome": self.outcome,
            "began_at": self.began_at,
            "duration": round(self.duration, 6),
            "time": self.time,
            "recorded_by": dict(self.recorded_by),
            "seed": self.seed,
            "commit": self.commit,
            "command": self.command,
            "failure": None if self.failure is None else self.failure.to_json(),
            "sources": list(sources),
            "events": events,
            "frames": frames,
            "dropped": {str(lane): count for lane, count in self.dropped.items()},
        }

    @classmethod
    def from_json(cls, value: object) -> Manifest:
        """Return the manifest that ``value`` describes.

        Raises:
            FormatError: ``value`` is another format or a newer version, or a field is missing or invalid.
        """
        fields = _Fields(value, "manifest")
        if fields.values.get("format") != FORMAT:
            raise FormatError(f"manifest: expected the format {FORMAT!r}, got {_shown(fields.values.get('format'))}")
        version = fields.whole("version")
        if version > VERSION:
            raise FormatError(
                f"written by a newer version: expected format version {VERSION} or older, got {version}; upgrade "
                "odyssey-testkit to read it"
            )
        failure, dropped = fields.values.get("failure"), _Fields(fields.values.get("dropped", {}), "dropped")
        recorded_by = _Fields(fields.values.get("recorded_by", {}), "recorded_by")
        return cls(
            title=fields.text("title"),
            began_at=fields.number("began_at"),
            duration=fields.number("duration"),
            outcome=cast("Outcome", fields.one_of("outcome", OUTCOMES)),
            time=cast("TimeAxis", fields.one_of("time", TIME_AXES)),
            recorded_by={name: recorded_by.text(name) for name in recorded_by.values},
            seed=None if fields.values.get("seed") is None else fields.whole("seed"),
            commit=fields.optional_text("commit"),
            command=fields.optional_text("command"),
            failure=None if failure is None else Failure.from_json(failure),
            dropped={lane: dropped.whole(lane) for lane in LANES if lane in dropped.values},
        )


class _Fields:
    """The fields of a JSON object, checked when they are read."""

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, dict):
            raise FormatError(f"{what}: expected an object, got {_shown(value)}")
        self.values: dict[str, object] = value
        self._what = what

    def text(self, name: str, default: str | None = None) -> str:
        value = self.values.get(name, default)
        if not isinstance(value, str):
            raise self._error(name, "text", value)
        return value

    def optional_text(self, name: str) -> str | None:
        return None if self.values.get(name) is None else self.text(name)

    def number(self, name: str) -> float:
        value = self.values.get(name)
        # NaN is not comparable, and an integer may be larger than any float.
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
        if not is_number:
            raise self._error(name, "a number", value)
        return cast("float", value)

    def whole(self, name: str) -> int:
        value = self.values.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._error(name, "a whole number", value)
        return value

    def one_of(self, name: str, allowed: Sequence[str]) -> str:
        value = self.values.get(name)
        if value not in allowed:
            raise self._error(name, f"one of {', '.join(allowed)}", value)
        return cast("str", value)

    def _error(self, name: str, expected: str, value: object) -> FormatError:
        return FormatError(f"{self._what}: expected {expected} as `{name}`, got {_shown(value)}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
