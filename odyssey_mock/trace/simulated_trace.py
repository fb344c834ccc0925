"""Recording of a simulated world: its clients and its mock, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from odyssey_client.trace import Recorder, default_recorder, record_by_default
from odyssey_mock.sim.platform import EPOCH
from odyssey_mock.sim.world import World
from odyssey_mock.trace.server_trace import ServerTrace


@asynccontextmanager
async def recorded_world(world: World) -> AsyncIterator[ServerTrace]:
    """Record the mock of a world, and the clients that are created in the block.

    No statistics are recorded: their timers would change the course of the run, so that a seed would have another
    result with a trace than without. Thumbnails of light peers, whose frames have no picture, are drawn.
    """
    has_pictures = world.fidelity == "full"
    recorder = Recorder(now=world.now, began_at=EPOCH, samples_statistics=False, samples_frames=has_pictures)
    async with ServerTrace(world.mock, recorder) as trace:
        before = default_recorder()
        record_by_default(recorder)
        try:
            yield trace
        finally:
            record_by_default(before)
