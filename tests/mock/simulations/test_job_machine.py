"""Tests of the job machine: its transition table and random walks through it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.core.state_machine import IllegalEventError
from odyssey_mock.simulations.job_machine import ENDED, INITIAL, TRANSITIONS, JobEffect, JobEvent, JobMachine, JobState
from tests.support.histories import histories
from tests.support.transition_tables import expected_rows, rows

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


EXPECTED = """
    pending    dispatch              dispatched await_begin
    pending    cancel                cancelled  leave_queue release_worker retire
    pending    cancel_unbegun        cancelled  leave_queue release_worker retire
    pending    shut_down             cancelled  leave_queue release_worker retire
    pending    made_to_fail          failed     leave_queue release_worker retire
    pending    worker_lost_early     pending    release_worker requeue
    pending    worker_given_up_early failed     leave_queue release_worker retire
    pending    worker_lost           pending    refuse_loss
    pending    worker_given_up       pending    refuse_loss
    dispatched begin                 processing run_scripts
    dispatched cancel                cancelled  release_worker retire
    dispatched cancel_unbegun        cancelled  release_worker retire
    dispatched shut_down             cancelled  release_worker retire
    dispatched made_to_fail          failed     release_worker retire
    dispatched worker_lost           pending    forget_streams release_worker requeue
    dispatched worker_given_up       failed     forget_streams release_worker retire
    processing streams_done          completed  release_worker retire
    processing streams_failed        failed     release_worker retire
    processing script_refused        failed     release_worker retire
    processing broke                 failed     forget_unfinished release_worker retire
    processing cancel                cancelled  forget_unfinished release_worker retire
    processing cancel_unbegun        processing refuse_cancel
    processing shut_down             cancelled  forget_unfinished release_worker retire
    processing made_to_fail          failed     forget_unfinished release_worker retire
    processing worker_lost           pending    forget_streams release_worker requeue
    processing worker_given_up       failed     forget_streams release_worker retire
    completed  cancel                completed  refuse_cancel
    completed  cancel_unbegun        completed  refuse_cancel
    completed  worker_lost           completed  refuse_loss
    completed  worker_given_up       completed  refuse_loss
    completed  shut_down             completed
    failed     cancel                failed     refuse_cancel
    failed     cancel_unbegun        failed     refuse_cancel
    failed     worker_lost           failed     refuse_loss
    failed     worker_given_up       failed     refuse_loss
    failed     shut_down             failed
    cancelled  cancel                cancelled  refuse_cancel
    cancelled  cancel_unbegun        cancelled  refuse_cancel
    cancelled  worker_lost           cancelled  refuse_loss
    cancelled  worker_given_up       cancelled  refuse_loss
    cancelled  shut_down             cancelled
"""
"""State, event, next state and effects of every transition."""


def test_each_event_has_its_state_and_effects() -> None:
    assert rows(TRANSITIONS) == expected_rows(EXPECTED)


def test_new_job_is_pending() -> None:
    machine = JobMachine()

    assert machine.state is JobState.PENDING
    with pytest.raises(IllegalEventError, match=r"a simulation job that is pending expects one of .*, got begin"):
        machine.handle(JobEvent.BEGIN)


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
