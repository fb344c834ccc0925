"""The run of one job by a worker: deadlines on the server's clock, and tasks that fetch a script or decode an image.

Unless it stalls, a run has either one deadline or one task. The callback of a deadline waits for the task that it
starts, so that a manual clock does not advance until the task has ended.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from odyssey_mock import latency
from odyssey_mock.core.clock import Clock, Deadline
from odyssey_mock.core.entropy import Entropy
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.network import Network
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.registry import Faults
from odyssey_mock.recordings.stream_records import StreamRecord, StreamStore
from odyssey_mock.settings import Settings
from odyssey_mock.simulations.job_machine import JobEvent, JobState
from odyssey_mock.simulations.job_records import JobRecord, JobStream, StreamStatus
from odyssey_mock.simulations.request import JobRequest
from odyssey_mock.simulations.script_url import ScriptUrlError, fetch_script
from odyssey_mock.simulations.scripts import Script
from odyssey_mock.simulations.timelines import Plan, expected_seconds, planned

UNKNOWN_SCRIPT = 10.0
"""Estimated seconds of processing for a script that is not fetched yet."""
FAILURES_TOLD = 5
"""Maximum number of failed streams that a job's error message lists; the others are only counted."""

type Report = Callable[[JobEvent, str | None], object]
"""`report(event, error_message)` reports an event of the job; without a failure of the job, the message is None."""


class JobRun:
    """The run of one job by a worker, until it is done or stopped."""

    def __init__(
        self,
        job: JobRecord,
        request: JobRequest,
        *,
        settings: Settings,
        clock: Clock,
        entropy: Entropy,
        network: Network,
        journal: Journal,
        faults: Faults,
        streams: StreamStore,
        report: Report,
        on_streams_changed: Callable[[], None],
        tasks: set[asyncio.Task[None]],
    ) -> None:
        """Prepare the run. It calls `on_streams_changed()` when a stream of the job has changed.

        The run adds its current task to `tasks`, so that `Jobs.close` can wait for the task.
        """
        self.settings = settings
        """The settings of the whole run."""
        self._clock = clock
        self._entropy = entropy
        self._network = network
        self._journal = journal
        self._faults = faults
        self._streams = streams
        self._job = job
        self._request = request
        self._report = report
        self._on_streams_changed = on_streams_changed
        self._tasks = tasks
        self._task: asyncio.Task[None] | None = None
        self._deadline: Deadline | None = None
        self._stopped = False
        self._scripts: tuple[Script, ...] = ()
        self._begun = 0

    def later(self, seconds: float, name: str, step: Callable[[], object]) -> None:
        """Call `step` after `seconds` on the server's clock, unless the run is stopped first."""

        async def due() -> None:
            # With a real clock, the run may be stopped between the timer and this callback.
            if not self._stopped:
                self._deadline = None
                step()
                await self.settled()

        self._deadline = self._clock.call_later(seconds, name, due)

    def run(self) -> None:
        """Start to run the job's scripts, one after the other; call `report` with the result."""
        if self._request.scripts is not None:
            self._take(self._request.scripts)
        self._proceed()

    def stop(self) -> None:
        """Stop the run. A thread that is decoding an image is not interrupted; `settled` waits for the thread."""
        self._stopped = True
        if self._deadline is not None:
            self._deadline.cancel()
            # Break the reference cycle: the run's images are too large to leave to the garbage collector.
            self._deadline = None
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    async def settled(self) -> None:
        """Wait until the current task is done. After that, the run continues only when its deadline expires.

        Raises:
            Exception: the task failed because of a bug.
        """
        task = self._task
        if task is not None:
            # `wait` does not cancel the task if this call is cancelled, for example by a timeout around `advance`.
            await asyncio.wait({task})
            if not task.cancelled():
                task.result()

    @property
    def due_in(self) -> float:
        """Seconds until the next deadline; 0 while a task runs."""
        return 0.0 if self._deadline is None else max(0.0, self._deadline.when - self._clock.time())

    @property
    def is_stalled(self) -> bool:
        """Whether the run has neither a deadline nor a running task, so that it never continues by itself."""
        return self._deadline is None and (self._task is None or self._task.done())

    @property
    def remaining(self) -> float:
        """Estimated seconds until the worker is free."""
        settings = self.settings
        starting = start_delay(settings) if self._job.status is JobState.PENDING else 0.0
        if self._request.scripts is None and self._begun:
            return self.due_in
        return self.due_in + starting + expected_work(self._request, settings, begun=self._begun)

    def _take(self, scripts: tuple[Script, ...]) -> None:
        self._scripts = scripts
        self._job.streams = tuple(JobStream(self._entropy.uuid(), index) for index in range(len(scripts)))
        self._on_streams_changed()

    def _proceed(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._next(), name=f"simulation {self._job.id}")
        self._tasks.add(self._task)
        self._task.add_done_callback(self._tasks.discard)

    async def _next(self) -> None:
        """Start the stream of the next script; fetch the script first if it is not fetched yet."""
        try:
            url = self._request.script_url
            if url is not None and not self._scripts:
                try:
                    from_page = self._request.from_page
                    self._take((await fetch_script(url, self.settings, self._network, from_page=from_page),))
                except ScriptUrlError as refusal:
                    if refusal.cause:
                        self._journal.record(
                            "note",
                            "script_url failed",
                            account=self._job.account_id,
                            job=self._job.id,
                            script_url=url,
                            why=refusal.cause,
                        )
                    self._report(JobEvent.SCRIPT_REFUSED, str(refusal))
                    return
            await self._begin(self._scripts[self._begun], self._job.streams[self._begun])
        except Exception as defect:
            self._report(JobEvent.BROKE, f"unexpected {type(defect).__name__} in the mock while running the scripts")
            raise

    async def _begin(self, script: Script, stream: JobStream) -> None:
        fault = self._faults.fire(
            "job.script",
            account=self._job.account_id,
            stream=stream.stream_id,
            job=self._job.id,
            script_index=stream.script_index,
            prompt="\n".join(action.prompt for action in script.actions),
        )
        plan = await _in_thread(
            partial(
                planned,
                script,
                self.settings,
                tag=self._entropy.number(16),
                portrait=self._request.portrait,
                bypass=self._request.bypass,
                error=None if fault is None else fault.text("message"),
            )
        )
        self._begun += 1
        stream.record = StreamRecord(
            id=stream.stream_id,
            account_id=self._job.account_id,
            timeline=plan.timeline,
            prompt=plan.prompt,
            applied_prompt=plan.applied_prompt,
            started_at=self._clock.time(),
            began=self._clock.monotonic(),
        )
        self._streams.remember(stream.record)
        self._set(stream, StreamStatus.RUNNING)
        if plan.stalls:
            return  # runs until it is cancelled or loses its worker
        seconds = plan.seconds * self.settings.simulation_pace + plan.delay + _script_delay(self.settings)
        why = plan.error or "" if fault is None else f"{fault.label} makes the stream fail"
        self.later(seconds, "simulated stream", partial(self._end, stream, stream.record, plan, why))

    def _end(self, stream: JobStream, record: StreamRecord, plan: Plan, why: str) -> None:
        record.ended_at = record.time_at(self._clock.monotonic())
        stream.error_message = record.error = plan.error
        self._streams.save(record)
        self._set(stream, StreamStatus.COMPLETED if plan.error is None else StreamStatus.FAILED, why)
        if self._begun < len(self._scripts):
            self._proceed()
        else:
            message = self._failures()
            self._report(JobEvent.STREAMS_DONE if message is None else JobEvent.STREAMS_FAILED, message)

    def _failures(self) -> str | None:
        failed = [stream for stream in self._job.streams if stream.status is StreamStatus.FAILED]
        if not failed:
            return None
        told = [f"script {stream.script_index}: {stream.error_message}" for stream in failed[:FAILURES_TOLD]]
        if len(failed) > FAILURES_TOLD:
            told.append(f"and {len(failed) - FAILURES_TOLD} more")
        return f"{len(failed)} of {len(self._job.streams)} streams failed: {'; '.join(told)}"

    def _set(self, stream: JobStream, status: StreamStatus, why: str = "") -> None:
        before, stream.status = stream.status, status
        self._on_streams_changed()
        note_stream(self._journal, self._job, stream, before=before, after=status, why=why)


