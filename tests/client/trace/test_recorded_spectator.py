"""Traces of spectators: WHEP, the peer, states and callbacks, with a real broadcast of the mock."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from odyssey_client import BroadcastInfo, BroadcastNotFoundError, Odyssey, connect_to_stream, sync
from odyssey_client.trace import Recorder, read_trace
from odyssey_client.trace.events import Lane
from odyssey_mock import MockOdyssey

pytestmark = pytest.mark.odyssey(portrait_size=(176, 320))


async def on_air(host: Odyssey) -> BroadcastInfo:
    """Connect `host` and start a broadcast; return the broadcast's URLs and token."""
    ready: asyncio.Future[BroadcastInfo] = asyncio.get_running_loop().create_future()
    await host.connect(on_broadcast_ready=ready.set_result)
    await host.start_stream("A cat", broadcast=True)
    return await ready


async def test_visit_of_a_spectator_is_recorded(odyssey_client: Odyssey, tmp_path: Path) -> None:
    info = await on_air(odyssey_client)
    path = tmp_path / "watch.odytrace"
    async with await connect_to_stream(info.webrtc_url, info.spectator_token, trace=path) as spectator:
        spectator.on_disconnect(lambda: None)
        await anext(spectator.frames())
    with read_trace(path) as trace:
        lanes: dict[Lane, list[str]] = {}
        for event in trace.events:
            lanes.setdefault(event.lane, []).append(event.name)
        reports: Any = [event.data["reports"] for event in trace.events if event.lane == "stats"][-1]

    assert lanes["call"] == ["connect_to_stream", "disconnect"]
    assert lanes["callback"] == ["on_disconnect"]
    assert lanes["sdp"] == ["offer", "answer"]
    assert lanes["state"] == ["spectator connecting -> connected", "spectator connected -> closed"]
    assert [name.split()[0] for name in lanes["http"]][:2] == ["GET", "POST"]
    assert lanes["http"][1].endswith("/whep")
    assert lanes["http"][-1].startswith("DELETE ")
    assert {"dtls connected", "ice completed", "connection connected"} <= set(lanes["peer"])
    assert lanes["frame"][0] == "first"
    assert "inbound-rtp" in [report["type"] for report in reports.values()]
    for name in (info.spectator_token, info.webrtc_url + "?"):
        assert name not in path.read_bytes().decode("latin-1")


async def test_failed_connection_writes_its_file(odyssey_mock: MockOdyssey, tmp_path: Path) -> None:
    path = tmp_path / "watch.odytrace"
    with pytest.raises(BroadcastNotFoundError):
        await connect_to_stream(f"{odyssey_mock.url}/broadcast/none", "a token", trace=path)
    with read_trace(path) as trace:
        (call,) = (event for event in trace.events if event.lane == "call")

    assert call.error is not None
    assert call.error.startswith("BroadcastNotFoundError")
    assert call.source is not None
    assert call.source.function == "test_failed_connection_writes_its_file"


async def test_sync_spectator_states_the_line_of_its_thread(odyssey_client: Odyssey) -> None:
    info = await on_air(odyssey_client)
    recorder = Recorder()

    def watch() -> None:
        with sync.connect_to_stream(info.webrtc_url, info.spectator_token, trace=recorder) as spectator:
            next(spectator.frames())

    await asyncio.to_thread(watch)
    calls = [event for event in recorder.snapshot().events if event.lane == "call"]

    assert [call.name for call in calls] == ["connect_to_stream", "disconnect"]
    assert [call.source.function for call in calls if call.source is not None] == ["watch", "watch"]
