"""Kills `odyssey-mock serve --state-dir` at random moments of a workload, starts it again, and checks what it kept.

The workload submits simulation jobs, records live streams, adds and removes faults, and reads the journal, all at once.
It notes everything that the server has acknowledged: jobs with a response, recordings with a URL, journal entries that
were read. After each kill, all of this must be there, unchanged and once. `scripts/kill_campaign.py` runs many rounds.
"""

import asyncio
import itertools
import json
import multiprocessing
import os
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import httpx

from odyssey_client import Odyssey, OdysseyError
from odyssey_mock.cli.serve import serve
from odyssey_mock.core.entropy import SeededEntropy
from tests.support.tls_contexts import NO_CERTIFICATES

LIMIT = 60.0
"""Timeout in seconds of a start of the server and of a request, far above the usual duration."""
PARTING = 0.3
"""Seconds for the responses that arrived before the kill."""
LONGEST_ROUND = 2.0
"""Maximum seconds between the start of the workload and the kill."""
ROUNDS_PER_DIRECTORY = 20
OPTIONS = (
    *("--port", "0", "--json", "--plan", "unlimited", "--overlay", "stamp", "--portrait-size", "88", "160"),
    *("--fps", "10", "--jobs-limit", "100000", "--streams-limit", "100000", "--journal-limit", "200000"),
    *("--simulation-dispatch-delay", "0.05", "--simulation-start-delay", "0.05", "--simulation-retries", "1000"),
)
ENDED = {"completed", "failed", "cancelled"}


class LostError(AssertionError):
    """The server has lost, changed or duplicated something that it had acknowledged."""


@dataclass
class Acknowledged:
    """Everything that the servers of one directory have acknowledged."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The latest response for each job, by id."""
    unanswered: int = 0
    """Number of job submissions without a response: the server may have accepted them or not."""
    recordings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The first description of each recording whose URLs were given, by stream id."""
    live: set[str] = field(default_factory=set)
    """The ids of the recordings of live streams."""
    files: dict[str, bytes] = field(default_factory=dict)
    """The content of each file that was downloaded, by its signed path."""
    entries: dict[int, dict[str, Any]] = field(default_factory=dict)
    """The journal entries that were read, by index."""
    faults: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    """The ids of removed faults."""
    in_doubt: set[str] = field(default_factory=set)
    """The ids of faults whose removal was not acknowledged."""


@dataclass
class Server:
    """One process of the server."""

    process: ForkServerProcess
    url: str
    api_key: str

    async def kill(self) -> None:
        """Kill the process with SIGKILL, and wait for its end."""
        self.process.kill()
        await asyncio.to_thread(self.process.join, LIMIT)


@asynccontextmanager
async def started(directory: Path) -> AsyncIterator[Server]:
    """Start a server with this state directory; kill it at the end.

    It is a fork of a process that has imported the mock, because the imports take most of the time of a start.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["odyssey_mock.cli.app", "odyssey_mock.server", __name__])
    output, written = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(written, [*OPTIONS, "--state-dir", str(directory)]))
    process.start()
    written.close()
    try:
        ready = json.loads(await asyncio.to_thread(_line, output))
        server = Server(process, ready["url"], ready["api_key"])
        yield server
    finally:
        process.kill()
        await asyncio.to_thread(process.join, LIMIT)
        output.close()


def _serve(output: Connection, options: Sequence[str]) -> None:
    """Run `odyssey-mock serve` in this process; `output` becomes its standard output."""
    os.dup2(output.fileno(), 1)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    serve(list(options))


def _line(output: Connection) -> bytes:
    """Return the first line that the server prints."""
    if not output.poll(LIMIT):
        raise LostError(f"the server did not start within {LIMIT:g} s")
    return os.read(output.fileno(), 10_000)


