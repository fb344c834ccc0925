"""Traces of visits that fail, in a simulated world: what pending calls wait for, losses, and cancelled calls."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from odyssey_client import AdvancedConfig, Odyssey, OdysseyError
from odyssey_client.trace import Recorder, TraceEvent, read_trace
from odyssey_mock.sim.world import CLIENT, World
from tests.support.simulated_worlds import complete, play, play_nothing, wait

type Visit = Callable[[World, Odyssey], Awaitable[object]]

SHORT = AdvancedConfig(connect_timeout_s=3, operation_timeout_s=3, queue_timeout_s=8, peer_timeout_s=1, max_retries=1)


def recorded(visit: Visit, *, api_key: str | None = None) -> tuple[TraceEvent, ...]:
    """Run `visit` with a client that records; return the events."""

    async def scenario(world: World) -> tuple[TraceEvent, ...]:
        recorder = Recorder(now=world.now, began_at=0.0)
        platform = world.platform(CLIENT)
        client = Odyssey(
            api_key or world.mock.api_key,
            api_url=world.mock.url,
            advanced=SHORT,
            clock=platform.clock,
            entropy=platform.entropy,
            network=platform.network,
            trace=recorder,
        )
        try:
            await visit(world, client)
            return recorder.snapshot().events
        finally:
            await client.disconnect()

    return play(scenario)


def call(events: tuple[TraceEvent, ...], name: str) -> TraceEvent:
    (found,) = (event for event in events if event.lane == "call" and event.name == name)
    return found


def names(events: tuple[TraceEvent, ...], lane: str) -> list[str]:
    return [event.name for event in events if event.lane == lane]


async def pending(work: Awaitable[object], seconds: float) -> None:
    """Start `work`, and cancel it at the end of the test's event loop; return after `seconds`."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    await wait(seconds)


HANGS = {
    "the signaling socket": ("signaling.upgrade", "no_answer"),
    "the offer": ("signaling.offer", "silent"),
    "the peer connection": ("signaling.answer", "ignore"),
    "the data channel clientToStreamer": ("peer.channels", "never"),
}


@pytest.mark.parametrize(("missing", "fault"), HANGS.items(), ids=HANGS)
def test_pending_connect_states_what_is_missing(missing: str, fault: tuple[str, str]) -> None:
    async def visit(world: World, client: Odyssey) -> None:
        world.mock.faults.add({"at": fault[0], "do": fault[1]})
        await pending(client.connect(), 2)

    connect = call(recorded(visit), "connect")

    assert connect.is_pending
    # The video track of a light peer is part of the offer, as that of WebRTC is.
    expected = {"the peer connection": "the data channel clientToStreamer"}.get(missing, missing)
    assert connect.data["waiting_for"] == expected


def test_connect_without_free_streamer_states_the_queue() -> None:
    async def visit(world: World, client: Odyssey) -> None:
        await pending(client.connect(), 5)

    events = recorded(visit, api_key="ody_no_capacity")
    refusals = [event for event in events if event.name == "POST /sessions/request"]

    assert call(events, "connect").data["waiting_for"] == f"a free streamer (queued {len(refusals)} times)"
    assert len(refusals) >= 2
    assert {event.error for event in refusals} == {"status 503"}


def test_pending_interaction_waits_for_its_acknowledgment() -> None:
    async def visit(world: World, client: Odyssey) -> None:
        await client.connect()
        await client.start_stream("A cat")
        await pending(client.interact("[stall] Night"), 1)

    interact = call(recorded(visit), "interact")

    assert (interact.is_pending, interact.data["waiting_for"]) == (True, "update_acknowledged")
    assert interact.source is not None
    assert (interact.source.file, interact.source.function) == (f"tests/client/trace/{Path(__file__).name}", "visit")


