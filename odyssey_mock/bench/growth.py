"""`bench growth`: how CPU time and memory of a mock grow with what it does and with what it remembers.

Requests must take as long with many finished things (journal entries, streams, jobs, tokens, telemetry events, spent
faults) as with few. What lists them may take as long for each of them. The same holds for live sessions.

Mocks with different numbers of things run in this process, and get the same requests over loopback in turns. The
baseline is the mock with the fewest things. Most of the time of a request is that of HTTP, on both sides.

The memory of one thing is compared with its JSON, and that of a live session with one frame of its video.
"""

import gc
import json
import math
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from statistics import fmean, median

import httpx

from odyssey_mock.bench.rows import Row
from odyssey_mock.bench.session_clients import client_process
from odyssey_mock.bench.soak import Level
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.media.timeline import Size, Timeline
from odyssey_mock.recordings.stream_records import StreamRecord
from odyssey_mock.server import MockOdyssey
from odyssey_mock.settings import Settings
from odyssey_mock.simulations.request import JobRequest
from odyssey_mock.simulations.scripts import Script, ScriptAction

FLAT = 0.05
"""Maximum exponent of the time of a request, by the number of things that are finished."""
LINEAR = 1.05
"""Maximum exponent of the time of a request that lists all of them."""
NOISE = 1.5
"""Factor by which times may differ for other reasons. The few samples of a run with `--quick` differ by a fourth.

With 1000 times as many finished things, a request may thus take twice as long.
"""

MOST = 100_000
"""The highest number of things of one kind."""
ROUNDS, QUICK_ROUNDS = 12, 2
REQUESTS = 4
"""Number of requests in one measurement."""
FRAME_MB = 704 * 1280 * 1.5 / 1e6
"""Size of a frame in memory."""
IDLE_TARGET, STREAMING_TARGET = 10.0, 12.0
"""Maximum memory of a live session without and with a stream, as a number of frames."""
TRACED = 1000
"""Maximum number of things whose memory is measured. Adding them takes several times as long."""
CONNECTED, QUICK_CONNECTED = 20, 2
"""Number of connected sessions whose memory is measured."""
PROMPT = "A lighthouse in a storm"

UNLIMITED = Settings().replace(
    journal_limit=2 * MOST,
    journal_bytes=1 << 30,
    streams_limit=2 * MOST,
    jobs_limit=2 * MOST,
    queued_simulations=None,
    concurrent_sessions=None,
    streamers=1000,
    monthly_hours=1e9,
    portrait_size=(176, 320),
    landscape_size=(320, 176),
)
"""Settings of a mock that forgets nothing. It sums up the hours of an account for each session."""

type Fill = Callable[[MockOdyssey, int], object]
"""A function that adds a number of things to a mock."""
type Work = Callable[["Subject"], Awaitable[object]]
"""A request, or a call of a test."""


@dataclass(eq=False, slots=True)
class Subject:
    """A mock with some number of things, and a client of it."""

    mock: MockOdyssey
    http: httpx.AsyncClient
    count: int
    costs: dict[str, list[float]] = field(default_factory=dict)
    """The CPU times of one request, in milliseconds, by its name."""

    async def get(self, path: str) -> None:
        """Send a request and read the response."""
        (await self.http.get(path)).raise_for_status()

    async def start_session(self) -> None:
        """Request a session, and end it."""
        granted = (await self.http.post("/sessions/request", json={})).raise_for_status().json()
        await self.mock.sessions[granted["session_id"]].shut_down()

    async def measure(self, name: str, work: Work) -> None:
        """Measure `REQUESTS` requests, and add the CPU time of one to `costs`."""
        began = time.process_time()
        for _ in range(REQUESTS):
            await work(self)
        self.costs.setdefault(name, []).append((time.process_time() - began) * 1000 / REQUESTS)


