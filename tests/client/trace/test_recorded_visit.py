"""The trace of one visit to the mock, over real HTTP, WebSocket and WebRTC: each lane has its events in order."""

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from odyssey_client import InvalidStateError, Odyssey
from odyssey_client.trace import Trace, TraceEvent, read_trace
from odyssey_client.trace.events import Lane
from odyssey_mock import MockOdyssey


async def visit(path: Path) -> None:
    async with MockOdyssey() as mock, Odyssey(mock.api_key, api_url=mock.url, trace=path) as client:
        stream = await client.connect(on_error=lambda error: None, on_stream_started=raise_error)
        await client.start_stream("A cat", portrait=False)
        await anext(stream.frames())
        await client.interact("It sleeps")
        frames = stream.frames()
        for _ in range(3):
            await anext(frames)
        await client.end_stream()
        with pytest.raises(InvalidStateError):
            await client.interact("too late")


def raise_error() -> None:
    raise RuntimeError("a handler failed")


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trace]:
    path = tmp_path_factory.mktemp("trace") / "visit.odytrace"
    asyncio.run(visit(path))
    with read_trace(path) as trace:
        yield trace


def lane(trace: Trace, name: Lane) -> list[TraceEvent]:
    return [event for event in trace.events if event.lane == name]


def names(trace: Trace, name: Lane) -> list[str]:
    return [event.name for event in lane(trace, name)]


def named(trace: Trace, in_lane: Lane, name: str) -> TraceEvent:
    (event,) = (event for event in lane(trace, in_lane) if event.name == name)
    return event


def test_calls_have_arguments_results_and_lines(trace: Trace) -> None:
    calls = lane(trace, "call")

    assert [call.name for call in calls] == [
        "connect",
        "start_stream",
        "interact",
        "end_stream",
        "interact",
        "disconnect",
    ]
    assert calls[0].data["arguments"] == {
        "handlers": {"on_error": "visit.<locals>.<lambda>", "on_stream_started": "raise_error"}
    }
    assert calls[1].data["arguments"] == {"prompt": "A cat", "portrait": False}
    assert calls[1].data["result"] == calls[2].stream
    assert [call.source.function for call in calls if call.source is not None] == ["visit"] * 6
    assert all(call.end is not None and call.end >= call.at for call in calls)


def test_refused_call_has_its_error(trace: Trace) -> None:
    refused = [call for call in lane(trace, "call") if call.name == "interact"][1]

    assert refused.error == "InvalidStateError: no_stream: No stream is running. Call start_stream() first."


def test_requests_have_status_headers_and_bodies(trace: Trace) -> None:
    exchange = named(trace, "http", "POST /sessions/request")
    data: Any = exchange.data

    assert data["status"] == 200
    assert data["request"]["body"].keys() == {"region_latencies"}
    assert data["response"]["body"]["session_id"] == lane(trace, "signaling")[0].session
    assert ["content-type", "application/json"] in data["response"]["headers"]
    assert data["response"]["bytes"] > 50
    assert exchange.end is not None


def test_signaling_and_descriptions_are_in_order(trace: Trace) -> None:
    assert names(trace, "signaling") == ["opening", "open", "offer", "answer", "client_disconnecting", "close"]
    assert [event.sender for event in lane(trace, "signaling")] == ["client", "server", "server", *["client"] * 3]
    assert lane(trace, "signaling")[-1].data == {"code": 1000, "reason": ""}
    assert names(trace, "sdp") == ["offer", "answer"]
    assert str(lane(trace, "sdp")[0].data["sdp"]).startswith("v=0")


def test_channel_has_both_directions(trace: Trace) -> None:
    found = [(event.sender, event.name) for event in lane(trace, "channel")]

    assert found == [
        ("client", "interactive_stream_start"),
        ("server", "stream_started"),
        ("client", "update"),
        ("server", "update_acknowledged"),
        ("client", "interactive_stream_end"),
        ("server", "stream_ended"),
    ]
    assert lane(trace, "channel")[2].data == {
        "channel": "clientToStreamer",
        "message": {"type": "update", "prompt": "It sleeps"},
    }


