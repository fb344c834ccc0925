"""`bench explore`: client sessions in light and in full simulation, compared with sessions over loopback in real time.

Light simulation replaces WebRTC by peers without pixels; full simulation runs real WebRTC.

A session consists of: connect, start, three interactions over 3 s of stream, end, disconnect. Two processes run
sessions in parallel, as an explorer campaign on two cores does. The result is the wall time per session.
"""

import asyncio
import gc
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from odyssey_client import Odyssey
from odyssey_mock.bench.rows import Row
from odyssey_mock.server import MockOdyssey
from odyssey_mock.sim.fidelity import Fidelity
from odyssey_mock.sim.run import run as run_world
from odyssey_mock.sim.world import PICTURE, World

PROCESSES = 2
SESSIONS: dict[Fidelity, int] = {"light": 200, "full": 40}
QUICK_SESSIONS: dict[Fidelity, int] = {"light": 60, "full": 12}
LOOPBACK_SESSIONS = 3
INTERACTIONS = 3
STREAM_S = 3.0
"""Length of the stream of one session in seconds, in simulated or real time."""
LEAST: dict[Fidelity, int] = {"light": 50, "full": 5}
"""Minimum number of sessions per second, of all processes together, in light and in full simulation."""


async def run(*, quick: bool = False) -> list[Row]:
    """Measure sessions over loopback, in light simulation and in full simulation, one after the other."""
    loop = asyncio.get_running_loop()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:

        async def milliseconds(work: Callable[[int], None], sessions: int) -> float:
            """Run `sessions` sessions in each process after a warm-up; return the wall milliseconds per session."""
            await asyncio.gather(*(loop.run_in_executor(pool, work, 1) for _ in range(PROCESSES)))
            began = time.perf_counter()
            await asyncio.gather(*(loop.run_in_executor(pool, work, sessions) for _ in range(PROCESSES)))
            return (time.perf_counter() - began) * 1000 / (sessions * PROCESSES)

        loopback = await milliseconds(_loopback, 1 if quick else LOOPBACK_SESSIONS)
        sessions = QUICK_SESSIONS if quick else SESSIONS
        light = await milliseconds(_light, sessions["light"])
        full = await milliseconds(_full, sessions["full"])
    taken: dict[Fidelity, float] = {"light": light, "full": full}
    return [
        Row(
            f"one {depth} session ({1000 / taken[depth]:.0f} per second)",
            taken[depth],
            loopback,
            "ms",
            reach=round(1000 / LEAST[depth] / loopback, 4),
        )
        for depth in taken
    ]


def _light(sessions: int) -> None:
    _simulated("light", sessions)


def _full(sessions: int) -> None:
    _simulated("full", sessions)


def _simulated(depth: Fidelity, sessions: int) -> None:
    gc.freeze()  # as a campaign does: garbage collections skip the frozen objects

    async def lives(world: World) -> None:
        for _ in range(sessions):
            await _life(world.client())

    went = run_world(0, lives, fidelity=depth, keeps_log=False)
    if went.error is not None:
        raise went.error


def _loopback(sessions: int) -> None:
    async def lives() -> None:
        width, height = PICTURE
        async with MockOdyssey(portrait_size=(width, height), landscape_size=(height, width)) as mock:
            for _ in range(sessions):
                await _life(Odyssey(mock.api_key, api_url=mock.url))

    asyncio.run(lives())


async def _life(client: Odyssey) -> None:
    async with client:
        await client.connect()
        await client.start_stream("a harbour at dawn")
        for number in range(INTERACTIONS):
            await asyncio.sleep(STREAM_S / INTERACTIONS)  # noqa: TID251 - real or simulated time, depending on the event loop
            await client.interact(f"a ship comes in, number {number}")
        await client.end_stream()