@dataclass(frozen=True, slots=True)
class Store:
    """A kind of things that a mock has or remembers.

    Attributes:
        name: what they are, in the plural.
        sizes: the numbers of things that are compared.
        quick_sizes: the same for `--quick`.
        fill: adds some to a mock.
        shown: returns JSON with all of them, for a mock and their number.
        target: maximum memory of one of them, as a ratio to the length of its JSON.
        flat: requests whose time must not depend on their number.
        linear: requests whose time may grow in proportion to their number.
    """

    name: str
    sizes: Sequence[int]
    quick_sizes: Sequence[int]
    fill: Fill
    shown: Callable[[MockOdyssey, int], JSON]
    target: float
    flat: Mapping[str, Work] = field(default_factory=dict)
    linear: Mapping[str, Work] = field(default_factory=dict)


async def run(*, quick: bool = False) -> list[Row]:
    """Measure each kind of things after the other."""
    rows: list[Row] = []
    for store in STORES:
        rows += await _of_store(store, quick=quick)
    return [*rows, *await _of_connected(QUICK_CONNECTED if quick else CONNECTED)]


async def _of_store(store: Store, *, quick: bool) -> list[Row]:
    """Compare mocks with different numbers of things."""
    async with AsyncExitStack() as resources:
        subjects = [await _subject(resources, size) for size in (store.quick_sizes if quick else store.sizes)]
        for subject in subjects:
            await subject.start_session()  # it creates routes and fills caches
        for subject in subjects[:-1]:
            store.fill(subject.mock, subject.count)
        largest = subjects[-1]
        traced = min(TRACED, largest.count)
        store.fill(largest.mock, largest.count - traced)
        memory = _memory_of(lambda: store.fill(largest.mock, traced)) / traced
        shown = len(json.dumps(store.shown(largest.mock, largest.count))) / largest.count
        for _ in range(1 + (QUICK_ROUNDS if quick else ROUNDS)):
            for name, work in {**store.flat, **store.linear}.items():
                for subject in subjects:
                    await subject.measure(name, work)
    return [
        *(_row(f"{store.name}, {name}", subjects, name, FLAT) for name in store.flat),
        *(_row(f"{store.name}, {name}", subjects, name, LINEAR) for name in store.linear),
        Row(f"{store.name}, memory", [memory], [shown], "bytes each", store.target),
    ]


def _memory_of(work: Callable[[], object]) -> int:
    """Return the bytes of the Python objects that `work` creates and that stay."""
    gc.collect()
    tracemalloc.start()
    try:
        work()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


async def _of_connected(count: int) -> list[Row]:
    """Measure the memory of live sessions without and with a stream, at one frame per second."""
    settings = Settings().replace(fps=1, streamers=count + 1, concurrent_sessions=None)
    async with MockOdyssey(settings) as mock, client_process(()) as clients:
        await clients.join(mock.url, mock.api_key, 1)  # fills caches and starts threads
        await clients.start()
        levels = [Level.now().size]
        await clients.join(mock.url, mock.api_key, count)
        levels.append(Level.now().size)
        await clients.start()
        levels.append(Level.now().size)
        await clients.leave()
    idle, streaming = ([(level - levels[0]) / count / 1e6] for level in levels[1:])
    return [
        Row("idle live sessions, memory", idle, [FRAME_MB], "MB each", IDLE_TARGET),
        Row("streaming sessions, memory", streaming, [FRAME_MB], "MB each", STREAMING_TARGET),
    ]


async def _subject(resources: AsyncExitStack, count: int, settings: Settings = UNLIMITED) -> Subject:
    mock = await resources.enter_async_context(MockOdyssey(settings))
    http = await resources.enter_async_context(httpx.AsyncClient(base_url=mock.url, trust_env=False, timeout=60))
    token = (await http.post("/auth/token", json={"api_key": mock.api_key})).raise_for_status().json()
    http.headers["Authorization"] = f"Bearer {token['access_token']}"
    return Subject(mock, http, count)


