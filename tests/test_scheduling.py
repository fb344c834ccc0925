"""Tests of the distribution of this project's tests over the workers of pytest-xdist."""

from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.scheduling import TOGETHER, GroupScheduling

ALONE = [f"tests/test_any.py::test_{number}" for number in range(20)]
GROUP = [f"{TOGETHER[0]}::test_{number}" for number in range(5)]
TESTS = [*ALONE[:10], *GROUP, *ALONE[10:]]


class Worker:
    """A worker that records the tests that it is given."""

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.shutting_down = False
        self.given: deque[int] = deque()
        self.ran: list[str] = []

    def send_runtest_some(self, tests: list[int]) -> None:
        self.given.extend(tests)

    def shutdown(self) -> None:
        self.shutting_down = True


def scheduled(*workers: Worker) -> GroupScheduling:
    config: Any = SimpleNamespace(
        option=SimpleNamespace(loadscopereorder=True), getvalue=lambda _: ["popen"] * len(workers)
    )
    scheduling = GroupScheduling(config, _Log())
    for worker in workers:
        scheduling.add_node(worker)
    for worker in workers:
        scheduling.add_node_collection(worker, TESTS)
    scheduling.schedule()
    return scheduling


class _Log:
    def __call__(self, *_: object) -> None: ...

    def __getattr__(self, _: str) -> "_Log":
        return self


def run_one(scheduling: GroupScheduling, worker: Worker) -> None:
    number = worker.given.popleft()
    worker.ran.append(TESTS[number])
    scheduling.mark_test_complete(worker, number)


def run_all(scheduling: GroupScheduling, *workers: Worker) -> None:
    while any(worker.given for worker in workers):
        for worker in workers:
            if worker.given:
                run_one(scheduling, worker)


def test_every_test_runs_once_and_groups_stay_together() -> None:
    one, other = Worker("gw0"), Worker("gw1")
    scheduling = scheduled(one, other)
    run_all(scheduling, one, other)
    assert sorted(one.ran + other.ran) == sorted(TESTS)
    assert one.ran[:5] == GROUP, "groups run first, in one worker"
    assert len(other.ran) >= 10
    assert not scheduling.has_pending
    assert one.shutting_down
    assert other.shutting_down


def test_unfinished_tests_of_a_crashed_worker_run_elsewhere() -> None:
    one, other = Worker("gw0"), Worker("gw1")
    scheduling = scheduled(one, other)
    for _ in range(2):
        run_one(scheduling, one)
    crashed = TESTS[one.given[0]]
    assert scheduling.remove_node(one) == crashed
    run_all(scheduling, other)
    assert sorted(one.ran + other.ran) == sorted(TESTS)


def test_finished_groups_are_forgotten() -> None:
    worker = Worker("gw0")
    scheduling = scheduled(worker)
    run_all(scheduling, worker)
    assert worker.shutting_down
    assert scheduling.assigned_work[worker] == {}


@pytest.mark.parametrize("again", [1, 3])
def test_repeated_report_of_one_test_is_harmless(again: int) -> None:
    worker = Worker("gw0")
    scheduling = scheduled(worker)
    number = worker.given[0]
    for _ in range(again):
        scheduling.mark_test_complete(worker, number)
    run_all(scheduling, worker)
    assert sorted(worker.ran) == sorted(TESTS)
