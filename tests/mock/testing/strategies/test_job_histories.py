"""Tests of the strategy for job histories: all are valid, and together they cover every transition of jobs."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client import SimulationJobStatus
from odyssey_mock.simulations.job_machine import ENDED, INITIAL, TRANSITIONS, JobEvent, JobMachine, JobState
from odyssey_mock.testing.strategies import JobHistory, JobStep, job_histories
from odyssey_mock.testing.strategies import job as module
from tests.support.drawing import FEW, any_of, drawn, smallest

ALL = {(state, event) for state, row in TRANSITIONS.items() for event in row}


def transitions(history: JobHistory) -> set[tuple[JobState, JobEvent]]:
    before = [INITIAL, *(step.status for step in history.steps)]
    return {(state, step.event) for state, step in zip(before, history.steps, strict=False)}


@FEW
@given(job_histories())
def test_machine_follows_history(history: JobHistory) -> None:
    machine = JobMachine()
    assert len(history.steps) <= 20
    for step in history.steps:
        machine.handle(step.event)
        assert machine.state is step.status
    assert machine.state is history.status
    assert history.has_ended == (machine.state in ENDED)


@FEW
@given(job_histories())
def test_statuses_begin_with_pending_and_always_change(
    history: JobHistory,
) -> None:
    assert history.statuses[0].value == SimulationJobStatus.PENDING.value
    assert history.statuses[-1] == history.status
    assert all(before is not after for before, after in pairwise(history.statuses))
    assert {SimulationJobStatus(status) for status in history.statuses} <= set(SimulationJobStatus)
    assert history.events == tuple(step.event for step in history.steps)


def test_every_transition_is_drawn() -> None:
    seen = set().union(*(transitions(history) for history in drawn(job_histories(max_size=5), 300)))
    for each in ALL - seen:
        any_of(job_histories(max_size=5), lambda history, each=each: each in transitions(history))  # type: ignore[misc]  # bound in this iteration


def test_new_transition_is_drawn_automatically(monkeypatch: pytest.MonkeyPatch) -> None:
    completed = {**TRANSITIONS[JobState.COMPLETED], JobEvent.BEGIN: (JobState.PROCESSING, ())}
    monkeypatch.setattr(module, "TRANSITIONS", {**TRANSITIONS, JobState.COMPLETED: completed})
    any_of(job_histories(), lambda history: (JobState.COMPLETED, JobEvent.BEGIN) in transitions(history))


@pytest.mark.parametrize("status", JobState)
def test_history_ends_with_requested_status(status: JobState) -> None:
    histories = drawn(job_histories(ends_as=[status]), 40)
    assert {history.status for history in histories} == {status}
    assert len({history.steps for history in histories}) > 10


@FEW
@given(st.sets(st.sampled_from(sorted(JobState)), min_size=1), st.integers(3, 12), st.data())
def test_history_is_at_most_as_long_as_requested(ends: set[str], most: int, data: st.DataObject) -> None:
    history = data.draw(job_histories(max_size=most, ends_as=ends))
    assert history.status in ends
    assert len(history.steps) <= most


def test_long_histories_and_retries_are_drawn() -> None:
    any_of(job_histories(), lambda history: len(history.steps) >= 10)
    any_of(job_histories(), lambda history: history.statuses.count(JobState.PROCESSING) > 1)


def test_simplest_history_is_shortest_route() -> None:
    assert smallest(job_histories()).steps == ()
    assert smallest(job_histories(), lambda history: history.status is JobState.COMPLETED).steps == (
        JobStep(JobEvent.DISPATCH, JobState.DISPATCHED),
        JobStep(JobEvent.BEGIN, JobState.PROCESSING),
        JobStep(JobEvent.STREAMS_DONE, JobState.COMPLETED),
    )
    again = smallest(job_histories(), lambda history: history.statuses.count(JobState.PROCESSING) == 2)
    assert len(again.steps) == 5


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: job_histories(ends_as=["done"]), "unknown status 'done'; known: pending"),
        (lambda: job_histories(ends_as=[]), "got none"),
        (lambda: job_histories(max_size=2, ends_as=["completed"]), "max_size must be 3 or more"),
        (lambda: job_histories(max_size=-1), "got -1"),
    ],
)
def test_invalid_arguments_are_rejected_at_once(wrong: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        wrong()