def expected_work(request: JobRequest, settings: Settings, *, begun: int = 0) -> float:
    """Estimate how many seconds processing a job's scripts takes, without the first `begun` scripts."""
    if request.scripts is None:
        return UNKNOWN_SCRIPT
    return sum(expected_seconds(script, settings) + _script_delay(settings) for script in request.scripts[begun:])


def dispatch_delay(settings: Settings) -> float:
    """Return the seconds between a worker becoming free for a job and the job's dispatch."""
    return settings.simulation_dispatch_delay + latency.seconds(settings.latency, "job.pending")


def start_delay(settings: Settings) -> float:
    """Return the seconds between a job's dispatch and its processing."""
    return settings.simulation_start_delay + latency.seconds(settings.latency, "job.dispatched")


def _script_delay(settings: Settings) -> float:
    return latency.seconds(settings.latency, "job.script")


def note_stream(journal: Journal, job: JobRecord, stream: JobStream, *, before: str, after: str, why: str) -> None:
    """Record a stream's change of state in the journal, with its cause `why` unless it is empty."""
    data: dict[str, JSON] = {"from": before, "to": after, "job": job.id, "script_index": stream.script_index}
    if why:
        data["why"] = why
    journal.record("state", "simulation stream", data, account=job.account_id, stream=stream.stream_id)


async def _in_thread[T](function: Callable[[], T]) -> T:
    """Call `function` in a thread and return its result. If the caller is cancelled, wait for the thread first."""
    future = asyncio.get_running_loop().run_in_executor(None, function)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait({future})
        raise
