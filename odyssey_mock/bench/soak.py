"""`bench soak`: the growth of memory and other resources while client and mock work for a long time.

Caches, thread pools and the allocator's arenas fill in the first half of each phase. The second half is measured in
`WINDOWS` windows. A leak grows in each of them. A cache that something has cleared is filled again in one of them. So
the median of the windows counts for objects and memory.
"""

import asyncio
import base64
import ctypes
import gc
import importlib
import itertools
import multiprocessing
import os
import socket
import statistics
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from odyssey_client import Odyssey, OdysseyError
from odyssey_mock.bench.rows import Growth, MissingBaselineError
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.explore.workers import end_with_main_process
from odyssey_mock.server import MockOdyssey
from odyssey_mock.settings import Settings
from odyssey_mock.sim.run import run as run_world
from odyssey_mock.sim.world import SERVER, World

SMALL = Settings(
    portrait_size=(176, 320), landscape_size=(320, 176), journal_limit=200, streams_limit=50, concurrent_sessions=None
)
"""Small frames, which are encoded fast, and short records, which are full after a few sessions."""

WINDOWS = 3
"""Number of windows in the second half of a phase."""

CYCLES = 2000
QUICK_CYCLES = 100
CYCLE_OBJECTS = 2.0
"""Maximum number of Python objects that one session may leak. A leaked WebRTC peer has 1,600."""
CYCLE_BYTES = 20_000.0
QUICK_CYCLE_BYTES = 150_000.0
"""Maximum number of bytes by which the process may grow per session. A leaked WebRTC peer has 520,000.

Few sessions need a higher limit, because the allocator's arenas still fill.
"""

CROWD = 20
"""Number of clients of one simulated mock at the same time."""
CROWD_S = 1800.0
QUICK_CROWD_S = 60.0
SETTLING_S = 120.0
"""Virtual seconds until both sides have closed the connections of clients that have disconnected."""
SECOND_OBJECTS = 0.1
"""Maximum number of objects of this project that clients and mock may leak per virtual second."""
FAULTS: Sequence[Mapping[str, JSON]] = (
    {"at": "rest.auth.token", "do": "no_answer", "probability": 0.05, "times": None},
    {"at": "rest.sessions.request", "do": "status", "status": 503, "probability": 0.2, "times": None},
    {"at": "signaling.answer", "do": "close", "probability": 0.1, "times": None},
    {"at": "peer.connected", "do": "vanish", "seconds": 20, "probability": 0.2, "times": None},
    {"at": "stream.interact", "do": "lost", "probability": 0.1, "times": None},
    {"at": "stream.running", "do": "error", "reason": "soak", "seconds": 30, "probability": 0.1, "times": None},
)
"""Faults during the simulated phase."""

UNUSED = 2000
QUICK_UNUSED = 200
UNUSED_OBJECTS = 1.0
"""Maximum number of Python objects that a session may leak that no client has connected to."""
EXPIRED_S = 3600.0
"""Seconds on the server's clock after which the mock has ended every unused session."""

READERS = 10
"""Number of connections of each kind that do not read."""
VISITS = 60
QUICK_VISITS = 8
"""Number of other sessions during the phase with connections that do not read."""
READER_BYTES = 1_000_000.0
"""Maximum number of bytes by which the process may grow per session while connections do not read."""
CLOSED_S = 20.0
"""Maximum seconds until the mock has noticed that connections were closed."""
HEAD_S = 10.0
"""Maximum seconds until the response to an upgrade arrives."""


async def run(*, quick: bool = False) -> list[Growth]:
    """Run all phases, one after the other.

    Raises:
        MissingBaselineError: psutil is not installed.
    """
    try:
        # Imported before the first session. Later, the import would clear the caches of abstract base classes, and the
        # sessions after it would fill them again: 111 objects that are no leak.
        importlib.import_module("psutil")
    except ImportError as error:
        raise MissingBaselineError("bench soak requires psutil: pip install psutil") from error
    loop = asyncio.get_running_loop()
    # The simulated world replaces the time of its whole process.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=end_with_main_process) as pool:
        simulated = await loop.run_in_executor(pool, crowd, QUICK_CROWD_S if quick else CROWD_S)
    return [
        *await cycles(QUICK_CYCLES if quick else CYCLES, most_bytes=QUICK_CYCLE_BYTES if quick else CYCLE_BYTES),
        *simulated,
        *await unused(QUICK_UNUSED if quick else UNUSED),
        *await slow_readers(QUICK_VISITS if quick else VISITS),
    ]


