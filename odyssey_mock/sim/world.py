"""The simulated world: a server, as many machines with clients as wanted, and the network between them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from typing import Any

from odyssey_client import AdvancedConfig, Odyssey
from odyssey_client.platform import Platform
from odyssey_mock.server import MockOdyssey
from odyssey_mock.sim.fidelity import Fidelity, client_network
from odyssey_mock.sim.loop import EndlessError, SimulatedLoop, SimulationDeadlockError
from odyssey_mock.sim.network_conditions import NetworkConditions
from odyssey_mock.sim.platform import ClientClock, WallClock
from odyssey_mock.sim.randomness import Randomness
from odyssey_mock.sim.sandbox import sandboxed
from odyssey_mock.sim.trace import CLIENT, SERVER

__all__ = ["CLIENT", "SERVER", "World"]

PORT = 8400
"""Where the server listens."""

PICTURE = (192, 320)
"""Width and height of a portrait frame: about as small as its stamp allows."""

GIVE_UP = 60.0
"""Virtual seconds that something has to end which was given up, and cancelled."""


class World:
    """What a program in the simulated world has: the mock, clients on machines of their own, the network, randomness.

    Attributes:
        mock: the server, running.
        wire: the network; `world.wire.cut(CLIENT, SERVER)`.
        chance: streams of seeded randomness, by name.
        loop: virtual time.
    """

    mock: MockOdyssey

    def __init__(self, seed: int, *, fidelity: Fidelity = "light", keeps_trace: bool = True) -> None:
        self.seed = seed
        self.fidelity: Fidelity = fidelity
        self.chance = Randomness(seed)
        self.loop = SimulatedLoop(seed, keeps_trace=keeps_trace)
        self.time_and_entropy = WorldTimeAndEntropy(self)
        self.wire: NetworkConditions = self.loop.network
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
        platform = self.platform(host)
        return Odyssey(
            api_key or self.mock.api_key,
            api_url=self.mock.url,
            advanced=advanced,
            clock=platform.clock,
            entropy=platform.entropy,
            network=platform.network,
        )

    def platform(self, host: str | None = None) -> Platform:
        """What a client on the machine `host` takes from the world; on that of the present task where not given.

        A client that is made in a run and is given none has those.
        """
        host = host or self.wire.here or CLIENT
        self.wire.host(host)
        return Platform(
            ClientClock(self.loop, self.wall_clock(host)),
            self.chance.entropy(f"{host}/entropy"),
            client_network(self.fidelity, self.loop, host),
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
        with sandboxed(self.time_and_entropy):
            task = self.spawn(host, awaited(work))
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


async def awaited[T](work: Awaitable[T]) -> T:
    """Make a coroutine of whatever can be awaited."""
    return await work


class WorldTimeAndEntropy:
    """Time and entropy of a world, for code in it that would read the machine's."""

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
