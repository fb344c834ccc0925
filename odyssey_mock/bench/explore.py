"""`bench explore`: client sessions in light and in full simulation, compared with sessions over loopback in real time.

Light simulation replaces WebRTC by peers without pixels; full simulation runs real WebRTC.

A session consists of: connect, start, three interactions over 3 s of stream, end, disconnect. Two processes run
sessions in parallel, as an explorer campaign on two cores does. The result is the CPU time per session.
"""

import asyncio
import gc
import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from odyssey_client import Odyssey
from odyssey_mock.bench.rows import Row
from odyssey_mock.explore.workers import end_with_main_process
from odyssey_mock.server import MockOdyssey
from odyssey_mock.sim.fidelity import Fidelity
from odyssey_mock.sim.run import run as run_world
from odyssey_mock.sim.world import PICTURE, World

PROCESSES = 2
ROUNDS = 5
QUICK_ROUNDS = 1
SESSIONS: dict[Fidelity, int] = {"light": 100, "full": 20}
QUICK_SESSIONS: dict[Fidelity, int] = {"light": 40, "full": 6}
"""Number of sessions of each process in a round."""
INTERACTIONS = 3
STREAM_S = 3.0
"""Length of the stream of one session in seconds, in simulated or real time."""
TARGETS: dict[Fidelity, float] = {"light": 0.07, "full": 0.5}
"""172 light and 22 full sessions per second on two processors, where a session over loopback takes 0.17 s of CPU."""


async def run(*, quick: bool = False) -> list[Row]:
    """Measure sessions over loopback, in light simulation and in full simulation, in turns."""
    loop = asyncio.get_running_loop()
    context = multiprocessing.get_context("spawn")
    sessions = QUICK_SESSIONS if quick else SESSIONS
    loopback: list[float] = []
    simulated: dict[Fidelity, list[float]] = {"light": [], "full": []}
    with ProcessPoolExecutor(PROCESSES, mp_context=context, initializer=end_with_main_process) as pool:

        async def milliseconds(work: Callable[[int], float], count: int) -> float:
            """Run `count` sessions in each process; return the CPU milliseconds per session."""
            spent = await asyncio.gather(*(loop.run_in_executor(pool, work, count) for _ in range(PROCESSES)))
            return sum(spent) * 1000 / (count * PROCESSES)

        for work in (_loopback, _light, _full):  # imports, and caches
            await milliseconds(work, 1)
        for _ in range(QUICK_ROUNDS if quick else ROUNDS):
            loopback.append(await milliseconds(_loopback, 1))
            simulated["light"].append(await milliseconds(_light, sessions["light"]))
            simulated["full"].append(await milliseconds(_full, sessions["full"]))
    return [
        Row(
            f"explore, {depth}",
            taken,
            loopback,
            "ms of CPU per session",
            TARGETS[depth],
            note=f"{PROCESSES * 1000 / statistics.median(taken):.3g} per second on {PROCESSES} processors",
        )
        for depth, taken in simulated.items()
    ]


def _light(sessions: int) -> float:
    return _simulated("light", sessions)


def _full(sessions: int) -> float:
    return _simulated("full", sessions)


def _simulated(depth: Fidelity, sessions: int) -> float:
    """Run sessions in simulated time; return the CPU seconds of this process."""
    gc.freeze()  # as a campaign does: garbage collections skip the frozen objects

    async def lives(world: World) -> None:
        for _ in range(sessions):
            await _life(world.client())

    began = time.process_time()
    went = run_world(0, lives, fidelity=depth, keeps_log=False)
    if went.error is not None:
        raise went.error
    return time.process_time() - began


def _loopback(sessions: int) -> float:
    """Run sessions over loopback in real time; return the CPU seconds of this process."""

    async def lives() -> None:
        width, height = PICTURE
        async with MockOdyssey(portrait_size=(width, height), landscape_size=(height, width)) as mock:
            for _ in range(sessions):
                await _life(Odyssey(mock.api_key, api_url=mock.url))

    began = time.process_time()
    asyncio.run(lives())
    return time.process_time() - began


async def _life(client: Odyssey) -> None:
    async with client:
        await client.connect()
        await client.start_stream("a harbour at dawn")
        for number in range(INTERACTIONS):
            await asyncio.sleep(STREAM_S / INTERACTIONS)  # noqa: TID251 - real or simulated time, depending on the event loop
            await client.interact(f"a ship comes in, number {number}")
        await client.end_stream()
