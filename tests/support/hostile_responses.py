"""Responses of a hostile service: too large, endless, deep, compressed many times, invalid."""

import gzip
import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache

from tests.support.hostile_service import frame, head, http

MIB = 2**20
RESPONSE_BYTES = 4 * MIB
"""The client's limit of a response body."""

type Pieces = Iterable[bytes]


@cache
def _bomb(levels: int) -> bytes:
    """Return 16 MiB of spaces, compressed `levels` times."""
    content = b" " * (16 * MIB)
    for _ in range(levels):
        content = gzip.compress(content)
    return content


def _padded(item: bytes, separator: bytes = b",", size: int = RESPONSE_BYTES) -> bytes:
    """Repeat `item` so often that the response just fits the client's limit."""
    return (item + separator) * ((size - 100) // (len(item) + len(separator)) - 1) + item


def _chunks(piece: bytes) -> Pieces:
    return itertools.repeat(b"%x\r\n%b\r\n" % (len(piece), piece) * 1000)


HTTP_RESPONSES: Mapping[str, Callable[[], Pieces]] = {
    "nothing": list,
    "garbage": lambda: [b"\xff\x00SSH-2.0\r\n" * 100],
    "endless garbage": lambda: itertools.repeat(b"\xff" * 2**16),
    "endless status line": lambda: itertools.chain([b"HTTP/1.1 200 "], itertools.repeat(b"x" * 2**16)),
    "endless headers": lambda: itertools.chain([b"HTTP/1.1 200 OK\r\n"], itertools.repeat(b"a:b\r\n" * 1000)),
    "many headers": lambda: [b"HTTP/1.1 200 OK\r\n" + b"a:\r\n" * 20_000 + b"\r\n"],
    "endless informational responses": lambda: itertools.repeat(b"HTTP/1.1 100 \r\n\r\n" * 1000),
    "endless body": lambda: itertools.chain([head()], itertools.repeat(b" " * MIB)),
    "endless error body": lambda: itertools.chain([head(status="500 No")], itertools.repeat(b" " * MIB)),
    "endless chunks of one byte": lambda: itertools.chain([head("Transfer-Encoding: chunked")], _chunks(b" ")),
    "endless trailers": lambda: itertools.chain(
        [head("Transfer-Encoding: chunked"), b"2\r\n{}\r\n0\r\n"], itertools.repeat(b"a: b\r\n" * 1000)
    ),
    "endless chunk size": lambda: itertools.chain([head("Transfer-Encoding: chunked")], itertools.repeat(b"0" * 1000)),
    "huge declared length": lambda: [head(f"Content-Length: {10**15}"), b"{}"],
    "truncated body": lambda: [head("Content-Length: 1000"), b"{}"],
    "redirect to itself": lambda: [http(b"", "Location: /regions", status="307 Elsewhere")],
    "gzip bomb": lambda: [http(_bomb(1), "Content-Encoding: gzip")],
    "gzip bomb in gzip": lambda: [http(_bomb(2), "Content-Encoding: gzip, gzip")],
    "invalid gzip": lambda: [http(b"abc", "Content-Encoding: gzip")],
    "deep arrays": lambda: [http(b"[" * RESPONSE_BYTES)],
    "deep objects": lambda: [http(b'{"a":' * 40_000)],
    "deep valid JSON": lambda: [http(b"[" * 900 + b"]" * 900)],
    "many empty arrays": lambda: [http(b'{"jobs":[' + _padded(b"[]") + b"]}")],
    "many empty objects": lambda: [http(b'{"jobs":[' + _padded(b"{}") + b"]}")],
    "many numbers": lambda: [http(b"[" + _padded(b"1") + b"]")],
    "as many values as allowed": lambda: [http(b'{"jobs":[' + _padded(b"[]", size=290_000) + b"]}")],
    "as many error details as allowed": lambda: [
        http(b'{"detail":[' + _padded(b'{"msg":"x","loc":[]}', size=600_000) + b"]}", status="422 No")
    ],
    "many keys": lambda: [http(json.dumps({f"key {number}": 0 for number in range(90_000)}).encode())],
    "long integers": lambda: [http(b"[" + _padded(b"9" * 1000) + b"]")],
    "an integer of a million digits": lambda: [http(b'{"total":' + b"9" * MIB + b"}")],
    "long fractions": lambda: [http(b"[" + _padded(b"0." + b"37" * 1000) + b"]")],
    "numbers that are not JSON": lambda: [http(b'{"total":NaN,"limit":Infinity,"offset":1e999}')],
    "a long string": lambda: [http(b'{"job_id":"' + b"x y " * MIB + b'"}'[:1])],
    "a long escaped string": lambda: [http(b'{"job_id":"' + b"\\u0000" * (RESPONSE_BYTES // 6 - 10) + b'"}')],
    "a long error text": lambda: [http(b'{"detail":"' + b"x y " * (MIB - 100) + b'"}', status="400 No")],
    "a long error code": lambda: [
        http(b'{"detail":{"error":"' + b"x" * MIB + b'","message":"' + b"y" * MIB + b'"}}', status="429 No")
    ],
    "wait for years": lambda: [http(b"{}", "Retry-After: 999999999", status="503 No")],
    "lone surrogates": lambda: [http(b'{"job_id":"\\ud800","access_token":"\\udfff","id":"\\ud800"}')],
    "invalid UTF-8": lambda: [http(b'{"job_id":"\xff\xfe"}')],
    "duplicate keys": lambda: [http(b'{"total":0,"total":[]}')],
    "an item of another type": lambda: [http(b'{"jobs":[7],"regions":[7],"recordings":[7],"total":0}')],
}
"""Responses to an HTTP request, by name. Each is a function that returns the pieces, which may be endless."""

SIGNALING_MESSAGES: Mapping[str, Callable[[], Pieces]] = {
    "nothing": list,
    "garbage": lambda: [b"\xff\x00" * 100],
    "endless empty messages": lambda: itertools.repeat(frame(b"") * 10_000),
    "endless invalid messages": lambda: itertools.repeat(frame(b'{"type":"offer"}') * 1000),
    "endless unknown messages": lambda: itertools.repeat(frame(b'{"type":"later"}') * 1000),
    "endless pings": lambda: itertools.repeat(frame(b"x" * 120, opcode=9) * 1000),
    "endless pongs": lambda: itertools.repeat(frame(b"", opcode=10) * 10_000),
    "endless fragments": lambda: itertools.chain(
        [frame(b"x", final=False)], itertools.repeat(frame(b"", opcode=0, final=False) * 1000)
    ),
    "an endless message": lambda: itertools.chain([b"\x81\x7f" + (2**62).to_bytes(8)], itertools.repeat(b"x" * MIB)),
    "a long message": lambda: [frame(b'{"type":"error","reason":"' + b"x" * (MIB - 100) + b'"}')],
    "a message of many values": lambda: [frame(b'{"type":"offer","sdp":[' + _padded(b"[]", size=MIB) + b"]}")],
    "a deep message": lambda: [frame(b"[" * 90_000)],
    "an offer that is no SDP": lambda: [frame(b'{"type":"offer","sdp":"x"}')],
    "an offer of a megabyte": lambda: [
        frame(json.dumps({"type": "offer", "sdp": "v=0\r\n" + "a=x\r\n" * 150_000}).encode())
    ],
    "an offer of many media": lambda: [
        frame(json.dumps({"type": "offer", "sdp": "v=0\r\n" + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 20_000}).encode())
    ],
    "a long close reason": lambda: [frame(b"\x03\xf3" + b"x" * 123, opcode=8)],
    "binary": lambda: [frame(b"\xff" * 1000, opcode=2)],
    "invalid UTF-8": lambda: [frame(b"\xff\xfe")],
    "endless candidates": lambda: itertools.repeat(
        frame(b'{"type":"ice_candidate","candidate":"candidate:1 1 udp 1 10.0.0.1 9 typ host","sdpMid":"0"}') * 100
    ),
}
"""Bytes that the service sends after the handshake of the signaling socket."""
