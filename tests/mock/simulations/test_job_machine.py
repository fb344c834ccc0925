"""Tests of the job machine: its transition table and random walks through it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.core.state_machine import IllegalEventError
from odyssey_mock.simulations.job_machine import ENDED, INITIAL, TRANSITIONS, JobEffect, JobEvent, JobMachine, JobState
from tests.support.histories import histories

type Step = tuple[JobState, JobEvent, tuple[JobEffect, ...], JobState]

FROM_OUTSIDE = {
    JobEvent.CANCEL,
    JobEvent.CANCEL_UNBEGUN,
    JobEvent.WORKER_LOST,
    JobEvent.WORKER_GIVEN_UP,
    JobEvent.SHUT_DOWN,
}
"""Events that clients and tests can cause at any time."""
REFUSALS = {JobEffect.REFUSE_CANCEL, JobEffect.REFUSE_LOSS}
WITH_A_WORKER = {JobState.DISPATCHED, JobState.PROCESSING}


def test_every_state_has_a_row_and_is_reached() -> None:
    assert set(TRANSITIONS) == set(JobState)
    reached, new = set(), {INITIAL}
    while new:
        reached |= new
        new = {target for state in new for target, _ in TRANSITIONS[state].values()} - reached
    assert reached == set(JobState)


@pytest.mark.parametrize("state", sorted(JobState))
def test_outside_events_are_legal_in_every_state(state: JobState) -> None:
    assert set(TRANSITIONS[state]) >= FROM_OUTSIDE


@pytest.mark.parametrize("state", sorted(JobState))
def test_shutdown_ends_job_in_every_state(state: JobState) -> None:
    assert TRANSITIONS[state][JobEvent.SHUT_DOWN][0] in ENDED


@pytest.mark.parametrize("state", sorted(JobState))
def test_cancel_is_rejected_only_when_too_late(state: JobState) -> None:
    for event in (JobEvent.CANCEL, JobEvent.CANCEL_UNBEGUN):
        target, effects = TRANSITIONS[state][event]
        too_late = state in ENDED or (state is JobState.PROCESSING and event is JobEvent.CANCEL_UNBEGUN)
        assert (JobEffect.REFUSE_CANCEL in effects) == too_late
        assert target is (state if too_late else JobState.CANCELLED)


@pytest.mark.parametrize("state", sorted(JobState))
def test_worker_can_be_lost_only_after_dispatch(state: JobState) -> None:
    for event, ended in ((JobEvent.WORKER_LOST, JobState.PENDING), (JobEvent.WORKER_GIVEN_UP, JobState.FAILED)):
        target, effects = TRANSITIONS[state][event]
        assert (JobEffect.REFUSE_LOSS in effects) == (state not in WITH_A_WORKER)
        assert target is (ended if state in WITH_A_WORKER else state)


@given(histories(JobMachine, TRANSITIONS))
def test_rejection_has_no_other_effect(history: list[Step]) -> None:
    for before, _, effects, after in history:
        if REFUSALS & set(effects):
            assert len(effects) == 1
            assert after is before


@given(histories(JobMachine, TRANSITIONS))
def test_retire_effect_occurs_once_at_end_of_job(history: list[Step]) -> None:
    for before, _, effects, after in history:
        assert (JobEffect.RETIRE in effects) == (after in ENDED and before not in ENDED)
    assert sum(effects.count(JobEffect.RETIRE) for _, _, effects, _ in history) <= 1


@given(histories(JobMachine, TRANSITIONS))
def test_ended_job_only_rejects_events(history: list[Step]) -> None:
    for before, _, effects, after in history:
        if before in ENDED:
            assert after is before
            assert set(effects) <= REFUSALS


@pytest.mark.parametrize("state", sorted(WITH_A_WORKER))
def test_job_that_leaves_worker_releases_it(state: JobState) -> None:
    for event, (target, effects) in TRANSITIONS[state].items():
        assert (JobEffect.RELEASE_WORKER in effects) == (target not in WITH_A_WORKER), (
            f"expected RELEASE_WORKER exactly if the next state has no worker, got {effects} for {event} to {target}"
        )


@given(histories(JobMachine, TRANSITIONS))
def test_job_is_queued_exactly_while_pending(history: list[Step]) -> None:
    for before, event, effects, after in history:
        returned = event is JobEvent.WORKER_LOST_EARLY or before is not JobState.PENDING
        entered = after is JobState.PENDING and returned
        assert (JobEffect.REQUEUE in effects) == entered
        left_unserved = before is JobState.PENDING and after is not JobState.PENDING and event is not JobEvent.DISPATCH
        assert (JobEffect.LEAVE_QUEUE in effects) == left_unserved


@given(histories(JobMachine, TRANSITIONS))
def test_streams_of_a_lost_worker_are_forgotten(history: list[Step]) -> None:
    for before, event, effects, _ in history:
        if event in (JobEvent.WORKER_LOST, JobEvent.WORKER_GIVEN_UP) and before in WITH_A_WORKER:
            assert effects[0] is JobEffect.FORGET_STREAMS


@given(st.sampled_from(sorted(JobState)), st.sampled_from(sorted(JobEvent)))
def test_unlisted_event_raises_and_keeps_the_state(state: JobState, event: JobEvent) -> None:
    machine = JobMachine()
    machine.state = state
    if event in TRANSITIONS[state]:
        machine.handle(event)
        assert machine.state is TRANSITIONS[state][event][0]
    else:
        with pytest.raises(IllegalEventError, match=f"{state} expects one of .*got {event}"):
            machine.handle(event)
        assert machine.state is state