def test_timed_out_interaction_has_error_and_times() -> None:
    async def visit(world: World, client: Odyssey) -> None:
        await client.connect()
        await client.start_stream("A cat")
        with suppress(OdysseyError):
            await client.interact("[stall] Night")

    interact = call(recorded(visit), "interact")

    assert interact.error is not None
    assert interact.error.startswith("OperationTimeoutError: timeout: interact() was not answered within 3 s")
    assert interact.data["waiting_for"] == "update_acknowledged"
    assert interact.end == pytest.approx(interact.at + 3)


def test_cancelled_call_ends_with_its_cancellation() -> None:
    async def visit(world: World, client: Odyssey) -> None:
        await client.connect()
        await client.start_stream("A cat")
        task = asyncio.create_task(client.interact("[stall] Night"))
        await wait(1)
        task.cancel()
        await asyncio.wait({task})

    interact = call(recorded(visit), "interact")

    assert interact.error == "CancelledError"
    assert interact.end == pytest.approx(interact.at + 1)


def test_reconnect_shows_its_states_and_first_frame() -> None:
    async def visit(world: World, client: Odyssey) -> None:
        world.mock.faults.add(at="peer.connected", do="vanish", seconds=2, times=1)
        await client.connect()
        await client.start_stream("A cat")
        await wait(10)
        await client.interact("A dog")

    events = recorded(visit)
    states = [
        str(event.data["to"]) for event in events if event.lane == "state" and event.data["machine"] == "connection"
    ]
    frames = [event for event in events if event.lane == "frame"]

    assert states[:4] == ["authenticating", "connecting", "have_video", "connected"]
    assert "waiting" in states[4:]
    assert states[-1] == "connected"
    assert names(events, "signaling").count("open") >= 2
    assert [frame.data["taken"] for frame in frames].count("fault") >= 1
    first = frames[0].image
    assert first is not None
    assert max(Image.open(io.BytesIO(first)).size) == 160


def test_lost_peer_has_its_error() -> None:
    async def visit(world: World, client: Odyssey) -> None:
        world.mock.faults.add(at="peer.connected", do="close_channels", seconds=1, times=1)
        await client.connect()
        await wait(2)

    (lost, *_) = (event for event in recorded(visit) if event.lane == "peer" and event.name == "lost")

    assert lost.error is not None
    assert lost.error.startswith("PeerError: The peer connection to the streamer was lost: the data channel")


def test_refused_handshake_is_recorded() -> None:
    async def visit(world: World, client: Odyssey) -> None:
        world.mock.faults.add(at="signaling.upgrade", do="refuse", status=403)
        with suppress(OdysseyError):
            await client.connect()

    events = recorded(visit)
    refused = [event for event in events if event.name == "not opened"]

    assert len(refused) == 2, "one attempt and one retry"
    assert refused[0].error is not None
    assert "403" in refused[0].error
    assert call(events, "connect").error is not None


def test_recording_changes_nothing_in_a_simulated_run() -> None:
    """The callbacks, timers and packets are the same, so that a failed seed can be repeated with a trace."""

    def run_hash(trace: Recorder | None) -> str:
        async def scenario(world: World) -> None:
            platform = world.platform(CLIENT)
            async with Odyssey(
                world.mock.api_key,
                api_url=world.mock.url,
                clock=platform.clock,
                entropy=platform.entropy,
                network=platform.network,
                trace=trace,
            ) as client:
                await client.connect(on_status_change=lambda: None)
                await client.start_stream("A cat")
                await client.interact("A dog")

        return complete(scenario).run_hash

    assert run_hash(Recorder()) == run_hash(None)


def test_file_of_a_simulated_client_has_virtual_time(tmp_path: Path) -> None:
    path = tmp_path / "a.odytrace"

    async def scenario(world: World) -> None:
        platform = world.platform(CLIENT)
        async with Odyssey(
            world.mock.api_key,
            api_url=world.mock.url,
            clock=platform.clock,
            entropy=platform.entropy,
            network=platform.network,
            trace=path,
        ) as client:
            await client.connect()
            await wait(100)

    play_nothing(scenario)
    with read_trace(path) as trace:
        assert trace.manifest.time == "virtual"
        assert trace.manifest.duration >= 100
        assert trace.events[-1].at >= 100
