"""Tests of campaigns: every seed is run once, even if worker processes die."""

import contextlib
import functools
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.explore import workers
from odyssey_mock.explore.campaign import Campaign, Tally
from odyssey_mock.explore.outcome import (
    PROCESS_DIED,
    RUN_RAISED,
    FailedSeed,
    HeldSeeds,
    Outcome,
    SeedPlayer,
    SeedRecord,
    batches,
    missing,
)
from odyssey_mock.explore.results_file import Header, results_in
from odyssey_mock.explore.workers import SeedWorkers, ThisProcess, WorkerProcesses, WorkersError
from tests.support.explore.scenarios import SECONDS, STEPS, hangs, kills, play, raises, unloadable
from tests.support.interrupts import interruptible

HEADER = Header("light", "abc1234", "0")
JOB = SeedPlayer(play, "light")

CALL, SLOT = (
    "every_call_settles: expected interact() to settle, got nothing in # s",
    "slots_add_up: expected # slots taken, got #",
)


def ran(place: SeedWorkers, seeds: range = range(100)) -> Tally:
    campaign = Campaign(seeds, "light")
    campaign.run(place, lambda _: None)
    return campaign.tally


def played(records: Iterable[SeedRecord]) -> list[int]:
    return sorted(seed for record in records for seed in record.seeds)


def failing(seeds: Iterable[int]) -> int:
    return sum(seed % 7 == 3 or seed % 11 == 5 for seed in seeds)


def check_hundred(tally: Tally) -> None:
    assert (tally.seeds, tally.failed) == (100, failing(range(100)))
    assert tally.steps == 100 * STEPS
    assert tally.seconds == pytest.approx(100 * SECONDS)
    examples = [(known.failure.signature, known.seed, known.count) for known in tally.examples()]
    # Seed 38 violates both rules.
    assert examples == [(CALL, 3, 14), (SLOT, 5, 9)]


def test_campaign_runs_in_this_process() -> None:
    check_hundred(ran(ThisProcess(JOB)))


def test_campaign_runs_in_processes_that_all_exit() -> None:
    check_hundred(ran(WorkerProcesses(JOB, 2)))
    assert multiprocessing.active_children() == []


def test_example_of_failure_is_its_lowest_seed() -> None:
    tally = Tally()
    for seed in (17, 3, 10):
        tally.add([FailedSeed(seed, play(seed).failures)])
    assert [(known.seed, known.failure, known.count) for known in tally.examples()] == [(3, play(3).failures[0], 3)]


