"""Sample trace files, made by hand: tests of readers do not depend on the recorders.

`python -m tests.support.sample_traces DIRECTORY` writes them, to look at them.
"""

import io
import json
import random  # noqa: TID251 - seeded, for a sample of any size
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

TITLE = "tests/test_cats.py::test_cat_jumps_onto_the_sofa"
MESSAGE = "expected the stamp of the last frame to have the prompt 'jump', got 'a cat'"
SESSION = "4a0cdc00-8fb9-4d66-a680-490b71850941"
STREAM = "213d6ca3-a954-4abb-9610-6f4d89691a10"
TEST_FILE = "tests/test_cats.py"
TEST_CODE = '''"""Tests of the app with a cat."""

import pytest

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey

PROMPT = "a cat"


@pytest.mark.parametrize("portrait", [True])
async def test_cat_jumps_onto_the_sofa(odyssey_client: Odyssey, odyssey_mock: MockOdyssey, portrait: bool) -> None:
    media = await odyssey_client.connect()
    await odyssey_client.start_stream(prompt=PROMPT, portrait=portrait)
    odyssey_mock.faults.add("stream.update", do="ignore")

    await odyssey_client.interact(prompt="jump")
    frame = await media.next_frame()

    assert frame.stamp.prompt == "jump", (
        f"expected the stamp of the last frame to have the prompt 'jump', got {frame.stamp.prompt!r}"
    )
'''
MARKUP = """<img src=x onerror="window.executed = 1"></script><script>window.executed = 1</script> ]]> --> &amp;"""
"""Text that is executed if a page inserts it as markup."""

SOURCES = {TEST_FILE: TEST_CODE}
NO_FRAMES: Mapping[str, bytes] = {}

type Event = dict[str, Any]  # JSON


def manifest(**changes: Any) -> dict[str, Any]:
    """Return the manifest of a failed test, with `changes`."""
    source = {"file": TEST_FILE, "line": 20, "function": "test_cat_jumps_onto_the_sofa"}
    return {
        "format": "odytrace",
        "version": 1,
        "title": TITLE,
        "outcome": "failed",
        "began_at": 1_795_993_653.023,
        "duration": 3.21,
        "time": "real",
        "recorded_by": {
            "odyssey_client": "0.1.0",
            "odyssey_mock": "0.1.0",
            "python": "3.13.0",
            "platform": "Linux-6.12-x86_64",
            "aiortc": "1.16.0",
        },
        "seed": None,
        "commit": "b0c4fc1d5c1f0d4a9a64bb3ff3d8f7a1c1d2e3f4",
        "command": "pytest tests/test_cats.py",
        "failure": {
            "type": "AssertionError",
            "message": MESSAGE,
            "traceback": f'{TEST_FILE}:20: in test_cat_jumps_onto_the_sofa\n    assert frame.stamp.prompt == "jump"\n'
            f"E   AssertionError: {MESSAGE}\nE   assert 'a cat' == 'jump'",
            "phase": "call",
            "source": source,
        },
        "dropped": {"stats": 10, "frame": 3},
        **changes,
    }


def trace_file(
    events: Sequence[Event],
    frames: Mapping[str, bytes] = NO_FRAMES,
    *,
    sources: Mapping[str, str] = SOURCES,
    **changes: Any,
) -> bytes:
    """Return a trace file with these events, thumbnails and source files; `changes` are fields of the manifest."""
    files = [{"file": file, "entry": f"sources/{number}.txt", "first_line": 1} for number, file in enumerate(sources)]
    about = manifest(**{"sources": files, "events": len(events), "frames": len(frames), **changes})
    ordered = sorted(events, key=lambda event: event["t"])
    lines = [json.dumps({"i": number, **event}, ensure_ascii=False) for number, event in enumerate(ordered)]
    return zip_file(
        {
            "manifest.json": json.dumps(about).encode(),
            "events.jsonl": "".join(f"{line}\n" for line in lines).encode(),
            **{f"sources/{number}.txt": text.encode() for number, text in enumerate(sources.values())},
            **frames,
        }
    )


