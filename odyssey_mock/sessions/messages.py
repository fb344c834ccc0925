"""What a client may say, on the socket or on `clientToStreamer`, as typed values (`protocol.md` sections 3 and 4).

Fields that the protocol does not name are let pass: a newer client may send more. Everything else is judged strictly,
and what is wrong is said in one line: the field, what was expected, what came.
"""

import json
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from odyssey_mock.core.strict_json import JSON, read_json

_SHOWN = 80
"""Characters of an offending value that an error quotes."""


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
    """A message that the protocol does not know; the text says what was expected, what came and what to do."""


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class Start(_Message):
    """`interactive_stream_start`."""

    prompt: str = ""
    portrait: bool = True
    input_image_base64: str | None = None
    broadcast: bool = False
    bypass_vlm_expansion: bool | None = None


class Update(_Message):
    """`update`."""

    prompt: str


class End(_Message):
    """`interactive_stream_end`."""


class Answer(_Message):
    """`answer`."""

    sdp: str


class IceCandidate(_Message):
    """`ice_candidate`; an empty or missing candidate marks the end of them (RFC 8838)."""

    candidate: str | None = None
    sdpMid: str | None = None  # noqa: N815 - the wire's name
    sdpMLineIndex: int | None = None  # noqa: N815 - the wire's name


class KeepAlive(_Message):
    """`keepalive`."""


class ClientDisconnecting(_Message):
    """`client_disconnecting`."""


type StreamMessage = Start | Update | End
type SignalingMessage = Start | Answer | IceCandidate | KeepAlive | ClientDisconnecting
type ClientMessage = StreamMessage | SignalingMessage


class Dialect[M: BaseModel]:
    """The messages that one channel takes."""

    def __init__(self, channel: str, kinds: Mapping[str, type[M]]) -> None:
        self.channel = channel
        self._kinds = kinds

    def parse(self, payload: object) -> M:
        """The message that decoded JSON means.

        Raises:
            MessageError: it means none.
        """
        if not isinstance(payload, Mapping):
            raise MessageError(f"{self.channel}: expected a JSON object with a `type`, came {_kind(payload)}")
        name = payload.get("type")
        kind = self._kinds.get(name) if isinstance(name, str) else None
        if kind is None:
            came = "no `type`" if name is None else _shown(name)
            raise MessageError(f"{self.channel}: expected a `type` of {', '.join(self._kinds)}; came {came}")
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
    """The JSON value of a message as it came from the wire.

    Raises:
        MessageError: it is binary, or no JSON.
    """
    if isinstance(data, bytes):
        raise MessageError(f"{channel}: expected JSON text, came a binary message of {len(data)} bytes; send text")
    try:
        return read_json(data)
    except ValueError as error:
        raise MessageError(f"{channel}: expected JSON text, came {_shown(data)} ({error})") from None


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
    return f"{path}: expected {expected}, came {_kind(fault['input'])}"
