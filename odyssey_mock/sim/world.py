"""The simulated world: a server, any number of client hosts, and the network between them."""

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
from odyssey_mock.sim.run_log import CLIENT, SERVER
from odyssey_mock.sim.sandbox import sandboxed
from odyssey_mock.sim.unlogged_loop import UnloggedLoop

__all__ = ["CLIENT", "SERVER", "World"]

PORT = 8400
"""Port of the server."""

PICTURE = (192, 320)
"""Width and height of a portrait frame: small, but large enough for a stamp."""

GIVE_UP = 60.0
"""Maximum virtual seconds to wait for the end of cancelled tasks."""


class World:
    """A simulated world for a program: the mock, clients on separate hosts, the network and randomness.

    Attributes:
        mock: the running server.
        wire: the network, for example `world.wire.cut(CLIENT, SERVER)`.
        chance: named streams of seeded random numbers.
        loop: the event loop in virtual time.
    """

    mock: MockOdyssey

    def __init__(self, seed: int, *, fidelity: Fidelity = "light", keeps_log: bool = True) -> None:
        self.seed = seed
        self.fidelity: Fidelity = fidelity
        self.chance = Randomness(seed)
        self.loop: SimulatedLoop = SimulatedLoop(seed) if keeps_log else UnloggedLoop(seed)
        self.time_and_entropy = WorldTimeAndEntropy(self)
        self.wire: NetworkConditions = self.loop.network
        self._walls: dict[str, WallClock] = {}
        self.wire.host(SERVER)

    def now(self) -> float:
        """Return the virtual seconds since the run began."""
        return self.loop.time()

    def wall_clock(self, host: str) -> WallClock:
        """Return the wall clock of `host`. To make it jump: `world.wall_clock("client").offset += 3600`."""
        return self._walls.setdefault(host, WallClock(self.loop))

    def client(
        self, host: str = CLIENT, *, api_key: str | None = None, advanced: AdvancedConfig | None = None
    ) -> Odyssey:
        """Create a client on `host`; the first client of a host also creates the host.

        Args:
            host: host of the client. If it is not `CLIENT`, use the client only in tasks of that host (`spawn`).
            api_key: API key; the mock's key by default.
            advanced: settings of retries and time limits.
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
        """Return the platform for a client on `host`: clock, entropy and network.

        By default, `host` is the host of the current task. An `Odyssey()` that is created in a run without clock,
        entropy and network uses those of the current host.
        """
        host = host or self.wire.here or CLIENT
        self.wire.host(host)
        return Platform(
            ClientClock(self.loop, self.wall_clock(host)),
            self.chance.entropy(f"{host}/entropy"),
            client_network(self.fidelity, self.loop, host),
        )

    def spawn[T](self, host: str, work: Awaitable[T], *, name: str | None = None) -> asyncio.Task[T]:
        """Run `work` as a task of `host`. The caller must await or cancel the task."""
        return self.wire.host(host).create_task(work, name=name)

    def step[T](self, work: Awaitable[T], *, host: str = CLIENT, seconds: float = 3600.0) -> T:
        """Run `work` as a task of `host`, advance an `opened` world until the task is done, and return its result.

        Args:
            work: the awaitable to run.
            host: host of the task.
            seconds: limit in virtual time.

        Raises:
            SimulationDeadlockError: no task can continue, and `work` is not done.
            EndlessError: `work` is not done within `seconds`.
            Exception: `work`, or a background task that no code awaits, raised this exception.
        """
        with sandboxed(self.time_and_entropy):
            task = self.spawn(host, awaited(work))
            try:
                self._until(task, seconds)
            finally:
                stuck = not task.done()
                if stuck:
                    task.cancel()
                    with suppress(EndlessError):  # the error raised already is more specific
                        self._until(task, GIVE_UP)
            if stuck:
                raise SimulationDeadlockError(
                    "expected the work to end, but no task can continue: the work waits for an event that never happens"
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
        """Crash the server's host without notice. Its accounts, tokens, jobs and recordings survive, as on a disk."""
        self.wire.crash(SERVER, keeps={self.mock.backend.stun_port})
        await self.spawn(SERVER, self.mock.go_away())

    async def bounce(self) -> None:
        """Restart the server and its host after a crash; do nothing if the host is running."""
        self.wire.revive(SERVER)
        await self.spawn(SERVER, self.mock.come_back())

    def settings(self) -> Mapping[str, object]:
        """Return the default settings of a simulated mock."""
        width, height = PICTURE
        return {
            "host": self.wire.address(SERVER),
            "port": PORT,
            # Fonts differ between machines, and the size of a packet affects the run.
            "fonts": "bundled",
            "portrait_size": (width, height),
            "landscape_size": (height, width),
        }

    def left_over(self) -> list[str]:
        """Return descriptions of all unfinished tasks and all open connections, listeners and sockets."""
        tasks = self.loop.unfinished_tasks()
        names = [getattr(task.get_coro(), "__qualname__", task.get_name()) for task in tasks]
        return [f"the task {name}" for name in names] + self.wire.open_ends


async def awaited[T](work: Awaitable[T]) -> T:
    """Await `work` and return its result. This turns any awaitable into a coroutine."""
    return await work


class WorldTimeAndEntropy:
    """Time and entropy of a world. Code in the sandbox uses them instead of the machine's."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._bytes = world.chance.stream("os.urandom")

    def time(self) -> float:
        # By the wall clock of the current host, which may be wrong.
        return self._world.wall_clock(self._world.wire.here or "").time()

    def monotonic(self) -> float:
        return self._world.loop.time()

    def urandom(self, size: int, /) -> bytes:
        return self._bytes.randbytes(size)
