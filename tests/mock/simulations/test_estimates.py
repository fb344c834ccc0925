"""Tests of the estimated waiting time of a job, compared with a second-by-second simulation of the queue."""

from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.settings import Settings
from odyssey_mock.simulations.job_run import expected_work
from odyssey_mock.simulations.jobs import wait_seconds
from tests.support.jobs import a_request, a_script

spans = st.integers(0, 20)


@given(st.integers(1, 4), st.lists(spans, max_size=4), st.lists(spans, max_size=8))
def test_estimate_matches_a_simulated_queue(workers: int, working: list[int], ahead: list[int]) -> None:
    working = working[:workers]
    waited, queue = 0, list(ahead)
    busy = list(working)
    # In each second, free workers start the next jobs. The wait ends when a worker is free and no job is ahead.
    while True:
        busy = [left for left in busy if left > 0]
        while queue and len(busy) < workers:
            if span := queue.pop(0):
                busy.append(span)
        if len(busy) < workers:
            break
        busy = [left - 1 for left in busy]
        waited += 1
    assert wait_seconds(workers, working, ahead) == waited


def test_estimate_without_workers_is_none() -> None:
    assert wait_seconds(0, [], [1.0]) is None


def test_expected_work_counts_the_remaining_scripts() -> None:
    settings = Settings(simulation_pace=0.5)
    request = a_request(a_script(10), a_script(20), a_script(4))
    assert expected_work(request, settings) == 17.0
    assert expected_work(request, settings, begun=1) == 12.0
    assert expected_work(request, settings, begun=3) == 0.0
    assert expected_work(a_request(url="http://127.0.0.1/script.json"), settings) == 10.0