def _row(name: str, subjects: Sequence[Subject], work: str, limit: float) -> Row:
    """Compare the times of a request at two sizes. The limit of the ratio is that of the exponent, for these sizes.

    For a request that lists all things, these are the two largest sizes, and the time is that of one thing. At small
    sizes, most of its time does not depend on the size.
    """
    costs = [subject.costs[work][1:] for subject in subjects]  # the first round fills caches
    sizes = [subject.count for subject in subjects]
    fitted = exponent(sizes, [*map(median, costs)])
    if limit < 1:
        ratio = NOISE * (sizes[-1] / sizes[0]) ** limit
        note = f"{sizes[-1]} compared with {sizes[0]}, exponent {fitted:.2f}"
        return Row(name, costs[-1], costs[0], "ms of CPU", ratio, note)
    (few, many), (baseline, ours) = sizes[-2:], costs[-2:]
    unit, ratio = "ms of CPU for each", NOISE * (many / few) ** (limit - 1)
    note = f"{many} compared with {few}, exponent {fitted:.2f}"
    return Row(name, [cost / many for cost in ours], [cost / few for cost in baseline], unit, ratio, note)


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return the exponent p of the power law c * size**p that fits the costs best: the slope in a log-log plot.

    It is 0 if the costs do not depend on the size, 1 if they grow in proportion, and 2 if they grow with its square.

    Raises:
        ValueError: there are fewer than two sizes, or a size or cost is not greater than 0.
    """
    if len(sizes) != len(costs) or len(set(sizes)) < 2 or min(*sizes, *costs) <= 0:
        raise ValueError(
            f"expected a cost for each of at least two sizes, all greater than 0, got {[*sizes]} and {[*costs]}"
        )
    xs, ys = [*map(math.log, sizes)], [*map(math.log, costs)]
    x_mean, y_mean = fmean(xs), fmean(ys)
    return sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / sum((x - x_mean) ** 2 for x in xs)


def _add_entries(mock: MockOdyssey, count: int) -> None:
    for number in range(count):
        message = {"type": "update", "prompt": f"the cat jumps {number} times"}
        mock.journal.record("channel", "update", {"from": "client", "message": message}, account="acct_bench")


def _add_streams(mock: MockOdyssey, count: int) -> None:
    backend = mock.backend
    account = backend.accounts.authenticate(mock.api_key).id
    for number in range(count):
        timeline = Timeline(tag=number % 65536, size=Size(176, 320), prompt=f"A lighthouse, wave number {number}")
        timeline.end(100)
        now = backend.clock.time()
        backend.streams.remember(
            StreamRecord(
                id=backend.entropy.uuid(),
                account_id=account,
                timeline=timeline,
                prompt=PROMPT,
                applied_prompt=PROMPT,
                started_at=now - 5,
                began=0.0,
                ended_at=now,
                session_id=backend.entropy.uuid(),
            )
        )


def _streams_shown(mock: MockOdyssey, _count: int) -> JSON:
    return [stream.snapshot() for stream in mock.streams.values()]


def _add_tokens(mock: MockOdyssey, count: int) -> None:
    account = mock.backend.accounts.authenticate(mock.api_key)
    for _ in range(count):
        mock.backend.accounts.issue_token(account)


def _add_telemetry(mock: MockOdyssey, count: int) -> None:
    for number in range(count):
        mock.backend.telemetry.append(f'{{"name":"frame_decoded","index":{number},"session":"0123456789"}}')


def _add_spent_faults(mock: MockOdyssey, count: int) -> None:
    fault: Mapping[str, JSON] = {"at": "rest.sessions.token", "do": "status", "status": 503, "times": 1}
    for _ in mock.faults.extend([fault] * count):
        mock.faults.fire("rest.sessions.token")


def _add_jobs(mock: MockOdyssey, count: int) -> None:
    account = mock.backend.accounts.authenticate(mock.api_key)
    script = Script((ScriptAction(0, "start", PROMPT), ScriptAction(1000, "end")))
    for _ in range(count):
        job = mock.jobs.submit(account, JobRequest((script,), None, portrait=True, bypass=False))
        mock.jobs.cancel(job.id)


def _add_sessions(mock: MockOdyssey, count: int) -> None:
    backend = mock.backend
    account = backend.accounts.authenticate(mock.api_key)
    for _ in range(count):
        backend.sessions.token_for(backend.sessions.request(account, {}))


async def _submit_job(subject: Subject) -> None:
    script = [{"timestamp_ms": 0, "start": {"prompt": PROMPT}}, {"timestamp_ms": 1000, "end": {}}]
    created = (await subject.http.post("/simulation-jobs", json={"script": script})).raise_for_status().json()
    (await subject.http.delete(f"/simulation-jobs/{created['job_id']}")).raise_for_status()


async def _issue_token(subject: Subject) -> None:
    await subject.http.post("/auth/token", json={"api_key": subject.mock.api_key})


async def _expect(subject: Subject) -> None:
    subject.mock.expect("update", message={"type": "update", "prompt": "the cat jumps 0 times"})


async def _expect_latest(subject: Subject) -> None:
    for _ in range(50):  # one takes a few microseconds
        subject.mock.journal.record("note", "the latest entry")
        subject.mock.expect("the latest entry", since=subject.mock.journal.next_index - 1)


async def _list_requests(subject: Subject) -> None:
    subject.mock.requests("POST /auth/token")


def _getting(path: str) -> Work:
    return lambda subject: subject.get(path)


def _getting_latest(path: str) -> Work:
    return lambda subject: subject.get(f"{path}&since={subject.mock.journal.next_index - 10}")


START: Mapping[str, Work] = {"start of a session": Subject.start_session}

STORES = (
    Store(
        "journal entries",
        (100, 1000, 10_000, MOST),
        (100, 3000),
        _add_entries,
        lambda mock, _count: [entry.to_json() for entry in mock.journal.entries],
        3,
        flat={
            **START,
            "GET /_mock/journal of the latest": _getting_latest("/_mock/journal?kind=channel"),
            "GET /_mock/journal with a limit": _getting("/_mock/journal?kind=channel&limit=10"),
            "50 times expect of the latest": _expect_latest,
        },
        linear={
            "expect": _expect,
            "requests": _list_requests,
        },
    ),
    Store(
        "ended streams",
        (100, 1000, 10_000, MOST),
        (100, 3000),
        _add_streams,
        _streams_shown,
        4,
        flat={
            **START,
            "GET /stream-recordings": _getting("/stream-recordings?limit=10"),
            "GET /_mock/recordings": _getting("/_mock/recordings?limit=10"),
            "GET /_mock/overview": _getting("/_mock/overview"),
            "GET /_mock/accounts": _getting("/_mock/accounts"),
        },
    ),
    Store(
        "streams in the state",
        (10, 100, 1000),
        (10, 500),
        _add_streams,
        _streams_shown,
        4,
        linear={"GET /_mock/state": _getting("/_mock/state")},
    ),
    Store(
        "ended jobs",
        (100, 1000, 10_000),
        (100, 1000),
        _add_jobs,
        lambda mock, _count: mock.jobs.snapshot(),
        6,
        flat={
            **START,
            "submission of a job": _submit_job,
            "GET /simulation-jobs": _getting("/simulation-jobs?limit=10"),
            "GET /_mock/accounts": _getting("/_mock/accounts"),
        },
    ),
    Store(
        "access tokens",
        (100, 1000, 9000),
        (100, 3000),
        _add_tokens,
        lambda _mock, count: [{"access_token": 43 * "x", "expires_in": 3600}] * count,
        80,  # most of it are the pieces of the latest 1024 secrets, by which they are masked
        flat={"POST /auth/token": _issue_token, "GET /_mock/accounts": _getting("/_mock/accounts")},
    ),
    Store(
        "telemetry events",
        (100, 1000, 10_000, MOST),
        (100, 3000),
        _add_telemetry,
        lambda mock, _count: [*mock.telemetry],
        4,
        flat=START,
    ),
    Store(
        "spent faults",
        (10, 100, 1000),
        (10, 100),
        _add_spent_faults,
        lambda mock, _count: [fault.to_json() for fault in mock.faults],
        10,
        flat=START,
    ),
    Store(
        "sessions",
        (1, 10, 50, 200),
        (1, 50),
        _add_sessions,
        lambda mock, _count: mock.backend.sessions.snapshot(mock.clock.time()),
        60,
        linear={**START, "GET /_mock/state": _getting("/_mock/state")},
    ),
)
"""What is measured. Some kinds have fewer things, because the mock never keeps more, or because they take long."""