@dataclass(frozen=True, slots=True)
class Level:
    """The resources that this process uses at one moment.

    Attributes:
        objects: Python objects that the garbage collector tracks.
        size: resident memory in bytes.
        tasks: unfinished tasks of the running event loop.
        threads: threads, without those of the event loop's executor.
        files: open file descriptors, including sockets.
    """

    objects: int
    size: int
    tasks: int
    threads: int
    files: int

    @classmethod
    def now(cls) -> "Level":
        """Measure this process after a garbage collection.

        With glibc, freed memory is first returned to the system. With other C libraries, `size` may include it.
        """
        import psutil  # noqa: PLC0415 - only developers have it

        gc.collect()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
        process = psutil.Process()
        threads = [thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")]
        return cls(
            objects=len(gc.get_objects()),
            size=process.memory_info().rss,
            tasks=len(asyncio.all_tasks()),
            threads=len(threads),
            files=process.num_fds(),
        )


async def levels(count: int, work: Callable[[int], Awaitable[None]]) -> tuple[list[Level], int]:
    """Do `count` rounds of work; return the levels at the limits of the windows, and the rounds in each window.

    `work` is called with a number of rounds.
    """
    each = count // 2 // WINDOWS
    await work(count - WINDOWS * each)
    measured = [Level.now()]
    for _ in range(WINDOWS):
        await work(each)
        await _closed(measured[0].files)  # on a busy machine, the last sockets close a little later
        measured.append(Level.now())
    return measured, each


def growth(
    name: str, measured: Sequence[Level], each: int, *, objects: float, size: float | None = None
) -> list[Growth]:
    """Return the growth between levels that are `each` rounds apart. `objects` and `size` limit it per round.

    Tasks, threads and file descriptors must not grow at all. Without `size`, memory is not compared.
    """

    def median(resource: Callable[[Level], int]) -> float:
        return statistics.median(resource(after) - resource(before) for before, after in itertools.pairwise(measured))

    first, last = measured[0], measured[-1]
    rounds = each * (len(measured) - 1)
    rows = [Growth(f"{name}, objects", median(lambda level: level.objects), each, "objects", objects)]
    if size is not None:
        rows.append(Growth(f"{name}, memory", median(lambda level: level.size), each, "bytes", size))
    return [
        *rows,
        Growth(f"{name}, tasks", last.tasks - first.tasks, rounds, "tasks", 0.0),
        Growth(f"{name}, threads", last.threads - first.threads, rounds, "threads", 0.0),
        Growth(f"{name}, descriptors", last.files - first.files, rounds, "descriptors", 0.0),
    ]


async def cycles(count: int, *, most_bytes: float) -> list[Growth]:
    """Connect, stream, interact and disconnect `count` times."""
    async with MockOdyssey(SMALL) as mock:

        async def work(rounds: int) -> None:
            await _repeat(rounds, lambda: session(mock))
            await mock.reset()

        return growth(f"{count} sessions", *await levels(count, work), objects=CYCLE_OBJECTS, size=most_bytes)


async def _repeat(count: int, work: Callable[[], Awaitable[None]]) -> None:
    for _ in range(count):
        await work()


async def session(mock: MockOdyssey) -> None:
    """Run one session, and receive its first frame."""
    async with Odyssey(mock.api_key, api_url=mock.url) as client:
        stream = await client.connect()
        await client.start_stream("A cat")
        await client.interact("It looks out")
        await anext(aiter(stream))
        await client.end_stream()


def crowd(seconds: float) -> list[Growth]:
    """Let `CROWD` simulated clients stream for `seconds` of virtual time, while faults disturb them.

    In the middle and at the end, all clients disconnect, and the mock is reset. Only objects of the classes of this
    project are counted. Those of the simulation are not: its network remembers every connection, and its event loop
    keeps cancelled timers until they are due.
    """
    objects: list[int] = []

    async def program(world: World) -> None:
        world.mock.faults.extend(FAULTS)
        for half in range(2):
            async with asyncio.TaskGroup() as clients:
                for number in range(CROWD):
                    clients.create_task(_visits(world, f"soak/{half}/{number}", world.now() + seconds / 2))
            await world.spawn(SERVER, world.mock.reset())
            world.mock.faults.extend(FAULTS)
            await asyncio.sleep(SETTLING_S)  # noqa: TID251 - virtual time, until connections are closed on both sides
            gc.collect()
            objects.append(sum(_is_counted(type(each).__module__) for each in gc.get_objects()))

    settings = {"concurrent_sessions": None, "journal_limit": 200, "streams_limit": 50}
    went = run_world(0, program, settings=settings, keeps_log=False)
    if went.error is not None:
        raise went.error
    before, after = objects
    rounds = int(seconds / 2)
    name = f"{CROWD} clients for {seconds / 60:g} min"
    return [
        Growth(f"{name}, objects", after - before, rounds, "objects", SECOND_OBJECTS),
        Growth(f"{name}, left over at the end", len(went.left), rounds, "tasks and sockets", 0.0),
    ]


def _is_counted(module: str) -> bool:
    return module.startswith("odyssey_") and not module.startswith("odyssey_mock.sim.")


async def _visits(world: World, name: str, until: float) -> None:
    """Connect a client, start a stream and interact, again and again until the virtual time `until`."""
    chance = world.chance.stream(name)
    while world.now() < until:
        try:
            async with world.client() as client:
                await client.connect()
                await client.start_stream("A harbour at dawn")
                while world.now() < until:
                    await asyncio.sleep(chance.uniform(2, 10))  # noqa: TID251 - virtual time of the simulated loop
                    await client.interact("A ship comes in")
        except OdysseyError:
            await asyncio.sleep(1)  # noqa: TID251 - virtual time; a fault ended the session


async def unused(count: int) -> list[Growth]:
    """Request `count` sessions to which no client connects, and let them expire."""
    settings = SMALL.replace(clock="manual", streamers=count)
    async with MockOdyssey(settings) as mock:
        measured, each = await levels(count, lambda rounds: _unused(mock, rounds))
        return growth(f"{count} unused sessions", measured, each, objects=UNUSED_OBJECTS)


async def _unused(mock: MockOdyssey, count: int) -> None:
    async with httpx.AsyncClient(base_url=mock.url, trust_env=False, headers=await _access(mock)) as http:
        for _ in range(count):
            (await http.post("/sessions/request", json={})).raise_for_status()
    if len(mock.sessions) != count:
        raise RuntimeError(f"expected {count} sessions, got {len(mock.sessions)}")
    await mock.advance(EXPIRED_S)
    if mock.sessions:
        raise RuntimeError(f"expected all unused sessions to expire within {EXPIRED_S} s, got {len(mock.sessions)}")
    await mock.reset()


async def _access(mock: MockOdyssey) -> Mapping[str, str]:
    """Return headers with a new access token."""
    async with httpx.AsyncClient(base_url=mock.url, trust_env=False) as http:
        response = (await http.post("/auth/token", json={"api_key": mock.api_key})).raise_for_status()
    return {"Authorization": f"Bearer {response.json()['access_token']}"}


async def slow_readers(visits: int) -> list[Growth]:
    """Run `visits` sessions while other connections send requests and never read what the mock sends."""
    async with MockOdyssey(SMALL.replace(streamers=READERS + 10)) as mock:
        await session(mock)
        before = Level.now()
        async with AsyncExitStack() as readers:
            for _ in range(READERS):
                await readers.enter_async_context(_journal_reader(mock))
                await readers.enter_async_context(_signaling_reader(mock))
            await _repeat(visits // 2, lambda: session(mock))
            middle = Level.now()
            await _repeat(visits - visits // 2, lambda: session(mock))
            last = Level.now()
        await _closed(before.files)
        name = f"{2 * READERS} connections that do not read"
        return [
            Growth(f"{name}, memory", last.size - middle.size, visits - visits // 2, "bytes", READER_BYTES),
            Growth(f"{name}, descriptors", last.files - middle.files, visits - visits // 2, "descriptors", 0.0),
            Growth(f"{name}, descriptors after closing", Level.now().files - before.files, 1, "descriptors", 0.0),
        ]


@asynccontextmanager
async def _connected(mock: MockOdyssey) -> AsyncIterator[socket.socket]:
    """Open a connection to the mock with a small receive buffer."""
    address = urlsplit(mock.url)
    with socket.socket() as connection:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await asyncio.get_running_loop().sock_connect(connection, (address.hostname, address.port))
        yield connection


@asynccontextmanager
async def _journal_reader(mock: MockOdyssey) -> AsyncIterator[None]:
    """Request the journal many times on one connection, without reading a response."""
    request = f"GET /_mock/journal HTTP/1.1\r\nHost: {urlsplit(mock.url).netloc}\r\n\r\n".encode()
    async with _connected(mock) as connection:
        await asyncio.get_running_loop().sock_sendall(connection, 50 * request)
        yield


@asynccontextmanager
async def _signaling_reader(mock: MockOdyssey) -> AsyncIterator[None]:
    """Open the signaling WebSocket of a new session, and read nothing after the upgrade."""
    async with httpx.AsyncClient(base_url=mock.url, trust_env=False, headers=await _access(mock)) as http:
        granted = (await http.post("/sessions/request", json={})).raise_for_status().json()
        token = (await http.post("/sessions/token", json={"session_id": granted["session_id"]})).raise_for_status()
    url = urlsplit(f"{granted['signalling_url']}/client/{granted['session_id']}")
    key = base64.b64encode(os.urandom(16)).decode()  # noqa: TID251 - the WebSocket key of a real connection
    head = (
        f"GET {url.path}?token={token.json()['session_token']} HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    async with _connected(mock) as connection:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(connection, head.encode())
        async with asyncio.timeout(HEAD_S):
            status = await loop.sock_recv(connection, 12)
        if status != b"HTTP/1.1 101":
            raise RuntimeError(f"expected status 101 for the upgrade, got {status!r}")
        yield


async def _closed(files: int) -> None:
    """Wait until this process has at most `files` open descriptors; give up after `CLOSED_S`."""
    import psutil  # noqa: PLC0415 - only developers have it

    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSED_S):
            while psutil.Process().num_fds() > files:  # noqa: ASYNC110 - a closed socket sends no event
                await asyncio.sleep(0.05)  # noqa: TID251 - sockets close in real time
