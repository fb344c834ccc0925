"""One simulated run, from beginning to end, or opened and taken step by step."""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from odyssey_client.system import platform_by_default
from odyssey_mock.core.entropy import SeededEntropy
from odyssey_mock.server import MockOdyssey
from odyssey_mock.sim.fidelity import Fidelity, frame_encoder, server_network
from odyssey_mock.sim.platform import ServerClock
from odyssey_mock.sim.sandbox import sandboxed
from odyssey_mock.sim.world import CLIENT, SERVER, World, awaited

LONGEST = 86_400.0 * 31
"""Virtual seconds that a run may take unless told otherwise: a month."""

COLLECTED_AFTER = 16
"""Worlds that may be over before the garbage that they are is collected: it takes as long as a whole run."""
_worlds = itertools.count(1)

type Program[T] = Callable[[World], Awaitable[T]]
"""What a run executes."""


@dataclass(frozen=True, slots=True)
class Run[T]:
    """How a run went.

    Attributes:
        result: what the program returned.
        error: what it, or anything else in the run, raised; None where all went well.
        trace_hash: over every callback, timer and packet: the same for the same seed, in every process.
        seconds: of virtual time.
        left: what was not closed or ended by the time the server was left; tasks, sockets, connections.
    """

    seed: int
    result: T | None
    error: Exception | None
    trace_hash: str
    seconds: float
    left: tuple[str, ...]


def run[T](
    seed: int,
    program: Program[T],
    *,
    fidelity: Fidelity = "light",
    settings: Mapping[str, object] | None = None,
    keeps_trace: bool = True,
    seconds: float = LONGEST,
) -> Run[T]:
    """Run `program` in a world of its own, from beginning to end.

    Args:
        seed: decides all that is random.
        program: gets the `World`; returning or raising ends it.
        fidelity: with real WebRTC or with peers without pixels.
        settings: of the mock, over those of a simulated one.
        keeps_trace: whether there is a `trace_hash`.
        seconds: of virtual time that it may take; its error is an `EndlessError` then.
    """
    world = World(seed, fidelity=fidelity, keeps_trace=keeps_trace)
    with _within(world), sandboxed(world.time_and_entropy):
        world.loop.allow(seconds)
        result, error = None, None
        try:
            result = world.loop.run_until_complete(_play(world, program, settings or {}))
        except Exception as caught:
            error = caught
        except asyncio.CancelledError as cancelled:
            error = RuntimeError("the program was cancelled, or has awaited what was")
            error.__cause__ = cancelled
        seconds = world.loop.time()
        left = tuple(world.left_over())
        trace_hash = world.loop.trace_hash() if keeps_trace else ""
    return Run(seed, result, error, trace_hash, seconds, left)


@contextmanager
def opened(seed: int, *, fidelity: Fidelity = "light", settings: Mapping[str, object] | None = None) -> Iterator[World]:
    """Open a world that stands still, but for `World.step`: for those who cannot await, such as Hypothesis' rules.

    Between the steps nothing is sandboxed. The server runs until the end of the
    block, which closes it. What clients have left behind is for whoever made them to end.

    Args:
        seed: decides all that is random.
        fidelity: as for `run`.
        settings: as for `run`.
    """
    world = World(seed, fidelity=fidelity, keeps_trace=False)
    with _within(world):
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
    """Start the server; return its task, which ends after `over` is set."""
    started: asyncio.Future[MockOdyssey] = world.loop.create_future()

    async def serve() -> None:
        wall = world.wall_clock(SERVER)
        mock = MockOdyssey(
            clock=ServerClock(world.loop, wall),
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
        await server  # which raises why
    world.mock = started.result()
    return server


async def _join(task: asyncio.Task[None]) -> None:
    await task


@contextmanager
def _within(world: World) -> Iterator[None]:
    with _peers(world.fidelity), _without_collections(), platform_by_default(world.platform):
        try:
            yield
        finally:
            world.loop.end()


def _peers(fidelity: Fidelity) -> AbstractContextManager[None]:
    if fidelity == "light":
        return nullcontext()
    from odyssey_mock.sim.webrtc import webrtc  # noqa: PLC0415 - aiortc takes a quarter of a second to import

    return webrtc()


@contextmanager
def _without_collections() -> Iterator[None]:
    """Collect no garbage meanwhile: what is then closed would be closed at another moment in every process."""
    had = gc.isenabled()
    if next(_worlds) % COLLECTED_AFTER == 0:
        gc.collect()  # worlds are full of cycles, and what is frozen is never collected
    gc.disable()
    gc.freeze()  # simloop collects at the end of each run: 50 ms less without what was there before
    try:
        yield
    finally:
        gc.unfreeze()
        if had:
            gc.enable()
