"""Messages of the signaling socket and the data channels, as typed values (protocol.md sections 3 and 4).

`parse` is strict: for a field that is missing or of the wrong type, it raises a `MessageError` that names the field.
Unknown fields and message types are ignored, since a newer service may send more. `encode` writes a message.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import assert_never

from odyssey_client.errors import SignalingError, excerpt
from odyssey_client.events import BroadcastReady, InteractAcknowledged, StreamEnded, StreamFailed, StreamStarted
from odyssey_client.models import JSON, BroadcastInfo
from odyssey_client.received_json import JSONLimitError, parse_json
from odyssey_client.redaction import received, redacted, remember, remember_url

MAX_SIGNALING_CHARACTERS = 2**20
"""Maximum length of a received signaling message. The longest are SDP offers of a few kilobytes."""

MAX_CHANNEL_CHARACTERS = 2**18
"""Maximum length of a message received on a data channel, as the client's SDP answer states (``a=max-message-size``).

The longest contain a prompt. Up to 1,000 messages wait for slow event handlers.
"""

MAX_INVALID_MESSAGES = 100
"""Maximum number of invalid messages on one socket or channel. After more, the client treats it as lost.

The client reports each invalid message, so that endless ones would occupy it and its event handlers.
"""


class MessageError(SignalingError):
    """A received message does not follow the protocol; it is skipped and the connection continues.

    Attributes:
        kind: The message's ``type``, if it has one.
    """

    default_code = "malformed_message"
    default_retryable = False

    def __init__(self, message: str, *, kind: str | None = None) -> None:
        super().__init__(message)
        self.kind = None if kind is None else redacted(kind)


@dataclass(frozen=True, slots=True)
class Offer:
    """`offer`: an SDP offer of the streamer."""

    sdp: str


@dataclass(frozen=True, slots=True)
class IceCandidate:
    """`ice_candidate`: an ICE candidate of the streamer; empty after the last candidate (RFC 8838 section 13)."""

    candidate: str
    sdp_mid: str | None
    sdp_mline_index: int | None


@dataclass(frozen=True, slots=True)
class ServiceError:
    """`error`: the service reports an error that ends the connection."""

    reason: str


@dataclass(frozen=True, slots=True)
class BroadcastUnusable:
    """A `broadcast_ready` with a missing or invalid field; ``why`` names the field."""

    why: str


type SignalingMessage = Offer | IceCandidate | ServiceError
"""Messages received on the signaling socket."""

type StreamerMessage = (
    StreamStarted | InteractAcknowledged | StreamEnded | StreamFailed | BroadcastReady | BroadcastUnusable
)
"""Messages received on the data channel `streamerToClient`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`answer`: the client's SDP answer."""

    sdp: str


@dataclass(frozen=True, slots=True)
class Keepalive:
    """`keepalive`: sent at regular intervals while the socket is open."""


@dataclass(frozen=True, slots=True)
class ClientDisconnecting:
    """`client_disconnecting`: ends the session."""


@dataclass(frozen=True, slots=True)
class InteractiveStreamStart:
    """`interactive_stream_start`: starts a stream. Fields that are None are left out.

    Attributes:
        image: A ``data:`` URL.
    """

    prompt: str
    portrait: bool
    broadcast: bool
    bypass_prompt_expansion: bool | None = None
    image: str | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """`update`: changes the running stream."""

    prompt: str


@dataclass(frozen=True, slots=True)
class InteractiveStreamEnd:
    """`interactive_stream_end`: ends the running stream."""


type ChannelMessage = InteractiveStreamStart | Update | InteractiveStreamEnd
"""Messages sent on the data channel `clientToStreamer`; a start message with an image is sent on the socket instead."""

type OutgoingMessage = Answer | Keepalive | ClientDisconnecting | ChannelMessage
"""Messages sent on the socket or on `clientToStreamer`."""