class Campaign:
    """The rounds in one state directory."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.directory = directory
        self.known = Acknowledged()
        self.checked: Counter[str] = Counter()
        self._entropy = SeededEntropy(seed)
        self._numbers = itertools.count(1)
        self._token: str | None = None

    async def round(self, longest: float) -> None:
        """Start the server, check it, and kill it within `longest` seconds of the workload."""
        async with started(self.directory) as server, self._http(server) as http:
            await self._check(http)
            work = [self._submit(http), self._watch(http), self._stream(server), self._faults(http), self._read(http)]
            tasks = [asyncio.create_task(_until_killed(each)) for each in work]
            seconds = self._below(longest * 1000) / 1000
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
            await server.kill()
            # Requests fail at once. The client would try to reconnect, so its calls are cancelled.
            await asyncio.wait(tasks, timeout=PARTING)
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception):
                    raise result
        self.checked["kills"] += 1

    async def finish(self) -> None:
        """Check everything a last time, after all jobs have ended."""
        async with started(self.directory) as server, self._http(server) as http:
            await self._check(http)
            await http.post("/_mock/clock/advance", json={"seconds": 3000})
            async with asyncio.timeout(LIMIT):
                while any(job["status"] not in ENDED for job in (await http.get("/_mock/state")).json()["jobs"]):
                    await http.post("/_mock/clock/advance", json={"seconds": 60})
            for job_id in self.known.jobs:
                job = (await http.get(f"/simulation-jobs/{job_id}")).json()
                _same("the state of the job " + job_id, "completed", job.get("status"))
            await self._check_recordings(http, list(self.known.recordings))
            streams = {stream["stream_id"] for stream in (await http.get("/_mock/state")).json()["streams"]}
        kept = {path.name for path in (self.directory / "recordings").iterdir()}
        _same("files of unknown streams", set(), {name for name in kept if name[:36] not in streams})
        for name, found in (
            ("accepted jobs", self.known.jobs),
            ("recordings of live streams", self.known.live),
            ("recordings of jobs", self.known.recordings.keys() - self.known.live),
            ("downloaded files", self.known.files),
            ("journal entries", self.known.entries),
            ("faults", self.known.faults | self.known.removed),
        ):
            self.checked[name] += len(found)
        self.checked["submissions without a response"] += self.known.unanswered

    def _below(self, limit: float) -> int:
        """Return a random number from 0 to below `limit`."""
        return self._entropy.number(32) % round(limit)

    @asynccontextmanager
    async def _http(self, server: Server) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(
            base_url=server.url, trust_env=False, timeout=LIMIT, verify=NO_CERTIFICATES
        ) as http:
            if self._token is None:
                self._token = (await http.post("/auth/token", json={"api_key": server.api_key})).json()["access_token"]
            http.headers["Authorization"] = f"Bearer {self._token}"
            yield http

    # The workload: each part runs until the server is killed

    async def _submit(self, http: httpx.AsyncClient) -> None:
        for _ in range(30):
            scripts = [_script(f"job {next(self._numbers)}", 1 + self._below(20)) for _ in range(2)]
            self.known.unanswered += 1
            answer = await http.post("/simulation-jobs", json={"scripts": scripts})
            self.known.unanswered -= 1
            _same("the status of a submission", 200, answer.status_code)
            self.known.jobs[answer.json()["job_id"]] = answer.json()

    async def _watch(self, http: httpx.AsyncClient) -> None:
        while True:
            for job_id in [each for each, job in self.known.jobs.items() if job["status"] not in ENDED]:
                job = (await http.get(f"/simulation-jobs/{job_id}")).json()
                self.known.jobs[job_id] = job
                if job["status"] == "completed":
                    for stream in job["streams"]:
                        await self._download(http, stream)
            await http.get("/_mock/health")  # the pause until the next round

    async def _stream(self, server: Server) -> None:
        async with Odyssey(server.api_key, api_url=server.url) as client:
            while True:
                await client.connect()
                stream_id = await client.start_stream("A cat")
                await client.interact("A dog")
                await client.end_stream()
                await client.disconnect()
                answer = await client.get_recording(stream_id)
                if stream_id in self.known.recordings:
                    raise LostError(f"expected a new stream id, got {stream_id} twice")
                self.known.live.add(stream_id)
                self.known.recordings[stream_id] = {
                    "frame_count": answer.frame_count,
                    "duration_seconds": answer.duration_seconds,
                }

    async def _faults(self, http: httpx.AsyncClient) -> None:
        while True:
            fault = {"at": "rest.telemetry", "do": "status", "status": 503, "after": 10**6}
            for added in (await http.post("/_mock/faults", json=fault)).json()["faults"]:
                if added["id"] in self.known.faults | self.known.removed:
                    raise LostError(f"expected a new fault id, got {added['id']} twice")
                self.known.faults.add(added["id"])
            if len(self.known.faults) > 5:
                gone = sorted(self.known.faults)[self._below(len(self.known.faults))]
                self.known.faults.remove(gone)
                self.known.in_doubt.add(gone)
                _same("the status", 204, (await http.delete(f"/_mock/faults/{gone}")).status_code)
                self.known.in_doubt.remove(gone)
                self.known.removed.add(gone)
            await http.get("/_mock/health")

    async def _read(self, http: httpx.AsyncClient) -> None:
        while True:
            await self._read_journal(http, max(self.known.entries, default=-1) + 1)
            await http.get("/_mock/health")

    # The checks

    async def _check(self, http: httpx.AsyncClient) -> None:
        state = (await http.get("/_mock/state")).json()
        jobs = Counter(job["job_id"] for job in state["jobs"])
        _same("jobs that are listed twice", [], [each for each, times in jobs.items() if times > 1])
        _same("jobs that are lost", set(), self.known.jobs.keys() - jobs.keys())
        unknown = len(jobs.keys() - self.known.jobs.keys())
        if unknown > self.known.unanswered:
            raise LostError(f"expected at most {self.known.unanswered} jobs without a response, got {unknown}")
        for job in state["jobs"]:
            before = self.known.jobs.get(job["job_id"], {})
            if before.get("status") in ENDED:
                _same(f"the state of the job {job['job_id']}", before["status"], job["status"])
                streams = [each["stream_id"] for each in before["streams"]]
                _same(f"the streams of {job['job_id']}", streams, [each["stream_id"] for each in job["streams"]])
        recorded = Counter(stream["stream_id"] for stream in state["streams"])
        _same("streams that are listed twice", [], [each for each, times in recorded.items() if times > 1])
        _same("recordings that are lost", set(), self.known.recordings.keys() - recorded.keys())
        await self._check_recordings(http, list(self.known.recordings)[-10:])
        faults = {fault["id"] for fault in (await http.get("/_mock/faults")).json()["faults"]}
        _same("faults that are lost", set(), self.known.faults - faults)
        _same("faults that are back", set(), self.known.removed & faults)
        for fault_id in self.known.in_doubt:
            (self.known.faults if fault_id in faults else self.known.removed).add(fault_id)
        self.known.in_doubt.clear()
        # Faults whose addition was not acknowledged.
        self.known.faults |= faults
        await self._read_journal(http, 0)

    async def _check_recordings(self, http: httpx.AsyncClient, stream_ids: list[str]) -> None:
        for stream_id in stream_ids:
            found = (await http.get(f"/recordings/{stream_id}")).json()
            for name, value in self.known.recordings[stream_id].items():
                _same(f"{name} of the recording {stream_id}", value, found.get(name))
        for path, content in self.known.files.items():
            if path.split("/")[2] in stream_ids:
                _same(f"the content of {path[:60]}", content, (await http.get(path)).content)

    async def _read_journal(self, http: httpx.AsyncClient, since: int) -> None:
        """Read the journal from an index on: it must have all entries that were read before, without a gap."""
        read = (await http.get("/_mock/journal", params={"since": since})).json()["entries"]
        _same("the indexes of the journal", list(range(since, since + len(read))), [each["index"] for each in read])
        known = {index: entry for index, entry in self.known.entries.items() if index >= since}
        found = {entry["index"]: entry for entry in read}
        _same("journal entries that are lost", set(), known.keys() - found.keys())
        _same("changed journal entries", [], [index for index, entry in known.items() if found[index] != entry])
        self.known.entries |= found

    async def _download(self, http: httpx.AsyncClient, stream: dict[str, Any]) -> None:
        """Download a file of a simulated stream, at its signed URL."""
        field_name = ("events_url", "thumbnail_url")[self._below(2)]
        path = httpx.URL(stream[field_name]).raw_path.decode()
        answer = await http.get(path)
        _same("the status of a file", 200, answer.status_code)
        self.known.files[path] = answer.content
        self.known.recordings[stream["stream_id"]] = {
            name: stream[name] for name in ("frame_count", "duration_seconds")
        }


async def _until_killed(work: Coroutine[Any, Any, None]) -> None:
    """Do a part of the workload until the server is killed, which ends requests and calls with an error."""
    try:
        await work
    except (httpx.TransportError, OdysseyError, ConnectionError):
        return


def _script(prompt: str, frames: int) -> list[dict[str, Any]]:
    return [{"timestamp_ms": 0, "start": {"prompt": prompt}}, {"timestamp_ms": frames * 100, "end": {}}]


def _same(what: str, expected: object, got: object) -> None:
    if expected != got:
        raise LostError(f"{what}: expected {str(expected)[:300]}, got {str(got)[:300]}")


async def run_campaign(
    rounds: int, *, seed: int = 0, longest: float = LONGEST_ROUND, tell: Callable[[str], object] = lambda _: None
) -> Counter[str]:
    """Run `rounds` rounds, with a new state directory for every `ROUNDS_PER_DIRECTORY`; return what was checked.

    `longest`: the maximum seconds between the start of the workload and the kill. `tell` is called with the counts
    after each directory.

    Raises:
        LostError: something is lost, changed or there twice.
    """
    checked: Counter[str] = Counter()
    for first in range(0, rounds, ROUNDS_PER_DIRECTORY):
        with tempfile.TemporaryDirectory(prefix="kill-campaign-") as directory:
            campaign = Campaign(Path(directory) / "state", seed + first)
            for number in range(first, min(first + ROUNDS_PER_DIRECTORY, rounds)):
                try:
                    await campaign.round(longest)
                except LostError as error:
                    error.add_note(f"in round {number}, with seed {seed}")
                    raise
            await campaign.finish()
        checked += campaign.checked
        tell(json.dumps(checked))
    return checked
