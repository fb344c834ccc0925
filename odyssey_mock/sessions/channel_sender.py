"""`ChannelSender`: sends messages to the client and applies the faults that change how replies are sent."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from odyssey_mock.core.clock import Clock, Deadline
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.fault import Fault
from odyssey_mock.prompts.markers import PromptMarkers
from odyssey_mock.sessions.messages import BroadcastReady, StreamReply, encode
from odyssey_mock.sessions.session_identity import SessionIdentity

BROKEN_JSON = '{"type": "stream_'
"""A truncated JSON message, which the fault action `not_json` sends."""

_FIELDS_KEPT: Mapping[str, frozenset[str]] = {
    BroadcastReady.TYPE: frozenset({"type", "spectator_token", "broadcast_url"}),
}
"""Fields that the fault `missing_fields` keeps, by message type. In messages of other types it keeps only `type`."""


@dataclass(frozen=True, slots=True)
class ReplyMode:
    """How a reply is sent.

    Attributes:
        do: a fault action, such as `late` or `twice`; None if the reply is sent normally.
        seconds: the delay of the action `late`.
        why: the fault or the prompt marker that requires the action, for the journal; may be empty.
    """

    do: str | None = None
    seconds: float = 0.0
    why: str = ""

    @classmethod
    def of(cls, fault: Fault | None, markers: PromptMarkers | None = None) -> "ReplyMode":
        """Return how to send a reply: as `fault` requires or, without a fault, as the prompt's `markers` require.

        Without a fault and without markers for the reply, the result is `NORMAL_REPLY`.
        """
        if fault is not None:
            return cls(fault.do, fault.number("seconds") if fault.do == "late" else 0.0, f"{fault.label} withholds it")
        if markers is not None and markers.stall:
            return cls("silent", why="the prompt contains the marker [stall]")
        if markers is not None and markers.slow_ms is not None:
            return cls("late", markers.slow_ms / 1000)
        return NORMAL_REPLY

    def later(self, seconds: float) -> "ReplyMode":
        """Return how to send the reply `seconds` later. Modes with actions other than `late` are returned unchanged."""
        if not seconds or self.do not in (None, "late"):
            return self
        return ReplyMode("late", self.seconds + seconds)


NORMAL_REPLY = ReplyMode()


@dataclass(frozen=True, slots=True)
class _Encoded:
    type: str
    text: str
    shown: Mapping[str, JSON]
    """The data of the journal entry, which contains the message."""
    stream: str | None


class ChannelSender:
    """Sends one session's messages to the client, in order, by calling `transmit(text)` for each."""

    def __init__(
        self, identity: SessionIdentity, *, clock: Clock, journal: Journal, transmit: Callable[[str], None]
    ) -> None:
        self._identity = identity
        self._clock = clock
        self._journal = journal
        self._transmit = transmit
        self._held: list[_Encoded] = []
        """Messages that the fault `wrong_order` delays until after the next message."""
        self._late: set[Deadline] = set()

    def send(
        self,
        message: StreamReply,
        *,
        stream: str | None,
        mode: ReplyMode = NORMAL_REPLY,
        note: Mapping[str, JSON] | None = None,
    ) -> None:
        """Send `message` as `mode` requires; `note` is added to the journal entry, but not to the message."""
        fields = encode(message)
        if mode.do == "missing_fields":
            kept = _FIELDS_KEPT.get(message.TYPE, {"type"})
            fields = {name: value for name, value in fields.items() if name in kept}
        text, shown = (BROKEN_JSON, BROKEN_JSON) if mode.do == "not_json" else (json.dumps(fields), fields)
        encoded = _Encoded(message.TYPE, text, {"message": shown, **(note or {})}, stream)
        match mode.do:
            case "silent":
                data: Mapping[str, JSON] = {"type": message.TYPE, "why": mode.why}
                self._journal.record("note", "reply withheld", data, stream=stream, **self._identity.where)
            case "late":
                self._send_later(mode.seconds, encoded)
            case "wrong_order":
                self._held.append(encoded)
            case "twice":
                self._send_now(encoded)
                self._send_now(encoded)
            case _:
                self._send_now(encoded)

    def cancel_late(self) -> None:
        """Discard delayed messages, because their stream has ended."""
        for deadline in self._late:
            deadline.cancel()
        self._late.clear()

    def close(self) -> None:
        """Discard all messages that are not sent yet."""
        self.cancel_late()
        self._held.clear()

    def _send_later(self, seconds: float, message: _Encoded) -> None:
        def due() -> None:
            self._late.discard(deadline)
            self._send_now(message)

        deadline = self._clock.call_later(seconds, f"late {message.type}", due)
        self._late.add(deadline)

    def _send_now(self, message: _Encoded) -> None:
        held, self._held = self._held, []
        for each in (message, *held):
            data: Mapping[str, JSON] = {"from": "server", "channel": "streamerToClient", **each.shown}
            self._journal.record("channel", each.type, data, stream=each.stream, **self._identity.where)
            self._transmit(each.text)
