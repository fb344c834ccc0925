"""Typed messages of the signaling socket and the data channels, in both directions (`protocol.md` sections 3 and 4).

Unknown fields of a client's message are ignored, because a newer client may send more fields. Known fields are
validated strictly. An error names the field, what was expected and what was received, in one line.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from odyssey_mock.core.strict_json import JSON, read_json

_SHOWN = 80
"""Number of characters of an invalid value that an error quotes."""


_JSON_NAMES: dict[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


class MessageError(ValueError):
    """A client's message is invalid; `str()` states what was expected, what was received and what to do."""


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class Start(_Message):
    """The client's message `interactive_stream_start`."""

    prompt: str = ""
    portrait: bool = True
    input_image_base64: str | None = None
    broadcast: bool = False
    bypass_vlm_expansion: bool | None = None


class Update(_Message):
    """The client's message `update`, which changes the prompt."""

    prompt: str


class End(_Message):
    """The client's message `interactive_stream_end`."""


class Answer(_Message):
    """The client's message `answer`, with its SDP answer."""

    sdp: str


class IceCandidate(_Message):
    """The client's message `ice_candidate`; an empty or missing candidate marks the end of candidates (RFC 8838)."""

    candidate: str | None = None
    sdpMid: str | None = None  # noqa: N815 - the wire's name
    sdpMLineIndex: int | None = None  # noqa: N815 - the wire's name


class KeepAlive(_Message):
    """The client's message `keepalive`."""


class ClientDisconnecting(_Message):
    """The client's message `client_disconnecting`."""


@dataclass(frozen=True, slots=True)
class Offer:
    """The server's message `offer`, sent on the socket."""

    TYPE: ClassVar = "offer"
    sdp: str


@dataclass(frozen=True, slots=True)
class SignalingError:
    """The server's message `error`, sent on the socket."""

    TYPE: ClassVar = "error"
    reason: str


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """The server's message `stream_started`."""

    TYPE: ClassVar = "stream_started"
    stream_id: str
    applied_prompt: str


@dataclass(frozen=True, slots=True)
class UpdateAcknowledged:
    """The server's message `update_acknowledged`; `prompt` is the prompt as applied."""

    TYPE: ClassVar = "update_acknowledged"
    prompt: str


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The server's message `stream_ended`."""

    TYPE: ClassVar = "stream_ended"


@dataclass(frozen=True, slots=True)
class BroadcastReady:
    """The server's message `broadcast_ready`; `broadcast_url` is None if HLS is disabled."""

    TYPE: ClassVar = "broadcast_ready"
    webrtc_url: str
    spectator_token: str
    broadcast_url: str | None


@dataclass(frozen=True, slots=True)
class InteractiveStreamError:
    """The server's message `interactive_stream_error`."""

    TYPE: ClassVar = "interactive_stream_error"
    reason: str
    message: str


type SignalingReply = Offer | SignalingError
type StreamReply = StreamStarted | UpdateAcknowledged | StreamEnded | BroadcastReady | InteractiveStreamError
type ServerMessage = SignalingReply | StreamReply

type StreamMessage = Start | Update | End
type SignalingMessage = Start | Answer | IceCandidate | KeepAlive | ClientDisconnecting
type ClientMessage = StreamMessage | SignalingMessage


class Dialect[M: BaseModel]:
    """The messages that a client may send on one channel."""

    def __init__(self, channel: str, kinds: Mapping[str, type[M]]) -> None:
        self.channel = channel
        self._kinds = kinds

    def parse(self, payload: object) -> M:
        """Return the message that the decoded JSON represents.

        Raises:
            MessageError: the JSON is not a valid message of this channel.
        """
        if not isinstance(payload, Mapping):
            raise MessageError(f"{self.channel}: expected a JSON object with a `type`, got {_kind(payload)}")
        name = payload.get("type")
        kind = self._kinds.get(name) if isinstance(name, str) else None
        if kind is None:
            got = "no `type`" if name is None else _shown(name)
            raise MessageError(f"{self.channel}: expected a `type` of {', '.join(self._kinds)}; got {got}")
        try:
            return kind.model_validate(payload)
        except ValidationError as error:
            faults = "; ".join(_fault(str(name), fault) for fault in error.errors(include_url=False))
            raise MessageError(f"{self.channel}: {faults}") from None


DATA_CHANNEL: Dialect[StreamMessage] = Dialect(
    "clientToStreamer", {"interactive_stream_start": Start, "update": Update, "interactive_stream_end": End}
)
SIGNALING: Dialect[SignalingMessage] = Dialect(
    "signaling",
    {
        "answer": Answer,
        "ice_candidate": IceCandidate,
        "keepalive": KeepAlive,
        "interactive_stream_start": Start,
        "client_disconnecting": ClientDisconnecting,
    },
)


def decode(channel: str, data: str | bytes) -> JSON:
    """Return the JSON value of a message received on the wire.

    Raises:
        MessageError: the message is binary or not JSON.
    """
    if isinstance(data, bytes):
        raise MessageError(f"{channel}: expected JSON text, got a binary message of {len(data)} bytes; send text")
    try:
        return read_json(data)
    except ValueError as error:
        raise MessageError(f"{channel}: expected JSON text, got {_shown(data)} ({error})") from None


def encode(message: ServerMessage) -> dict[str, JSON]:
    """Return the JSON object of a server message: its `type`, then its fields in order."""
    return {"type": message.TYPE, **asdict(message)}


def _kind(value: object) -> str:
    return _JSON_NAMES.get(type(value), type(value).__name__)


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return f"{text[:_SHOWN]!r}" + ("..." if len(text) > _SHOWN else "")


def _fault(kind: str, fault: ErrorDetails) -> str:
    path = ".".join(str(part) for part in (kind, *fault["loc"]))
    if fault["type"] == "missing":
        return f"{path} is missing; send it"
    expected = fault["msg"].removeprefix("Input should be ")
    return f"{path}: expected {expected}, got {_kind(fault['input'])}"