class Watched:
    """An iterable of `count` batches of one seed each. The attribute `taken` counts the batches requested so far."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.taken = 0

    def __iter__(self) -> Iterator[range]:
        for first in range(self.count):
            self.taken += 1
            yield range(first, first + 1)


def test_batch_is_taken_when_worker_is_free() -> None:
    given_ = Watched(100_000)
    under_way = WorkerProcesses(JOB, 2).played(given_)
    for count in range(1, 6):
        next(under_way)
        assert given_.taken <= count + 2
    under_way.close()
    assert multiprocessing.active_children() == []


def test_only_seed_that_kills_its_process_fails(tmp_path: Path) -> None:
    place = WorkerProcesses(SeedPlayer(functools.partial(kills, tmp_path), "light"), 2)
    records = [record for some in place.played(batches([range(30)], 8)) for record in some]
    assert played(records) == list(range(30))
    deaths = [
        (record.seed, failure.rule, failure.message)
        for record in records
        if isinstance(record, FailedSeed)
        for failure in record.failures
        if failure.rule == PROCESS_DIED
    ]
    assert deaths == [
        (12, PROCESS_DIED, "expected the process to finish the run, but the process was killed by SIGKILL")
    ]
    assert (tmp_path / "seed 20 has killed").exists()
    assert multiprocessing.active_children() == []


def test_closing_the_generator_ends_running_processes() -> None:
    under_way = WorkerProcesses(SeedPlayer(hangs, "light"), 2).played(batches([range(100)], 10))
    assert sorted(played(next(under_way)) + played(next(under_way))) == list(range(20))
    under_way.close()
    assert multiprocessing.active_children() == []


def test_terminated_worker_exits_without_being_killed() -> None:
    worker = workers._Worker(SeedPlayer(hangs, "light"))
    worker.give(range(20, 21))
    assert worker.hear()  # the process reports that it has started
    worker.stop()
    end = worker.end(20.0)
    assert end == f"the process exited with status {128 + signal.SIGTERM}", (
        f"expected SIGTERM to make the worker process exit with status {128 + signal.SIGTERM}, got: {end}"
    )


def test_worker_stops_when_its_pipe_is_closed() -> None:
    ours, theirs = multiprocessing.Pipe()
    seeds = workers._while_heard(range(5), theirs)
    assert [next(seeds), next(seeds)] == [0, 1]
    ours.close()
    assert list(seeds) == []


def test_worker_processes_ignore_interrupts() -> None:
    with interruptible():
        under_way = WorkerProcesses(JOB, 1).played(batches([range(10)], 1))
        next(under_way)
    (process,) = multiprocessing.active_children()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    assert len(list(itertools.islice(under_way, 3))) == 3
    assert [each.pid for each in multiprocessing.active_children()] == [process.pid]
    under_way.close()


def test_worker_that_cannot_start_raises_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        WorkersError,
        match="expected a worker process to start and wait for seeds, but the process exited with status 1; see its",
    ):
        ran(WorkerProcesses(SeedPlayer(unloadable, "light"), 1))
    assert "raised by the test: this process cannot import the module" in capfd.readouterr().err
    assert multiprocessing.active_children() == []


def test_error_in_run_is_failure_of_its_seed() -> None:
    tally = ran(ThisProcess(SeedPlayer(raises, "light")), range(6))
    assert [(known.seed, known.failure.rule, known.failure.message) for known in tally.examples()] == [
        (3, "every_call_settles", "expected interact() to settle, got nothing in 3.5 s"),
        (4, RUN_RAISED, "LookupError: raised by the test for seed 4"),
        (5, "slots_add_up", "expected 0 slots taken, got 5"),
    ]


def test_threads_of_one_process_take_turns() -> None:
    at_once, most = [0], [0]
    meeting = threading.Barrier(2)

    def counted(seed: int, **options: object) -> Outcome:
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        outcome = play(seed)
        threading.Event().wait(0.001)  # gives the other thread time to run
        at_once[0] -= 1
        return outcome

    def work() -> None:
        meeting.wait(10)
        SeedPlayer(counted, "light").played(range(20))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most == [1]


class Recorder:
    """A runner that runs batches in this process and records them in `asked`.

    It raises `KeyboardInterrupt` instead of running more than `stop_after` batches.
    """

    def __init__(self, width: int = 1, stop_after: int | None = None) -> None:
        self.width = width
        self.asked: list[range] = []
        self._stop_after = stop_after

    def played(self, batches: Iterable[range]) -> Generator[tuple[SeedRecord, ...]]:
        for batch in batches:
            if len(self.asked) == self._stop_after:
                raise KeyboardInterrupt
            self.asked.append(batch)
            yield JOB.played(batch)


def test_second_run_skips_seeds_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with results_in(path, HEADER) as results, pytest.raises(KeyboardInterrupt):
        Campaign(range(1000), "light", results).run(Recorder(stop_after=3), lambda _: None)
    with results_in(path, HEADER) as results:
        campaign = Campaign(range(1000), "light", results)
        assert (campaign.before, campaign.total) == (30, 1000)
        place = Recorder()
        campaign.run(place, lambda _: None)
    left = range(30, 1000)
    assert played(HeldSeeds(batch.start, batch.stop - 1, 0, 0) for batch in place.asked) == list(left)
    assert campaign.tally == ran(ThisProcess(JOB), range(1000))
    with results_in(path, HEADER) as results:
        last = Recorder()
        again = Campaign(range(1000), "light", results)
        again.run(last, lambda _: None)
    assert last.asked == []
    assert again.tally.examples() == campaign.tally.examples()


def test_results_file_without_failures_is_small(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"

    def fine(seed: int, **options: object) -> Outcome:
        return Outcome(seed, "light", (), steps=10, seconds=1000.0)

    with results_in(path, HEADER) as results:
        Campaign(range(10_000), "light", results).run(ThisProcess(SeedPlayer(fine, "light")), lambda _: None)
    assert path.stat().st_size < 65_000


@pytest.mark.parametrize(
    ("count", "width", "sizes"), [(8, 1, {2}), (100_000, 4, {10}), (1, 8, {1}), (30, 2, {4, 2}), (400, 2, {10})]
)
def test_batch_size_keeps_all_workers_busy(count: int, width: int, sizes: set[int]) -> None:
    place = Recorder(width, stop_after=10)
    with contextlib.suppress(KeyboardInterrupt):
        Campaign(range(count), "light").run(place, lambda _: None)
    assert set(map(len, place.asked)) == sizes


def test_tally_is_shown_after_every_batch() -> None:
    shown: list[int] = []
    campaign = Campaign(range(8), "light")
    campaign.run(ThisProcess(JOB), lambda tally: shown.append(tally.seeds))
    assert shown == [0, 2, 4, 6, 8]


@given(
    wanted=st.builds(lambda first, count: range(first, first + count), st.integers(0, 30), st.integers(0, 30)),
    known=st.lists(st.builds(lambda first, count: range(first, first + count), st.integers(0, 60), st.integers(1, 9))),
    size=st.integers(1, 7),
)
def test_each_missing_seed_is_in_one_batch(wanted: range, known: Sequence[range], size: int) -> None:
    records = [HeldSeeds(seeds.start, seeds.stop - 1, 0, 0.0) for seeds in known]
    left = list(batches(missing(wanted, records), size))
    assert [seed for batch in left for seed in batch] == sorted(
        set(wanted) - {seed for seeds in known for seed in seeds}
    )
    assert all(1 <= len(batch) <= size for batch in left)
