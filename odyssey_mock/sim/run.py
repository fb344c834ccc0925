"""Simulated runs: executed from beginning to end, or opened and advanced step by step."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from odyssey_client.system import platform_by_default
from odyssey_client.trace import default_recorder, record_by_default
from odyssey_mock.core.entropy import SeededEntropy
from odyssey_mock.server import MockOdyssey, no_mock_observed
from odyssey_mock.sim.fidelity import Fidelity, frame_encoder, server_network
from odyssey_mock.sim.platform import ServerClock
from odyssey_mock.sim.sandbox import sandboxed
from odyssey_mock.sim.world import CLIENT, SERVER, World, awaited

LONGEST = 86_400.0 * 31
"""Default limit of a run in virtual seconds: 31 days."""

COLLECTED_AFTER = 100
"""Number of worlds between two full garbage collections. Each takes longer than a run; a world leaves about 0.4 MB.

In a process that has frozen its objects, a collection takes milliseconds, so it precedes every world."""

type Program[T] = Callable[[World], Awaitable[T]]
"""An async function that a run executes; its argument is the `World` of the run."""


@dataclass(frozen=True, slots=True)
class Run[T]:
    """The outcome of a run.

    Attributes:
        result: return value of the program.
        error: exception that the program or anything else in the run raised; None if there was none.
        run_hash: hash over every callback, timer and packet; the same for the same seed in every process.
        seconds: duration in virtual time.
        left: tasks, sockets and connections that were still open after the server had stopped.
    """

    seed: int
    result: T | None
    error: Exception | None
    run_hash: str
    seconds: float
    left: tuple[str, ...]


def run[T](
    seed: int,
    program: Program[T],
    *,
    fidelity: Fidelity = "light",
    settings: Mapping[str, object] | None = None,
    keeps_log: bool = True,
    seconds: float = LONGEST,
) -> Run[T]:
    """Run `program` in a new world, from beginning to end, and return the outcome.

    Args:
        seed: determines everything random in the run.
        program: called with the `World`; the run ends when it returns or raises.
        fidelity: `full` (real WebRTC) or `light` (peers without pixels).
        settings: settings of the mock, which override the defaults of a simulated mock.
        keeps_log: whether to compute `run_hash`.
        seconds: limit in virtual time; a longer run ends with an `EndlessError` as its error.
    """
    with _world(seed, fidelity, keeps_log=keeps_log) as world, sandboxed(world.time_and_entropy):
        world.loop.allow(seconds)
        result, error = None, None
        try:
            result = world.loop.run_until_complete(_play(world, program, settings or {}))
        except Exception as caught:
            error = caught
        except asyncio.CancelledError as cancelled:
            error = RuntimeError("the program was cancelled, or awaited a cancelled task")
            error.__cause__ = cancelled
        seconds = world.loop.time()
        left = tuple(world.left_over())
        run_hash = world.loop.trace_hash() if keeps_log else ""
    return Run(seed, result, error, run_hash, seconds, left)


@contextmanager
def opened(seed: int, *, fidelity: Fidelity = "light", settings: Mapping[str, object] | None = None) -> Iterator[World]:
    """Open a world that advances only in `World.step`, for code that cannot await, such as rules of Hypothesis.

    Only code in `World.step` runs in the sandbox (`sandbox.py`). Code between two steps uses the real time and the
    machine's network. At the end of the block, the server is stopped. The caller must close the clients before that.

    Args:
        seed: determines everything random in the world.
        fidelity: `full` (real WebRTC) or `light` (peers without pixels).
        settings: settings of the mock, which override the defaults of a simulated mock.
    """
    with _world(seed, fidelity, keeps_log=False) as world:
        over = asyncio.Event()
        server = world.step(_begin(world, over, settings or {}), host=SERVER)
        try:
            yield world
        finally:
            over.set()
            world.step(_join(server), host=SERVER)


async def _play[T](world: World, program: Program[T], settings: Mapping[str, Any]) -> T:
    over = asyncio.Event()
    server = await _begin(world, over, settings)
    try:
        return await world.spawn(CLIENT, awaited(program(world)))
    finally:
        over.set()
        await server


async def _begin(world: World, over: asyncio.Event, settings: Mapping[str, Any]) -> asyncio.Task[None]:
    """Start the server and return its task, which ends after `over` is set."""
    started: asyncio.Future[MockOdyssey] = world.loop.create_future()

    async def serve() -> None:
        wall = world.wall_clock(SERVER)
        mock = MockOdyssey(
            clock=ServerClock(wall),
            entropy=SeededEntropy(world.chance.number("server")),
            network=server_network(world.fidelity, world.loop, SERVER),
            frame_encoder=frame_encoder(world.fidelity),
            **{**world.settings(), **settings},
        )
        async with mock:
            started.set_result(mock)
            await over.wait()

    server = world.spawn(SERVER, serve())
    server.add_done_callback(lambda _: started.cancel())
    await asyncio.wait([started])
    if started.cancelled():
        await server  # raises the error that prevented the start
    world.mock = started.result()
    return server


async def _join(task: asyncio.Task[None]) -> None:
    await task


@contextmanager
def _world(seed: int, fidelity: Fidelity, *, keeps_log: bool) -> Iterator[World]:
    """Create a world, and end it after the block."""
    with _peers(fidelity), _without_collections():
        # It is created here because frozen objects, which are older, may stay frozen: they are never collected.
        world = World(seed, fidelity=fidelity, keeps_log=keeps_log)
        with _unrecorded(), platform_by_default(world.platform):
            try:
                yield world
            finally:
                world.loop.end()


@contextmanager
def _unrecorded() -> Iterator[None]:
    """Prevent that recorders of this process record clients and mocks of the world, which would change its course.

    `odyssey_mock.trace.simulated_trace` records a world without changing it.
    """
    before = default_recorder()
    record_by_default(None)
    try:
        with no_mock_observed():
            yield
    finally:
        record_by_default(before)


def _peers(fidelity: Fidelity) -> AbstractContextManager[None]:
    if fidelity == "light":
        return nullcontext()
    from odyssey_mock.sim.webrtc import webrtc  # noqa: PLC0415 - aiortc takes a quarter of a second to import

    return webrtc()


@contextmanager
def _without_collections() -> Iterator[None]:
    """Disable garbage collection during the block: it would run at different times in each process."""
    had = gc.isenabled()
    gc.disable()
    _older_objects.freeze()
    try:
        yield
    finally:
        _older_objects.unfreeze()
        if had:
            gc.enable()


class _OlderObjects:
    """The objects that are older than the open worlds. While a world is open, garbage collections skip them.

    simloop collects garbage after each run, which takes 50 ms less without these objects. `tests/conftest.py` and the
    workers of the explorer have frozen objects themselves. In such a process, all objects that are alive when a world
    begins stay frozen after it. That includes the world of a failed run, if the caller still has its error, whose
    traceback refers to the world.
    """

    def __init__(self) -> None:
        self._open_worlds = 0
        self._worlds = 0
        self._stay_frozen = False

    def freeze(self) -> None:
        self._open_worlds += 1
        self._worlds += 1
        if self._open_worlds == 1:
            # Count the objects only until some are found, because this takes 8 ms for a million of them.
            self._stay_frozen = self._stay_frozen or gc.get_freeze_count() > 0
            # Worlds contain many cycles, and frozen objects are never collected.
            if self._stay_frozen or self._worlds % COLLECTED_AFTER == 0:
                gc.collect()
        gc.freeze()

    def unfreeze(self) -> None:
        self._open_worlds -= 1
        if self._open_worlds == 0 and not self._stay_frozen:
            gc.unfreeze()


_older_objects = _OlderObjects()
