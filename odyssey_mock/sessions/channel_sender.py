"""What the streamer says on `streamerToClient`, and the ways in which that can go wrong."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from odyssey_mock.core.clock import Deadline
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.fault import Fault
from odyssey_mock.prompts.markers import PromptMarkers
from odyssey_mock.sessions.stream_machine import Action

if TYPE_CHECKING:
    from odyssey_mock.backend import Backend

REASON_INVALID = "invalid_message"
"""`interactive_stream_error` for what is no message of the protocol."""

OVERDUE = ("session_timeout", "Stream ended: credit lease expired")
"""`reason` and `message` at the end of a stream's time (`protocol.md` section 4)."""

REJECTIONS: Mapping[Action, tuple[str, str]] = {
    Action.REJECT_ALREADY_RUNNING: (
        "stream_already_active",
        "a stream is running in this connection; end it with interactive_stream_end before starting another",
    ),
    Action.REJECT_NO_STREAM: (
        "no_active_stream",
        "no stream is running in this connection; start one with interactive_stream_start first",
    ),
}
"""`reason` and `message` of what cannot be done now."""

BROKEN_JSON = '{"type": "stream_'
"""A message that was cut off."""


@dataclass(frozen=True, slots=True)
class ReplyMode:
    """How a reply is given: an action of `stream.start` and its like (`faults/catalogue.py`), or as usual."""

    do: str | None = None
    seconds: float = 0.0

    @classmethod
    def of(cls, fault: Fault | None, trial: PromptMarkers | None = None) -> "ReplyMode":
        """What a fault wants, or else what the mark in a prompt does."""
        if fault is not None:
            return cls(fault.do, fault.number("seconds") if fault.do == "late" else 0.0)
        if trial is not None and trial.stall:
            return cls("silent")
        if trial is not None and trial.slow_ms is not None:
            return cls("late", trial.slow_ms / 1000)
        return NORMAL_REPLY


NORMAL_REPLY = ReplyMode()


@dataclass(frozen=True, slots=True)
class _Message:
    kind: str
    text: str
    told: Mapping[str, JSON]
    """What the journal is told of it."""
    stream: str | None


class ChannelSender:
    """One connection's messages to the client, in order; `send(text)` takes each."""

    def __init__(self, backend: "Backend", *, session_id: str, account_id: str, send: Callable[[str], None]) -> None:
        self._backend = backend
        self._session_id = session_id
        self._account_id = account_id
        self._send = send
        self._held: list[_Message] = []
        """What is to be said after the next message."""
        self._late: set[Deadline] = set()

    def say(
        self,
        kind: str,
        fields: Mapping[str, str | None],
        *,
        stream: str | None,
        manner: ReplyMode = NORMAL_REPLY,
        note: Mapping[str, int] | None = None,
    ) -> None:
        """Say `kind` with its `fields`, in that `manner`; `note` is for the journal alone."""
        said: Mapping[str, JSON] = {"type": kind, **(fields if manner.do != "missing_fields" else {})}
        text, shown = (BROKEN_JSON, None) if manner.do == "not_json" else (json.dumps(said), said)
        message = _Message(kind, text, {"message": shown or BROKEN_JSON, **(note or {})}, stream)
        match manner.do:
            case "silent":
                return
            case "late":
                self._say_later(manner.seconds, message)
            case "wrong_order":
                self._held.append(message)
            case "twice":
                self._put(message)
                self._put(message)
            case _:
                self._put(message)

    def forget_late(self) -> None:
        """Do not say what was still to be said later: it was about a stream that has ended."""
        for deadline in self._late:
            deadline.cancel()
        self._late.clear()

    def close(self) -> None:
        """Say nothing any more."""
        self.forget_late()
        self._held.clear()

    def _say_later(self, seconds: float, message: _Message) -> None:
        def due() -> None:
            self._late.discard(deadline)
            self._put(message)

        deadline = self._backend.clock.call_later(seconds, f"late {message.kind}", due)
        self._late.add(deadline)

    def _put(self, message: _Message) -> None:
        held, self._held = self._held, []
        for each in (message, *held):
            self._backend.journal.record(
                "channel",
                each.kind,
                {"from": "server", "channel": "streamerToClient", **each.told},
                account=self._account_id,
                session=self._session_id,
                stream=each.stream,
            )
            self._send(each.text)
