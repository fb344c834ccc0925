"""Runs seeds in this process or in worker processes; `cluster.py` runs them on a Dask cluster.

Worker processes are spawned, and each has its own pipe, so that the death of one process affects only its own seeds. A
`ProcessPoolExecutor` would stop as a whole, and would not report which seeds the dead process was running.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from typing import Protocol

from odyssey_mock.explore.outcome import PROCESS_DIED, FailedSeed, Failure, SeedPlayer, SeedRecord

BEGIN_LIMIT = 120.0
"""Seconds to wait for a process to start and import the code, on a busy machine."""
STOP_LIMIT, KILL_LIMIT = 3.0, 10.0
"""Seconds to wait for processes to exit after they were terminated, and after they were killed."""


class WorkersError(RuntimeError):
    """The workers cannot run seeds. The message states the reason and what to do."""


class SeedWorkers(Protocol):
    """Runs batches of seeds: in this process, in local processes, or on a Dask cluster."""

    @property
    def width(self) -> int:
        """Number of batches that are run at the same time."""

    def played(self, batches: Iterable[range]) -> Generator[tuple[SeedRecord, ...]]:
        """Run the batches, and yield the records of each batch as soon as the batch has finished.

        A batch is taken from `batches` when a worker is free, so `batches` may be endless. All running batches are
        stopped when the generator is closed or raises an error.

        Raises:
            WorkersError: the workers could not be started, or failed.
        """


class ThisProcess:
    """Runs one seed after the other in this process."""

    width = 1

    def __init__(self, player: SeedPlayer) -> None:
        self._player = player

    def played(self, batches: Iterable[range]) -> Generator[tuple[SeedRecord, ...]]:
        for batch in batches:
            yield self._player.played(batch)


class PendingBatches:
    """The batches that have not been run yet.

    If a process dies while it runs a batch, each seed of this batch is run again as a batch of its own.
    """

    def __init__(self, batches: Iterable[range]) -> None:
        self._batches = iter(batches)
        self._again: deque[range] = deque()
        self._suspects: set[int] = set()

    def take(self) -> range | None:
        """Return the next batch, or None if all batches were taken.

        A later call can return a batch again, because `died` adds the seeds of a batch whose process died.
        """
        return self._again.popleft() if self._again else next(self._batches, None)

    @property
    def suspects(self) -> bool:
        """Whether the next batch is a single seed that is run again, because a process died while it ran this seed."""
        return bool(self._again)

    def suspected(self, batch: range) -> bool:
        """Return whether a process has already died while it ran a batch that contained the first seed of `batch`."""
        return batch.start in self._suspects

    def died(self, batch: range, how: str) -> tuple[SeedRecord, ...]:
        """Record that a process died while it ran `batch`, and return the records to report.

        After the first death, the result is empty, and each seed of the batch is run again alone. If a process dies
        again during such a run, the result reports the seed as failed.

        `how`: what the process did, as the end of a sentence, such as `the process exited with status 1`.
        """
        if self.suspected(batch):
            message = f"expected the process to finish the run, but {how}"
            return (FailedSeed(batch.start, (Failure(PROCESS_DIED, message, 0.0),)),)
        self._suspects.update(batch)
        self._again.extend(range(seed, seed + 1) for seed in batch)
        return ()


class WorkerProcesses:
    """Local processes, started on demand and stopped at the end."""

    def __init__(self, player: SeedPlayer, count: int) -> None:
        self._player = player
        self.width = count

    def played(self, batches: Iterable[range]) -> Generator[tuple[SeedRecord, ...]]:
        pending = PendingBatches(batches)
        idle: list[_Worker] = []
        busy: dict[object, _Worker] = {}
        try:
            while True:
                while len(busy) < self.width and (batch := pending.take()) is not None:
                    worker = idle.pop() if idle else _Worker(self._player)
                    busy[worker.pipe] = worker
                    worker.give(batch)
                if not busy:
                    return
                heard = connection.wait([worker.pipe for worker in busy.values()], BEGIN_LIMIT)
                if not heard and not all(worker.has_begun for worker in busy.values()):
                    raise WorkersError(
                        f"expected every worker process to start within {BEGIN_LIMIT:g} s, got no message from at "
                        "least one of them: use fewer --workers"
                    )
                for pipe in heard:
                    worker = busy[pipe]
                    if worker.hear():
                        if worker.records is not None:
                            idle.append(busy.pop(pipe))
                            yield worker.records
                    else:
                        del busy[pipe]
                        yield pending.died(worker.batch, worker.end())
        finally:
            left = [*idle, *busy.values()]
            for worker in left:
                worker.stop()
            over = time.perf_counter() + STOP_LIMIT
            for worker in left:
                worker.end(max(0.0, over - time.perf_counter()))


class _Worker:
    """A worker process and its pipe.

    Attributes:
        batch: the last batch that was sent to the worker.
        records: records of that batch; None while the batch is running.
    """

    def __init__(self, player: SeedPlayer) -> None:
        self.batch = range(0)
        self.records: tuple[SeedRecord, ...] | None = None
        self.has_begun = False
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        # A daemon also ends with this process if no `finally` block runs.
        self._process = context.Process(target=_work, args=(theirs, player), daemon=True)
        try:
            with _interrupts_kept_to_ourselves():
                self._process.start()
        except BaseException:
            self.pipe.close()
            raise
        finally:
            theirs.close()

    def give(self, batch: range) -> None:
        self.batch, self.records = batch, None
        with suppress(OSError):  # the process is dead; the next `hear` returns False
            self.pipe.send(batch)

    def hear(self) -> bool:
        """Receive one message from the process. Return True, or False if the process is dead.

        Raises:
            WorkersError: the process died before it was ready to run batches.
        """
        try:
            self.records = self.pipe.recv()
        except (EOFError, OSError):
            if not self.has_begun:
                raise WorkersError(
                    f"expected a worker process to start and wait for seeds, but {self.end()}; see its output above"
                ) from None
            return False
        self.has_begun = True
        return True

    def stop(self) -> None:
        """Terminate the process, without waiting for its exit."""
        self._process.terminate()

    def end(self, limit: float = STOP_LIMIT) -> str:
        """Wait up to `limit` seconds for the process to exit, else kill it. Return how it exited, as a clause."""
        self._process.join(limit)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join(KILL_LIMIT)
        self.pipe.close()
        code = self._process.exitcode
        return (
            f"the process was killed by {signal.Signals(-code).name}"
            if code and code < 0
            else f"the process exited with status {code}"
        )


def _work(pipe: Connection, player: SeedPlayer) -> None:
    """Run the batches that arrive on the pipe until it is closed; this is the main function of a worker process."""
    signal.signal(signal.SIGTERM, _leave)
    end_with_main_process()
    gc.freeze()  # garbage collections skip all that is imported now
    try:
        pipe.send(None)  # the process has started
        while True:
            pipe.send(player.played(_while_heard(pipe.recv(), pipe)))
    except (EOFError, ConnectionError):  # the main process has closed the pipe or has exited
        return
    except SystemExit as error:
        # The run has removed its files. Exit without the cleanup of asyncio tasks, which would only print warnings.
        os._exit(int(error.code or 0))


def _while_heard(batch: range, pipe: Connection) -> Iterator[int]:
    """Yield the seeds of the batch one by one; stop early if the main process has closed the pipe."""
    for seed in batch:
        if pipe.poll():
            return
        yield seed


def end_with_main_process() -> None:
    """Let this process end once its main process has exited, even in the middle of a run, which may never end.

    A main process that is killed or whose terminal is closed does not stop its workers. The function can be the
    `initializer` of a `ProcessPoolExecutor`, whose workers would otherwise wait for work forever.
    """
    threading.Thread(target=_end_after_main_process, daemon=True).start()


def _end_after_main_process() -> None:
    main = multiprocessing.parent_process()
    assert main is not None, "expected to run in a worker process, got the main process"
    main.join()
    os.kill(os.getpid(), signal.SIGTERM)  # the run removes its files
    threading.Event().wait(STOP_LIMIT)
    os._exit(128 + signal.SIGTERM)


def _leave(signum: int, frame: object) -> None:  # noqa: ARG001 - signature of signal handlers
    warnings.simplefilter("ignore")  # all would be about coroutines that were never awaited
    sys.exit(128 + signum)


@contextmanager
def _interrupts_kept_to_ourselves() -> Iterator[None]:
    """Make processes that are started in this block ignore Ctrl-C.

    On Ctrl-C, a terminal sends SIGINT to all processes. Only the main process handles it, and stops the workers.
    """
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # starting the tracker inside the block would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