def zip_file(entries: Mapping[str, bytes]) -> bytes:
    """Return a zip file with these entries: JPEG images are stored, all others are compressed."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            kind = zipfile.ZIP_STORED if name.endswith(".jpg") else zipfile.ZIP_DEFLATED
            archive.writestr(name, content, kind)
    return file.getvalue()


def thumbnail(at: float, *, width: int = 160, height: int = 90) -> bytes:
    """Return a JPEG that shows a ball over a floor. The place of the ball depends on the time `at`."""
    image = Image.new("RGB", (width, height), (46, 66, 96))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, height * 0.7, width, height), fill=(120, 96, 74))
    x, y = (at * 40) % width, height * (0.62 - 0.4 * abs(((at * 1.3) % 1) - 0.5))
    draw.ellipse((x - 12, y - 12, x + 12, y + 12), fill=(232, 168, 76))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=70)
    return file.getvalue()


def failed_assertion() -> bytes:
    """Return the trace of a test that connects, starts a stream, interacts, and fails in an assertion."""
    frames = {f"frames/{number:06}.jpg": thumbnail(1.2 + number * 0.2) for number in range(10)}
    return trace_file([*_live_session(), *_frame_events(frames, 1.2, 0.2)], frames)


def hang() -> bytes:
    """Return the trace of a test whose client waits for an acknowledgment until the test is stopped."""
    events = [event for event in _live_session() if event["t"] < 2.0]
    for event in events:
        if event["lane"] == "test" and event["name"] == "call":
            event.update(end=9.0, error="Failed: Timeout (>9.0s) from pytest-timeout")
    where = {"file": TEST_FILE, "line": 17, "function": "test_cat_jumps_onto_the_sofa"}
    waiting = {"arguments": {"prompt": "jump"}, "waiting_for": "the acknowledgment of interact"}
    events.append(_event(2.05, "call", "interact", end=None, data=waiting, source=where))
    message = "Timeout (>9.0s) from pytest-timeout"
    failure = manifest()["failure"] | {"type": "Failed", "message": message, "source": where}
    return trace_file(events, duration=9.0, failure=failure)


def passed() -> bytes:
    """Return the trace of a session that is no test, in virtual time, without source files."""
    events = [event for event in _live_session() if "error" not in event and event["lane"] != "test"]
    changes: Event = {
        "outcome": "none",
        "failure": None,
        "time": "virtual",
        "seed": 7,
        "dropped": {},
        "title": "session",
    }
    return trace_file(events, sources={}, **changes)


def hostile_markup() -> bytes:
    """Return a trace with markup in every text."""
    where = {"file": MARKUP, "line": 1, "function": MARKUP}
    events = [
        _event(0.1, "channel", MARKUP, sender="client", data={"channel": MARKUP, "message": {MARKUP: MARKUP}}),
        _event(0.2, "http", MARKUP, end=0.4, error=MARKUP, actor=MARKUP, session=MARKUP, data={"url": MARKUP}),
        _event(0.3, "sdp", "offer", sender="server", data={"sdp": MARKUP}, source=where),
        _event(0.5, "log", "WARNING", data={"level": "WARNING", "logger": MARKUP, "message": MARKUP}),
    ]
    failure = {"type": MARKUP, "message": MARKUP, "traceback": MARKUP, "phase": MARKUP, "source": where}
    texts: dict[str, Any] = {"title": MARKUP, "command": MARKUP, "commit": MARKUP, "recorded_by": {MARKUP: MARKUP}}
    return trace_file(events, sources={MARKUP: MARKUP}, failure=failure, **texts)


def two_clients() -> bytes:
    """Return the trace of two clients, each with statistics, a failed request, a logged error and a pending call."""
    events: list[Event] = []
    for number in range(2):
        own = _client(number)
        at = number * 0.1
        times = [half / 2 for half in range(10)]
        events += [_event(at + time, "stats", "inbound-rtp", data=_reports(time, 30), **own) for time in times]
        record = {"level": "ERROR", "logger": "app", "message": f"client {number + 1} gave up"}
        call = {"arguments": {"prompt": f"jump {number + 1}"}}
        events += [
            _event(at + 1.0, "http", "GET /regions", end=at + 1.1, error="status 503", data={"method": "GET"}, **own),
            _event(at + 2.0, "log", "ERROR", data=record, **own),
            _event(at + 3.0, "call", "interact", end=None, data=call, **own),
        ]
    return trace_file(events, sources={}, duration=5.0, outcome="none", failure=None)


def concurrent_calls(count: int) -> bytes:
    """Return the trace of calls that all begin at once and never end."""
    events = [_event(0.1, "call", f"call {number}", end=None) for number in range(count)]
    return trace_file(events, sources={}, duration=1.0, outcome="none", failure=None)


def large(count: int = 100_000, *, sessions: int = 5, duration: float = 600.0, frames: int = 600) -> bytes:
    """Return a trace with `count` events of several sessions, evenly spread over `duration` seconds."""
    draw = random.Random(18)
    images = {f"frames/{number:06}.jpg": thumbnail(number * 0.37) for number in range(frames)}
    step = duration / max(frames, 1)
    events = _frame_events(images, 0.0, step) if frames else []
    for number, event in enumerate(events):
        event.update(_client(number % sessions))
    for number in range(count - len(events)):
        at = number * duration / count
        kind = _KINDS[draw.randrange(len(_KINDS))]
        events.append(_event(at, **kind(at, draw), **_client(number % sessions)))
    return trace_file(events, images, duration=duration)


def _client(number: int) -> Event:
    return {"actor": f"client {number + 1}", "session": f"{number + 1}" * 8 + SESSION[8:]}


def _call(at: float, draw: random.Random) -> Event:
    arguments = {"prompt": f"jump {at}"}
    return {"lane": "call", "name": "interact", "end": at + draw.random(), "data": {"arguments": arguments}}


def _http(at: float, draw: random.Random) -> Event:
    fails = draw.random() < 0.002
    data = {"method": "GET", "url": f"http://127.0.0.1:8400/recordings?page={at}", "status": 503 if fails else 200}
    error = {"error": "status 503: the service is overloaded"} if fails else {}
    return {"lane": "http", "name": "GET /recordings", "end": at + draw.random() / 5, "data": data, **error}


def _message(at: float, draw: random.Random) -> Event:
    sender, channel = draw.choice([("client", "clientToStreamer"), ("server", "streamerToClient")])
    return {
        "lane": "channel",
        "name": "update" if sender == "client" else "update_acknowledged",
        "side": draw.choice(["client", "server"]),
        "sender": sender,
        "data": {"channel": channel, "message": {"type": "update", "prompt": f"the cat jumps at {at}"}},
    }


def _log(at: float, draw: random.Random) -> Event:
    text = f"received a frame at {at}, {draw.randrange(1000)} bytes"
    return {"lane": "log", "name": "DEBUG", "data": {"level": "DEBUG", "message": text}}


def _stats(at: float, draw: random.Random) -> Event:
    return {"lane": "stats", "name": "inbound-rtp", "data": _reports(at, draw.gauss(30, 2))}


_KINDS = (_call, _http, _message, _message, _message, _log, _log, _stats)


def _live_session() -> list[Event]:
    """Return the events of the test that `TEST_CODE` shows."""
    connecting, starting, interacting = (
        {"file": TEST_FILE, "line": line, "function": "test_cat_jumps_onto_the_sofa"} for line in (13, 14, 17)
    )
    error = f"AssertionError: {MESSAGE}"
    events = [
        _event(0.0, "test", "setup", side="test", end=0.41),
        _event(0.41, "test", "call", side="test", end=3.13, error=error),
        _event(3.13, "test", "teardown", side="test", end=3.21),
        _event(0.43, "call", "connect", end=1.12, source=connecting, data={"arguments": {}, "result": "MediaStream"}),
        _event(1.13, "call", "start_stream", end=1.43, source=starting, data={"arguments": {"prompt": "a cat"}}),
        _event(2.05, "call", "interact", end=2.16, source=interacting, data={"arguments": {"prompt": "jump"}}),
        _event(2.17, "call", "next_frame", end=3.12, data={"arguments": {}, "result": "Frame"}),
        _event(1.41, "callback", "on_stream_started", end=1.42, data={"event": {"stream_id": STREAM}}),
        _event(2.155, "callback", "on_interact_acknowledged", end=2.158, data={"event": {"prompt": "jump"}}),
        _event(0.40, "fault", "stream.update", side="server", data={"do": "ignore", "added": True}),
        _event(2.08, "fault", "stream.update", side="server", data={"do": "ignore"}, error="ignored"),
        _event(3.05, "deadline", "frame limit", side="server", data={"fired": True}),
        _event(
            0.46,
            "log",
            "WARNING",
            data={"level": "WARNING", "logger": "odyssey_client.rest", "message": "retry 1 of 3"},
        ),
        _event(
            2.09,
            "log",
            "INFO",
            side="server",
            data={"level": "INFO", "logger": "odyssey_mock", "message": "fault fired"},
        ),
        _event(1.6, "note", "telemetry connected", side="server", data={"event": {"name": "connected"}}),
    ]
    for at, end, name, status in (
        (0.44, 0.47, "GET /regions", 503),
        (0.52, 0.55, "GET /regions", 200),
        (0.56, 0.59, "POST /sessions/request", 200),
        (0.60, 0.63, "POST /sessions/token", 200),
        (1.55, 1.58, "POST /telemetry", 204),
    ):
        method, _, path = name.partition(" ")
        request = {"headers": [["authorization", "***"], ["accept", "application/json"]], "body": None, "bytes": 0}
        reply = {"headers": [["content-type", "application/json"]], "body": {"session_id": SESSION}, "bytes": 53}
        url = f"http://127.0.0.1:8400{path}"
        data = {"method": method, "url": url, "status": status, "request": request, "response": reply}
        failed = {"error": "status 503: the service is overloaded"} if status == 503 else {}
        events.append(_event(at, "http", name, end=end, data=data, source=connecting, **failed))
        events.append(_event(at + 0.004, "http", name, side="server", end=end - 0.004, data=data, **failed))
    for at, name, sender in (
        (0.66, "open", "client"),
        (0.68, "offer", "server"),
        (0.79, "answer", "client"),
        (0.82, "ice_candidate", "server"),
    ):
        signal = {"type": name, "session_id": SESSION}
        events += _both_sides(at, "signaling", name, sender, {"message": signal}, connecting)
    sdp = "v=0\r\no=- 4004982452 4004982452 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=ice-pwd:***\r\n"
    candidate = {"candidate": "candidate:1 1 udp 1 127.0.0.1 5000 typ host", "mid": "0"}
    events += [
        _event(0.69, "sdp", "offer", sender="server", data={"sdp": sdp}),
        _event(0.78, "sdp", "answer", sender="client", data={"sdp": sdp}),
        _event(0.82, "sdp", "candidate", sender="server", data=candidate),
    ]
    for at, transport, state in (
        (0.80, "ice", "checking"),
        (0.91, "ice", "connected"),
        (0.92, "dtls", "connecting"),
        (1.06, "dtls", "connected"),
        (1.08, "connection", "connected"),
        (1.10, "channel", "open"),
    ):
        events.append(_event(at, "peer", f"{transport} {state}", data={"transport": transport, "state": state}))
    for at, name, sender, message, source in (
        (1.14, "interactive_stream_start", "client", {"prompt": "a cat", "portrait": True}, starting),
        (1.39, "stream_started", "server", {"stream_id": STREAM}, None),
        (2.06, "update", "client", {"prompt": "jump"}, interacting),
        (2.15, "update_acknowledged", "server", {"prompt": "jump"}, None),
    ):
        channel = "clientToStreamer" if sender == "client" else "streamerToClient"
        sent: Event = {"channel": channel, "message": {"type": name, **message}}
        events += _both_sides(at, "channel", name, sender, sent, source)
    for at, machine, before, after in (
        (0.60, "connection", "new", "requesting"),
        (0.66, "connection", "requesting", "signaling"),
        (1.10, "connection", "signaling", "connected"),
        (1.39, "stream", "starting", "running"),
    ):
        data = {"machine": machine, "from": before, "to": after, "why": ""}
        events.append(_event(at, "state", f"{machine} {before} -> {after}", data=data))
        events.append(_event(at + 0.003, "state", f"{machine} {before} -> {after}", side="server", data=data))
    for number in range(7):
        at = 1.1 + number * 0.3
        events.append(_event(at, "stats", "inbound-rtp", data=_reports(at, 30 - (number % 3))))
    return events


def _event(
    at: float,
    lane: str,
    name: str,
    *,
    side: str = "client",
    sender: str | None = None,
    data: Mapping[str, Any] = NO_FRAMES,
    **fields: Any,
) -> Event:
    """Return an event; fields that are None are left out, except `end`, which is then null: the span is pending."""
    optional = {"actor": "client 1" if side == "client" else None, "session": SESSION, "from": sender, **fields}
    given = {key: value for key, value in optional.items() if value is not None or key == "end"}
    return {"t": round(at, 6), "lane": lane, "side": side, "name": name, **given, "data": dict(data)}


def _both_sides(at: float, lane: str, name: str, sender: str, data: Event, source: Event | None) -> list[Event]:
    """Return a message as its sender records it, and 5 ms later as its receiver does."""
    client, server = (at, at + 0.005) if sender == "client" else (at + 0.005, at)
    return [
        _event(client, lane, name, sender=sender, data=data, source=source),
        _event(server, lane, name, side="server", sender=sender, data=data),
    ]


def _frame_events(frames: Mapping[str, bytes], first: float, step: float) -> list[Event]:
    """Return the events of the lane `frame` for these images, one per `step` seconds."""
    return [
        _event(
            first + number * step,
            "frame",
            f"frame {number * 6}",
            stream=STREAM,
            data={
                "file": name,
                "width": 160,
                "height": 90,
                "frame": number * 6,
                "stamp": {"frame": number * 6, "prompt": "a cat"},
                "taken": "first" if number == 0 else "second",
            },
        )
        for number, name in enumerate(frames)
    ]


def _reports(at: float, fps: float) -> Event:
    """Return statistics as W3C webrtc-stats at a time of a stream that began at 1 s."""
    running = max(at - 1, 0)
    video = {
        "type": "inbound-rtp",
        "kind": "video",
        "timestamp": at * 1000,
        "framesPerSecond": round(fps, 1),
        "framesDecoded": int(running * fps),
        "bytesReceived": int(running * 140_000 + (fps - 30) * 2_000),
        "packetsLost": int(running),
        "jitter": round(0.004 + (30 - fps) * 0.001, 4),
    }
    return {"reports": {"IT01V1": video}}


SAMPLES = {
    "failed_assertion": failed_assertion,
    "hang": hang,
    "passed": passed,
    "hostile_markup": hostile_markup,
    "large": large,
}


def main() -> None:
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for name, sample in SAMPLES.items():
        (directory / f"{name}.odytrace").write_bytes(sample())


if __name__ == "__main__":
    main()
