"""One simulated run: a server, as many machines with clients as wanted, and a scenario that has them to itself."""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

from odyssey_client import AdvancedConfig, Odyssey
from odyssey_client.seams import Seams, seams_by_default
from odyssey_mock.entropy import SeededEntropy
from odyssey_mock.server import MockOdyssey
from odyssey_mock.sim.chance import Chance
from odyssey_mock.sim.depths import Depth, client_network, footage, server_network
from odyssey_mock.sim.loop import EndlessError, SimulatedLoop, SimulationDeadlockError
from odyssey_mock.sim.outside import shut_out
from odyssey_mock.sim.seams import ClientClock, ServerClock, WallClock
from odyssey_mock.sim.wire import Wire

SERVER = "odyssey"
"""The server's host."""
PORT = 8400
CLIENT = "client"
"""The host of clients unless another is named."""

PICTURE = (192, 320)
"""Width and height of a portrait frame: about as small as its stamp allows."""

LONGEST = 86_400.0 * 31
"""Virtual seconds that a run may take unless told otherwise: a month."""

GIVE_UP = 60.0
"""Virtual seconds that something has to end which was given up, and cancelled."""

type Scenario[T] = Callable[["World"], Awaitable[T]]


class World:
    """What a scenario has: the mock, clients on machines of their own, the network between them, and chance.

    Attributes:
        mock: the server, running.
        wire: the network; `world.wire.cut(CLIENT, SERVER)`.
        chance: streams of seeded randomness, by name.
        loop: virtual time.
    """

    mock: MockOdyssey

    def __init__(self, seed: int, *, depth: Depth = "light", keeps_trace: bool = True) -> None:
        self.seed = seed
        self.depth: Depth = depth
        self.chance = Chance(seed)
        self.loop = SimulatedLoop(seed, keeps_trace=keeps_trace)
        self._inside = _Inside(self)
        self.wire: Wire = self.loop.wire
        self._walls: dict[str, WallClock] = {}
        self.wire.host(SERVER)

    def now(self) -> float:
        """Seconds since the run began."""
        return self.loop.time()

    def wall_clock(self, host: str) -> WallClock:
        """What the machine `host` thinks the time is, to be set wrong: `world.wall_clock("client").offset += 3600`."""
        return self._walls.setdefault(host, WallClock(self.loop))

    def client(
        self, host: str = CLIENT, *, api_key: str | None = None, advanced: AdvancedConfig | None = None
    ) -> Odyssey:
        """Make a client on the machine `host`, which comes into being with its first one.

        Args:
            host: its machine; what it does must be done by tasks of that machine (`spawn`) where it is not `CLIENT`.
            api_key: its key; the mock's where not given.
            advanced: retries and limits.
        """
        seams = self.seams(host)
        return Odyssey(
            api_key or self.mock.api_key,
            api_url=self.mock.url,
            advanced=advanced,
            clock=seams.clock,
            entropy=seams.entropy,
            network=seams.network,
        )

    def seams(self, host: str | None = None) -> Seams:
        """What a client on the machine `host` takes from the world; on that of the present task where not given.

        A client that is made in a run and is given none has those.
        """
        host = host or self.wire.here or CLIENT
        self.wire.host(host)
        return Seams(
            ClientClock(self.loop, self.wall_clock(host)),
            self.chance.entropy(f"{host}/entropy"),
            client_network(self.depth, self.loop, host),
        )

    def spawn[T](self, host: str, work: Awaitable[T], *, name: str | None = None) -> asyncio.Task[T]:
        """Run `work` as a task of the machine `host`; whoever calls owns it."""
        return self.wire.host(host).create_task(work, name=name)

    def step[T](self, work: Awaitable[T], *, host: str = CLIENT, seconds: float = 3600.0) -> T:
        """Let an `opened` world go on until `work`, as a task of the machine `host`, is done; no longer.

        Args:
            work: what is to be done.
            host: whose task it is.
            seconds: of virtual time, at most.

        Raises:
            SimulationDeadlockError: nothing is left that could go on, and `work` is not done.
            EndlessError: it is not done in time.
            Exception: what `work` raises; else what a task did that nobody awaits.
        """
        with shut_out(self._inside):
            task = self.spawn(host, _await(work))
            try:
                self._until(task, seconds)
            finally:
                stuck = not task.done()
                if stuck:
                    task.cancel()
                    with suppress(EndlessError):  # there is an error already, which says it better
                        self._until(task, GIVE_UP)
            if stuck:
                raise SimulationDeadlockError(
                    "nothing is left to run that could end what is awaited: a wake-up was lost, or nobody sends it"
                )
            result = task.result()
        for error in self.loop.take_failures():
            raise error
        return result

    def _until(self, task: asyncio.Task[Any], seconds: float) -> None:
        def stop(_: object) -> None:
            self.loop.stop()

        self.loop.allow(seconds)
        task.add_done_callback(stop)
        try:
            self.loop.run_forever()
        finally:
            task.remove_done_callback(stop)

    async def crash(self) -> None:
        """Let the server's machine die without a word; its disk keeps accounts, tokens, jobs, recordings."""
        stun = int(self.mock.backend.stun_url.rpartition(":")[2])
        self.wire.crash(SERVER, keeps={stun})
        await self.spawn(SERVER, self.mock.go_away())

    async def bounce(self) -> None:
        """Start the server's machine again; nothing where it runs."""
        self.wire.revive(SERVER)
        await self.spawn(SERVER, self.mock.come_back())

    def settings(self) -> Mapping[str, object]:
        """The mock's settings that follow from its being simulated."""
        width, height = PICTURE
        return {
            "host": self.wire.address(SERVER),
            "port": PORT,
            "portrait_size": (width, height),
            "landscape_size": (height, width),
        }

    def left_over(self) -> list[str]:
        """What is not closed or ended, for people."""
        tasks = sorted(asyncio.all_tasks(self.loop), key=lambda task: task.get_name())
        names = [getattr(task.get_coro(), "__qualname__", task.get_name()) for task in tasks if not task.done()]
        return [f"the task {name}" for name in names] + self.wire.open_ends