class _Fields:
    """Typed access to the fields of one message."""

    def __init__(self, channel: str, kind: str, fields: Mapping[str, object]) -> None:
        self._where = f"{channel}: {kind}"
        self._kind = kind
        self._fields = fields

    def text(self, name: str) -> str:
        value = self._fields.get(name)
        if not isinstance(value, str):
            raise self._wrong(name, "a string", value)
        return value

    def some_text(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise MessageError(f"{self._where}.{name} must be a non-empty string, got an empty string", kind=self._kind)
        return value

    def text_or(self, name: str, default: str) -> str:
        return default if self._fields.get(name) is None else self.text(name)

    def optional_text(self, name: str) -> str | None:
        return None if self._fields.get(name) is None else self.text(name)

    def optional_index(self, name: str) -> int | None:
        value = self._fields.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise self._wrong(name, "a whole number or null", value)
        return value

    def _wrong(self, name: str, expected: str, value: object) -> MessageError:
        got = "nothing" if value is None else _kind(value)
        return MessageError(f"{self._where}.{name} must be {expected}, got {got}", kind=self._kind)


def _broadcast_ready(fields: _Fields) -> BroadcastReady | BroadcastUnusable:
    """Read `broadcast_ready`; return `BroadcastUnusable` if a field is missing or invalid."""
    try:
        where, token = fields.some_text("webrtc_url"), fields.some_text("spectator_token")
        playlist = fields.optional_text("broadcast_url")
        remember(token)
        remember_url(where)
        remember_url(playlist)
        return BroadcastReady(BroadcastInfo(where, token, playlist))
    except MessageError as error:
        return BroadcastUnusable(str(error))


type _Reader[M] = Callable[[_Fields], M]

SIGNALING: Mapping[str, _Reader[SignalingMessage]] = MappingProxyType(
    {
        "offer": lambda f: Offer(f.text("sdp")),
        "ice_candidate": lambda f: IceCandidate(
            f.text_or("candidate", ""), f.optional_text("sdpMid"), f.optional_index("sdpMLineIndex")
        ),
        "error": lambda f: ServiceError(received(f.text("reason"))),
    }
)
"""The messages of the signaling socket, by ``type``."""

STREAMER_TO_CLIENT: Mapping[str, _Reader[StreamerMessage]] = MappingProxyType(
    {
        "stream_started": lambda f: StreamStarted(f.text("stream_id"), f.text_or("applied_prompt", "")),
        "update_acknowledged": lambda f: InteractAcknowledged(f.text("prompt")),
        "stream_ended": lambda _: StreamEnded(),
        "broadcast_ready": _broadcast_ready,
        "interactive_stream_error": lambda f: StreamFailed(
            received(f.text("reason")), received(f.text_or("message", ""))
        ),
    }
)
"""The messages of the data channel `streamerToClient`, by ``type``."""


def parse[M](
    channel: str, readers: Mapping[str, _Reader[M]], data: str | bytes, *, limit: int = MAX_SIGNALING_CHARACTERS
) -> M | None:
    """Parse one message of ``limit`` characters at most; return None for a type that ``readers`` does not list.

    Raises:
        MessageError: ``data`` is binary, too long or not a JSON object, ``type`` is not a string, or a field is missing
            or of the wrong type.
    """
    if isinstance(data, bytes):
        raise MessageError(f"{channel}: expected JSON text, got a binary message of {len(data)} bytes")
    if len(data) > limit:
        raise MessageError(f"{channel}: expected at most {limit} characters, got {len(data)}")
    try:
        decoded: object = parse_json(data)
    except JSONLimitError as error:
        raise MessageError(f"{channel}: {error}") from None
    except ValueError:
        raise MessageError(f"{channel}: expected JSON text, got {excerpt(data, 80)!r}") from None
    if not isinstance(decoded, dict):
        raise MessageError(f"{channel}: expected a JSON object, got {_kind(decoded)}")
    kind = decoded.get("type")
    if not isinstance(kind, str):
        raise MessageError(f"{channel}: expected an object with a string `type`, got one whose `type` is {_kind(kind)}")
    reader = readers.get(kind)
    return None if reader is None else reader(_Fields(channel, kind, decoded))


def encode(message: OutgoingMessage) -> str:
    """Return one message as the JSON text that is sent."""
    return json.dumps(_wire_form(message), ensure_ascii=False, separators=(",", ":"))


def _wire_form(message: OutgoingMessage) -> dict[str, JSON]:
    match message:
        case Answer(sdp):
            return {"type": "answer", "sdp": sdp}
        case Keepalive():
            return {"type": "keepalive"}
        case ClientDisconnecting():
            return {"type": "client_disconnecting"}
        case InteractiveStreamStart():
            return _start(message)
        case Update(prompt):
            return {"type": "update", "prompt": prompt}
        case InteractiveStreamEnd():
            return {"type": "interactive_stream_end"}
        case _ as unreachable:
            assert_never(unreachable)


def _start(start: InteractiveStreamStart) -> dict[str, JSON]:
    optional = {"bypass_vlm_expansion": start.bypass_prompt_expansion, "input_image_base64": start.image}
    return {
        "type": "interactive_stream_start",
        "prompt": start.prompt,
        "portrait": start.portrait,
        "broadcast": start.broadcast,
        **{name: value for name, value in optional.items() if value is not None},
    }


_NAMES: Mapping[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    type(None): "null",
}


def _kind(value: object) -> str:
    return _NAMES.get(type(value), "a number")
