"""Where seeds are played: in this process, in processes of this machine (here), or on a Dask cluster (`cluster.py`).

The processes are begun afresh ("spawn") and each hangs on a pipe of its own. An executor of the standard library would
break as a whole when one of them dies, and could not say over which seeds it died.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
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
"""Seconds that a process may take to begin: to load the code, on a machine that does much else."""
STOP_LIMIT, KILL_LIMIT = 3.0, 10.0
"""Seconds that processes may take to be gone once they were told, and once they were killed."""


class WorkersError(RuntimeError):
    """There is nowhere to play seeds: the message says why, and what to do."""


class SeedWorkers(Protocol):
    """Where seeds are played."""

    @property
    def width(self) -> int:
        """How many batches are played at once."""

    def played(self, batches: Iterable[range]) -> Generator[tuple[SeedRecord, ...]]:
        """Play them, and give what came of each as it comes.

        It takes a batch when there is room for it, so there may be any number of them. Closing what is returned, or an
        error in it, ends at once all that is under way.

        Raises:
            WorkersError: there is nowhere to play them, any more.
        """


class ThisProcess:
    """One seed after the other, in this process."""

    width = 1

    def __init__(self, player: SeedPlayer) -> None:
        self._player = player

    def played(self, batches: Iterable[range]) -> Generator[tuple[SeedRecord, ...]]:
        for batch in batches:
            yield self._player.played(batch)


class PendingBatches:
    """Batches that are still to be played: those given, and again, seed by seed, those over which a process died."""

    def __init__(self, batches: Iterable[range]) -> None:
        self._batches = iter(batches)
        self._again: deque[range] = deque()
        self._suspects: set[int] = set()

    def take(self) -> range | None:
        """The next batch; None where there is none, for now."""
        return self._again.popleft() if self._again else next(self._batches, None)

    @property
    def suspects(self) -> bool:
        """Whether the next batch is one over which a process died."""
        return bool(self._again)

    def suspected(self, batch: range) -> bool:
        """Whether a process has died over it."""
        return batch.start in self._suspects

    def died(self, batch: range, how: str) -> tuple[SeedRecord, ...]:
        """Nothing came of the batch, as its process died: give what is known of its seeds now.

        Only a seed that was alone, the second time, is one that kills its process.
        """
        if self.suspected(batch):
            return (FailedSeed(batch.start, (Failure(PROCESS_DIED, f"expected the run to end, got a {how}", 0.0),)),)
        self._suspects.update(batch)
        self._again.extend(range(seed, seed + 1) for seed in batch)
        return ()


class WorkerProcesses:
    """Several processes of this machine, begun when they are needed and gone in the end."""

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
                        f"a process to play in did not begin within {BEGIN_LIMIT:g} s: give fewer --workers"
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
    """A process and its pipe.

    Attributes:
        batch: what it was given last.
        records: what came of it; None while it is at it.
    """

    def __init__(self, player: SeedPlayer) -> None:
        self.batch = range(0)
        self.records: tuple[SeedRecord, ...] | None = None
        self.has_begun = False
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        # A daemon: an end of this process that passes `finally` by takes it along.
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
        with suppress(OSError):  # it is dead, which the next `hear` will find
            self.pipe.send(batch)

    def hear(self) -> bool:
        """Take what it says; False where it is dead.

        Raises:
            WorkersError: it died before it could begin.
        """
        try:
            self.records = self.pipe.recv()
        except (EOFError, OSError):
            if not self.has_begun:
                raise WorkersError(
                    f"a process to play in came to nothing, a {self.end()}, before it could begin: see above for why"
                ) from None
            return False
        self.has_begun = True
        return True

    def stop(self) -> None:
        """Have it leave off, now."""
        self._process.terminate()

    def end(self, limit: float = STOP_LIMIT) -> str:
        """Wait until it is gone, for `limit` seconds, then see to it; tell how it went."""
        self._process.join(limit)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join(KILL_LIMIT)
        self.pipe.close()
        code = self._process.exitcode
        return f"process killed by {signal.Signals(-code).name}" if code and code < 0 else f"process's exit {code}"


def _work(pipe: Connection, player: SeedPlayer) -> None:
    """Play what comes by the pipe until it is closed: what a process does."""
    signal.signal(signal.SIGTERM, _leave)
    try:
        pipe.send(None)  # it has begun
        while True:
            pipe.send(player.played(_while_heard(pipe.recv(), pipe)))
    except (EOFError, ConnectionError):  # whoever gave the work is gone
        return
    except SystemExit as error:
        # At once, but for what a run has on the disk: tasks in the middle of it have nobody to complain to.
        os._exit(int(error.code or 0))


def _while_heard(batch: range, pipe: Connection) -> Iterator[int]:
    """The seeds of the batch, as long as there is somebody to tell: nothing else comes by the pipe meanwhile."""
    for seed in batch:
        if pipe.poll():
            return
        yield seed


def _leave(signum: int, frame: object) -> None:  # noqa: ARG001 - as signal handlers are called
    warnings.simplefilter("ignore")  # of coroutines that nobody awaits any more
    sys.exit(128 + signum)


@contextmanager
def _interrupts_kept_to_ourselves() -> Iterator[None]:
    """Let processes begun meanwhile be deaf to Ctrl-C, of which a terminal tells them all: it is for us to end them."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # which, when it begins, would lift the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
