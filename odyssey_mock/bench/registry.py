"""The table of all benchmarks."""

import importlib
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

from odyssey_mock.bench.rows import Result

LIMIT_S = 300.0
"""Seconds after which a benchmark is stopped. On an idle machine, each takes less than a minute."""


class Run(Protocol):
    """Measures; if `quick`, in about 4 s on an idle machine."""

    def __call__(self, *, quick: bool) -> Awaitable[Sequence[Result]]: ...


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark of `odyssey-mock bench`.

    Attributes:
        name: its name in the command.
        function: module and function that measure, as `module:function`. It is only imported when the benchmark runs.
        summary: what is compared, for `--help`.
        requires_sim: whether it requires the extra `sim`.
        in_all: whether `odyssey-mock bench all` runs it.
        limit_s: seconds after which it is stopped.
    """

    name: str
    function: str
    summary: str
    requires_sim: bool = False
    in_all: bool = True
    limit_s: float = LIMIT_S

    def load(self) -> Run:
        """Import and return the function that measures."""
        module, _, function = self.function.partition(":")
        run: Run = getattr(importlib.import_module(module), function)
        return run


BENCHMARKS: tuple[Benchmark, ...] = (
    Benchmark(
        "connect",
        "odyssey_mock.bench.connect:run",
        "the client's connect(), compared with two bare aiortc peers.",
    ),
    Benchmark(
        "first-frame",
        "odyssey_mock.bench.first_frame:run",
        "the time from calling connect() to the first decoded frame, compared with two plain aiortc peers.",
    ),
    Benchmark(
        "latency",
        "odyssey_mock.bench.latency:run",
        "the age of a frame when its reader gets it, compared with the same video read through plain aiortc.",
    ),
    Benchmark(
        "sessions",
        "odyssey_mock.bench.sessions:run",
        "the CPU time of one live session, streaming and idle, and the sessions per processor, compared with one plain"
        " aiortc track with its own encoder per session.",
    ),
    Benchmark(
        "fixture",
        "odyssey_mock.bench.fixture:run",
        "a test with the fixture odyssey_mock, compared with pytest-httpserver.",
    ),
    Benchmark(
        "live-test",
        "odyssey_mock.bench.fixture:run_live_test",
        "a test that connects, starts a stream, interacts and ends it, compared with two bare aiortc peers.",
    ),
    Benchmark(
        "start-up",
        "odyssey_mock.bench.start_up:run",
        "odyssey-mock serve until its first response, compared with uvicorn and a Starlette application with one route;"
        " odyssey --help and odyssey-mock --help, compared with `import click`.",
    ),
    Benchmark(
        "import",
        "odyssey_mock.bench.imports:run",
        "the import of the class Odyssey, compared with `import httpx`.",
    ),
    Benchmark(
        "fanout",
        "odyssey_mock.bench.fanout:run",
        "the CPU time of one more spectator, compared with one aiortc track per spectator.",
    ),
    Benchmark(
        "render",
        "odyssey_mock.bench.render:run",
        "the CPU time of a recording, compared with ffmpeg's test source.",
    ),
    Benchmark(
        "rest",
        "odyssey_mock.bench.rest:run",
        "the CPU time of a response, compared with a bare Starlette route.",
    ),
    Benchmark(
        "growth",
        "odyssey_mock.bench.growth:run",
        "CPU time and memory of a mock with many journal entries, streams, jobs or sessions, compared with one with"
        " few.",
    ),
    Benchmark(
        "explore",
        "odyssey_mock.bench.explore:run",
        "simulated sessions, compared with sessions over loopback. Requires the extra `sim`.",
        requires_sim=True,
    ),
    Benchmark(
        "soak",
        "odyssey_mock.bench.soak:run",
        "growth of memory, tasks, threads and descriptors in thousands of sessions, in 30 simulated minutes with"
        " faults, with unused sessions and with connections that do not read. Takes about ten minutes, and requires the"
        " extra `sim`.",
        requires_sim=True,
        in_all=False,
        # asyncio keeps cancelled timers that are later than the timer of this limit, and the soak would count them as
        # growth. The limit is therefore later than all timers of a session.
        limit_s=7200.0,
    ),
)
"""All benchmarks, in the order in which `odyssey-mock bench all` runs them."""
