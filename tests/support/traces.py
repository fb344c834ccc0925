"""A small trace of a failed test, made by hand: two clients, one server, and one event of each kind."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from odyssey_client.trace import (
    Failure,
    Lane,
    Manifest,
    Recording,
    Side,
    Source,
    SourceFile,
    Trace,
    TraceEvent,
    write_trace,
)

SESSION = "5b1c0d7e-1111-4222-8333-444455556666"
OTHER_SESSION = "a0b1c2d3-1111-4222-8333-444455556666"
BEGAN_AT = 1_770_000_000.0
SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n"
CANDIDATE = "candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host"
LINE = Source("tests/test_cat.py", 4, "test_cat")
SOURCE = SourceFile(
    "tests/test_cat.py",
    "async def test_cat(client):\n    await client.connect()\n\n    await client.interact('jump')\n    assert True\n",
)


def call(at: float, name: str, end: float | None, **fields: Any) -> TraceEvent:
    return event(at, "call", name, is_span=True, end=end, **fields)


def event(at: float, lane: Lane, name: str, side: Side = "client", **fields: Any) -> TraceEvent:
    """Return an event; of the client 1, unless it is of the server or the test."""
    actor: dict[str, Any] = {"actor": "client 1"} if side == "client" else {}
    return TraceEvent(at, lane, side, name, **{**actor, **fields})


def message(at: float, lane: Lane, name: str, sender: str, side: Side, **content: object) -> TraceEvent:
    """Return a message of the first session, with `content`."""
    data = {"message": {"type": name, **content}}
    return event(at, lane, name, side, sender=sender, session=SESSION, data=data)


def exchange(at: float, name: str, end: float | None, status: int | None, **fields: Any) -> TraceEvent:
    """Return an HTTP exchange as the client recorded it."""
    method, _, path = name.partition(" ")
    data = {
        "method": method,
        "url": f"https://api.example.com{path}?page=2",
        "status": status,
        "request": {"headers": [["Content-Type", "application/json"]], "body": {"name": "a"}, "bytes": 12},
        "response": {"headers": [["Content-Type", "application/json"]], "body": {"id": 7}, "bytes": 9},
    }
    return event(at, "http", name, is_span=True, end=end, data=data, **fields)


def statistics(at: float, frames: int, side: Side = "client") -> TraceEvent:
    """Return a sample of statistics with one report."""
    report = {"type": "inbound-rtp", "id": "in1", "kind": "video", "framesDecoded": frames, "framesPerSecond": 24.5}
    return event(at, "stats", "stats", side, session=SESSION, data={"reports": {"in1": report}})


def failed_events() -> list[TraceEvent]:
    """Return the events of a test whose second call never ends."""
    token = "POST /sessions/token"
    other = {"actor": "client 2", "session": OTHER_SESSION}
    return [
        event(0.0, "test", "setup", "test", is_span=True, end=0.1),
        event(0.1, "test", "call", "test", is_span=True, end=3.2),
        call(0.11, "connect", 0.5, data={"arguments": {}, "result": "MediaStream"}, session=SESSION),
        exchange(0.12, token, 0.15, 200),
        event(0.14, "http", token, "server", data={"method": "POST", "url": "/sessions/token", "status": 200}),
        message(0.2, "signaling", "join", "client", "client", role="host"),
        message(0.203, "signaling", "join", "client", "server", role="host"),
        message(0.21, "sdp", "offer", "server", "server", sdp=SDP),
        event(0.215, "sdp", "offer", sender="server", session=SESSION, data={"sdp": SDP}),
        event(0.22, "sdp", "answer", sender="client", session=SESSION, data={"sdp": SDP}),
        message(0.225, "sdp", "answer", "client", "server", sdp=SDP),
        event(0.23, "sdp", "candidate", sender="client", session=SESSION, data={"candidate": CANDIDATE, "mid": "0"}),
        event(0.3, "peer", "ice checking", session=SESSION, data={"transport": "ice", "state": "checking"}),
        event(0.31, "peer", "ice completed", session=SESSION, data={"transport": "ice", "state": "completed"}),
        event(0.4, "state", "session requested -> connected", "server", session=SESSION, data={"why": "peer is up"}),
        statistics(0.5, 0),
        event(0.6, "frame", "frame 0", session=SESSION, data={"frame": 0, "taken": "first"}),
        event(0.7, "clock", "clock moves", "server", data={"from": 0, "to": 60}),
        statistics(1.0, 12),
        statistics(1.5, 24),
        event(1.6, "callback", "on_error", is_span=True, end=1.61, session=SESSION, data={"event": {"code": "x"}}),
        event(1.7, "fault", "stream.update", "server", session=SESSION, data={"do": "ignore", "count": 1}),
        event(1.8, "log", "WARNING", data={"logger": "odyssey_client.rtc", "message": "slow"}, session=SESSION),
        call(2.0, "connect_to_stream", 2.4, error="NotFoundError: no such stream", **other),
        exchange(2.1, "GET /broadcast/x", 2.3, 404, error="status 404", **other),
        call(
            2.5,
            "interact",
            None,
            source=LINE,
            session=SESSION,
            data={"arguments": {"prompt": "jump"}, "waiting_for": "the acknowledgment of interact"},
        ),
        message(2.51, "channel", "interact", "client", "client", prompt="jump"),
        message(2.515, "channel", "interact", "client", "server", prompt="jump"),
        event(2.6, "deadline", "interact", session=SESSION),
        event(2.7, "note", "telemetry", "server", data={"event": "frame"}),
    ]


FAILURE = Failure("AssertionError", "expected a jump,\ngot none", "", "call", LINE)


def trace_of(events: list[TraceEvent], **changes: Any) -> Trace:
    """Return a trace of these events; `changes` are fields of the manifest."""
    manifest = Manifest(
        title="tests/test_cat.py::test_cat",
        began_at=BEGAN_AT,
        duration=3.2,
        outcome="failed",
        recorded_by={"odyssey_client": "0.1.0", "python": "3.13.0"},
        failure=FAILURE,
    )
    ordered = sorted(events, key=lambda each: each.at)
    return Trace(replace(manifest, **changes), ordered, [SOURCE])


def failed_trace(**changes: Any) -> Trace:
    return trace_of(failed_events(), **changes)


def trace_file(path: Path, events: list[TraceEvent] | None = None, **changes: Any) -> Path:
    """Write a trace file with these events, or with those of the failed test."""
    trace = failed_trace(**changes) if events is None else trace_of(events, **changes)
    recording = Recording(BEGAN_AT, trace.manifest.duration, trace.events, trace.manifest.dropped)
    write_trace(path, recording, trace.manifest, trace.sources)
    return path
