"""Bad input for the mock: bodies, requests and messages that cost more to process than to send."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

BODIES: Mapping[str, Callable[[int], bytes]] = MappingProxyType(
    {
        "numbers": lambda size: b"[" + b"1," * ((size - 3) // 2) + b"1]",
        "objects": lambda size: b"[" + b"{}," * ((size - 4) // 3) + b"{}]",
        "deep": lambda size: b"[" * size,
        "deep objects": lambda size: b'{"a":' * (size // 5),
        "closed and deep": lambda size: b"[" * min(size // 2, 900) + b"]" * min(size // 2, 900),
        "wide": lambda size: b"{" + b",".join(b'"%07d":0' % n for n in range(size // 12)) + b"}",
        "duplicate keys": lambda size: b"{" + b",".join([b'"api_key":0'] * (size // 12)) + b"}",
        "long string": lambda size: b'"' + b"x" * (size - 2) + b'"',
        "escapes": lambda size: b'"' + b"\\u0041" * ((size - 2) // 6) + b'"',
        "large integers": lambda size: b"[" + b",".join([b"9" * 500] * (size // 501)) + b"]",
        "larger integer": lambda size: b"9" * size,
        "digits of a float": lambda size: b"1." + b"1" * (size - 2),
        "infinite float": lambda _: b'{"api_key":1e999999,"seconds":1e999999,"session_id":1e999999}',
        "not UTF-8": lambda size: b"\xff" * size,
        "encoded words": lambda size: b'{"events":[{"text":"' + b"%41aB3dEfGh9 " * (size // 13) + b'"}]}',
        "surrogates": lambda size: b'{"session_id":"' + b"\\ud800" * ((size - 20) // 6) + b'"}',
    }
)
"""For each kind of bad JSON, a function that returns about `size` bytes of it."""


def within(name: str, values: bytes) -> bytes:
    """Return a JSON object with `values` as the field `name`."""
    return b'{"%b":%b}' % (name.encode(), values)


@dataclass(frozen=True)
class BadRequest:
    """A request; `body` is sent as chunks of `chunk` bytes, or with its length if `chunk` is 0."""

    method: str
    path: str
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()
    chunk: int = 0


IMAGE = "data:image/png;base64," + "AAAA" * (1 << 20)
"""A `data:` URL of 4 MB whose data is not an image."""

BAD_REQUESTS: Mapping[str, Callable[[], BadRequest]] = MappingProxyType(
    {
        "telemetry of many events": lambda: BadRequest(
            "POST", "/telemetry", within("events", BODIES["objects"](30_000))
        ),
        "telemetry of too many events": lambda: BadRequest(
            "POST", "/telemetry", within("events", BODIES["objects"](900_000))
        ),
        "telemetry of one wide event": lambda: BadRequest(
            "POST", "/telemetry", within("events", b"[" + BODIES["wide"](200_000) + b"]")
        ),
        "script of many empty entries": lambda: BadRequest(
            "POST", "/simulation-jobs", within("script", BODIES["objects"](75_000))
        ),
        "script of too many empty entries": lambda: BadRequest(
            "POST", "/simulation-jobs", within("script", BODIES["objects"](1 << 20))
        ),
        "many scripts": lambda: BadRequest("POST", "/simulation-jobs", within("scripts", BODIES["objects"](75_000))),
        "script of many wrong keys": lambda: BadRequest(
            "POST", "/simulation-jobs", within("script", b"[" + BODIES["wide"](400_000) + b"]")
        ),
        "script with a large image": lambda: BadRequest(
            "POST",
            "/simulation-jobs",
            within("script", json.dumps([{"timestamp_ms": 0, "start": {"prompt": "", "image": IMAGE}}]).encode()),
        ),
        "many invalid latencies": lambda: BadRequest(
            "POST", "/sessions/request", within("region_latencies", BODIES["wide"](60_000).replace(b":0", b":-"))
        ),
        "many wrong latencies": lambda: BadRequest(
            "POST", "/sessions/request", within("region_latencies", BODIES["wide"](48_000).replace(b":0", b':""'))
        ),
        "chunks of one byte": lambda: BadRequest("POST", "/auth/token", b"x" * 25_000, chunk=1),
        "many query parameters": lambda: BadRequest(
            "GET", "/simulation-jobs?" + "&".join(f"{n}=" for n in range(9_000))
        ),
        "many equal query parameters": lambda: BadRequest("GET", "/stream-recordings?" + "limit=1&" * 7_000),
        "many headers": lambda: BadRequest("GET", "/regions", headers=[("x", "y")] * 9_000),
        "a long path": lambda: BadRequest("GET", "/recordings/" + "x/" * 30_000),
        "a long id": lambda: BadRequest("GET", "/recordings/" + "%F0%9F%98%80" * 5_000),
        "many ranges": lambda: BadRequest(
            "GET", "/artifacts/x/video.mp4", headers=[("Range", "bytes=" + "0-1," * 12_000 + "0-1")]
        ),
    }
)
"""Requests with much to process, by name. They are authorized."""


def _as_text(make: Callable[[int], bytes], size: int) -> Sequence[str]:
    return [make(size).decode("latin-1")]


BAD_MESSAGES: Mapping[str, Callable[[], Sequence[str | bytes]]] = MappingProxyType(
    {
        **{name: partial(_as_text, make, 256 << 10) for name, make in BODIES.items()},
        "a long binary message": lambda: [b"\0" * (1 << 20)],
        "a very long string": lambda: ['"' + "x" * (8 << 20) + '"'],
        "a very long type": lambda: [json.dumps({"type": "x" * (1 << 20)})],
        "a type of many values": lambda: [json.dumps({"type": [0] * 90_000})],
        "an answer of 1 MB": lambda: [json.dumps({"type": "answer", "sdp": "a=x\r\n" * 200_000})],
        "a long candidate": lambda: [json.dumps({"type": "ice_candidate", "candidate": "candidate:" + "1 " * 50_000})],
        "a prompt of 4 MB": lambda: [
            json.dumps({"type": "interactive_stream_start", "prompt": "[slow:1]x " * 400_000})
        ],
        "an image of 4 MB": lambda: [
            json.dumps({"type": "interactive_stream_start", "prompt": "", "input_image_base64": IMAGE})
        ],
        "a flood of keepalives": lambda: ['{"type":"keepalive"}'] * 1_000,
        "a flood of empty messages": lambda: [""] * 1_000,
        "a flood of invalid messages": lambda: ['{"type":"update"}'] * 1_000,
        "a flood of candidates": lambda: ['{"type":"ice_candidate","candidate":"candidate:x"}'] * 1_000,
    }
)
"""Messages on the signaling socket, by name."""

CHANNEL_MESSAGES: Mapping[str, Callable[[], Sequence[str | bytes]]] = MappingProxyType(
    {
        **{name: partial(_as_text, make, 60_000) for name, make in BODIES.items()},
        "a long prompt": lambda: [json.dumps({"type": "update", "prompt": "x " * 30_000})],
        "a flood of updates": lambda: ['{"type":"update","prompt":"x"}'] * 50,
        "a flood of starts": lambda: ['{"type":"interactive_stream_start"}'] * 50,
        "a flood of invalid messages": lambda: ["{"] * 50,
    }
)
"""Messages on the data channel `clientToStreamer`, by name."""