@dataclass(frozen=True, slots=True)
class Run[T]:
    """How a run went.

    Attributes:
        result: what the scenario returned.
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
    scenario: Scenario[T],
    *,
    depth: Depth = "light",
    settings: Mapping[str, object] | None = None,
    keeps_trace: bool = True,
    seconds: float = LONGEST,
) -> Run[T]:
    """Run `scenario` in a world of its own, from beginning to end.

    Args:
        seed: decides all that is random.
        scenario: gets the `World`; returning or raising ends it.
        depth: with real WebRTC or with peers without pixels.
        settings: of the mock, over those of a simulated one.
        keeps_trace: whether there is a `trace_hash`.
        seconds: of virtual time that it may take; its error is an `EndlessError` then.
    """
    world = World(seed, depth=depth, keeps_trace=keeps_trace)
    with _within(world), shut_out(world._inside):  # noqa: SLF001 - of this module
        world.loop.allow(seconds)
        result, error = None, None
        try:
            result = world.loop.run_until_complete(_play(world, scenario, settings or {}))
        except Exception as caught:
            error = caught
        except asyncio.CancelledError as cancelled:
            error = RuntimeError("the scenario was cancelled, or has awaited what was")
            error.__cause__ = cancelled
        seconds = world.loop.time()
        left = tuple(world.left_over())
        trace_hash = world.loop.trace_hash() if keeps_trace else ""
    return Run(seed, result, error, trace_hash, seconds, left)


@contextmanager
def opened(seed: int, *, depth: Depth = "light", settings: Mapping[str, object] | None = None) -> Iterator[World]:
    """Open a world that stands still, but for `World.step`: for those who cannot await, such as Hypothesis' rules.

    Between the steps the world outside is there as ever; only a step shuts it out. The server runs until the end of the
    block, which closes it. What clients have left behind is for whoever made them to end.

    Args:
        seed: decides all that is random.
        depth: as for `run`.
        settings: as for `run`.
    """
    world = World(seed, depth=depth, keeps_trace=False)
    with _within(world):
        over = asyncio.Event()
        server = world.step(_begin(world, over, settings or {}), host=SERVER)
        try:
            yield world
        finally:
            over.set()
            world.step(_join(server), host=SERVER)


async def _play[T](world: World, scenario: Scenario[T], settings: Mapping[str, Any]) -> T:
    over = asyncio.Event()
    server = await _begin(world, over, settings)
    try:
        return await world.spawn(CLIENT, _await(scenario(world)))
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
            network=server_network(world.depth, world.loop, SERVER),
            footage=footage(world.depth),
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


async def _await[T](work: Awaitable[T]) -> T:
    return await work


async def _join(task: asyncio.Task[None]) -> None:
    await task


@contextmanager
def _within(world: World) -> Iterator[None]:
    with _peers(world.depth), _without_collections(), seams_by_default(world.seams):
        try:
            yield
        finally:
            world.loop.end()


def _peers(depth: Depth) -> AbstractContextManager[None]:
    if depth == "light":
        return nullcontext()
    from odyssey_mock.sim.webrtc import webrtc  # noqa: PLC0415 - aiortc takes a quarter of a second to import

    return webrtc()


class _Inside:
    """Time and chance of whatever runs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._bytes = world.chance.stream("os.urandom")

    def time(self) -> float:
        # Of whose machine it is, which may be wrong.
        return self._world.wall_clock(self._world.wire.here or "").time()

    def monotonic(self) -> float:
        return self._world.loop.time()

    def urandom(self, size: int, /) -> bytes:
        return self._bytes.randbytes(size)


COLLECTED_AFTER = 16
"""Worlds that may be over before the garbage that they are is collected: it takes as long as a whole run."""
_worlds = itertools.count(1)


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