def test_peer_states_are_in_order(trace: Trace) -> None:
    states: dict[object, list[object]] = {}
    for event in lane(trace, "peer"):
        states.setdefault(event.data["transport"], []).append(event.data["state"])

    assert states["gathering"] == ["gathering", "complete"]
    assert states["ice"][:2] == ["checking", "completed"]
    assert states["dtls"] == ["connecting", "connected", "closed"]
    assert states["connection"] == ["connecting", "connected", "closed"]
    assert states["video"] == ["added"]
    assert set(states["channel"][:2]) == {"streamerToClient open", "clientToStreamer open"}


def test_statistics_have_standard_names_and_units(trace: Trace) -> None:
    last: Any = lane(trace, "stats")[-1].data["reports"]
    by_type = {report["type"]: report for report in last.values()}
    video, channel, transport = by_type["inbound-rtp"], by_type["data-channel"], by_type["transport"]

    assert video["kind"] == "video"
    assert video["packetsReceived"] > video["framesDecoded"] >= 3
    assert video["packetsLost"] == 0
    assert 0 <= video["jitter"] < 1, "jitter is in seconds"
    assert (video["frameWidth"], video["frameHeight"]) == (1280, 704)
    assert transport["dtlsState"] == "connected"
    assert last[transport["selectedCandidatePairId"]]["nominated"] is True
    assert last[by_type["candidate-pair"]["localCandidateId"]]["candidateType"] == "host"
    assert channel["messagesSent"] + channel["messagesReceived"] == 3
    assert trace.manifest.began_at * 1000 < video["timestamp"] < (trace.manifest.began_at + 1000) * 1000


def test_transitions_state_the_event(trace: Trace) -> None:
    found = [(event.data["machine"], event.data["to"], event.data["why"]) for event in lane(trace, "state")]

    assert ("connection", "connecting", "SessionOpened") in found
    assert ("streams", "starting", "Start") in found
    assert ("streams", "streaming", "StreamStarted") in found
    assert found[-2:] == [
        ("connection", "disconnected", "Disconnect"),
        ("streams", "closed", "Close: The connection was closed by disconnect()."),
    ]


def test_callbacks_have_their_error(trace: Trace) -> None:
    failed, told = lane(trace, "callback")

    assert (failed.name, failed.error) == ("on_stream_started", "RuntimeError: a handler failed")
    assert (told.name, told.error) == ("on_error", None)
    assert told.data["event"] == ["RuntimeError: a handler failed", False]


def test_log_records_are_recorded(trace: Trace) -> None:
    (record,) = lane(trace, "log")

    assert record.name == "ERROR"
    assert record.data["logger"] == "odyssey_client.events"
    assert record.data["exception"] == "RuntimeError: a handler failed"


def test_thumbnails_show_the_video(trace: Trace) -> None:
    frames = lane(trace, "frame")
    image = trace.image(frames[-1])

    assert frames[0].data["taken"] == "first"
    assert "interact" in [frame.data["taken"] for frame in frames]
    assert frames[-1].data["taken"] == "last"
    assert image is not None
    assert Image.open(io.BytesIO(image)).size == (160, 88)
    stamp: Any = frames[-1].data["stamp"]
    assert stamp["frame_index"] > 0


def test_events_name_client_session_and_stream(trace: Trace) -> None:
    messages = lane(trace, "channel")

    assert {event.actor for event in trace.events if event.lane != "log"} == {"client 1"}
    assert len({event.session for event in messages}) == 1
    assert messages[2].stream == messages[1].data["message"]["stream_id"]  # type: ignore[index, call-overload]
    assert trace.manifest.time == "real"
    assert trace.manifest.recorded_by.keys() >= {"odyssey_client", "aiortc", "python", "platform"}
