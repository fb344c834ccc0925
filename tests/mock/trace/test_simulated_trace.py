"""Recording of simulated worlds: virtual time, and no effect on the run."""

import io

import pytest
from PIL import Image

from odyssey_client.trace import Recording
from odyssey_mock.sim.fidelity import Fidelity
from odyssey_mock.sim.run import run
from odyssey_mock.testing import World
from odyssey_mock.trace.server_trace import ServerTrace
from odyssey_mock.trace.simulated_trace import recorded_world


async def visit(world: World) -> str:
    client = world.client()
    await client.connect()
    await client.start_stream("A cat")
    applied = await client.interact("Pet the cat")
    await client.disconnect()
    return applied


@pytest.mark.parametrize("fidelity", ["light", "full"])
def test_recording_does_not_change_the_run(fidelity: Fidelity) -> None:
    traces: list[ServerTrace] = []

    async def recorded(world: World) -> str:
        async with recorded_world(world) as trace:
            traces.append(trace)
            return await visit(world)

    ran, ran_recorded = run(7, visit, fidelity=fidelity), run(7, recorded, fidelity=fidelity)

    assert ran.error is None
    assert (ran_recorded.result, ran_recorded.seconds) == (ran.result, ran.seconds)
    assert ran_recorded.run_hash == ran.run_hash
    lanes = {(event.lane, event.side) for event in traces[0].recording().events}
    assert {("call", "client"), ("channel", "client"), ("channel", "server"), ("state", "server")} <= lanes


def test_times_are_virtual() -> None:
    async def program(world: World) -> tuple[float, list[float]]:
        async with recorded_world(world) as trace:
            await visit(world)
            events = trace.recording().events
            return world.now(), [event.at for event in events]

    ran = run(1, program)

    assert ran.result is not None
    now, times = ran.result
    assert times
    assert 0 <= min(times) <= max(times) <= now


@pytest.mark.parametrize("fidelity", ["light", "full"])
def test_thumbnails_have_pictures(fidelity: Fidelity) -> None:
    async def program(world: World) -> Recording:
        async with recorded_world(world) as trace:
            await visit(world)
        return trace.recording()

    recording = run(3, program, fidelity=fidelity).result

    assert recording is not None
    images = [event.image for event in recording.events if event.lane == "frame"]
    assert images
    for each in images:
        with Image.open(io.BytesIO(each or b"")) as image:
            colors = image.convert("RGB").getcolors(1 << 16)
        assert colors is None or len(colors) > 100, "expected a picture, got a thumbnail of few colors"
