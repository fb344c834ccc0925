"""The job's table, walked by Hypothesis without a clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.core.state_machine import IllegalEventError
from odyssey_mock.simulations.job_machine import ENDED, INITIAL, TRANSITIONS, Action, Event, JobMachine, State
from tests.support.histories import histories

type Step = tuple[State, Event, tuple[Action, ...], State]

FROM_OUTSIDE = {Event.CANCEL, Event.CANCEL_UNBEGUN, Event.WORKER_LOST, Event.WORKER_GIVEN_UP, Event.SHUT_DOWN}
"""What users and tests can cause, whenever they like."""
REFUSALS = {Action.REFUSE_CANCEL, Action.REFUSE_LOSS}
WITH_A_WORKER = {State.DISPATCHED, State.PROCESSING}


def test_every_state_has_a_row_and_can_be_reached() -> None:
    assert set(TRANSITIONS) == set(State)
    reached, new = set(), {INITIAL}
    while new:
        reached |= new
        new = {target for state in new for target, _ in TRANSITIONS[state].values()} - reached
    assert reached == set(State)


@pytest.mark.parametrize("state", sorted(State))
def test_nothing_that_comes_from_outside_is_illegal_in_any_state(state: State) -> None:
    assert set(TRANSITIONS[state]) >= FROM_OUTSIDE


@pytest.mark.parametrize("state", sorted(State))
def test_after_a_shut_down_a_job_is_over(state: State) -> None:
    assert TRANSITIONS[state][Event.SHUT_DOWN][0] in ENDED


@pytest.mark.parametrize("state", sorted(State))
def test_a_job_can_be_cancelled_unless_it_has_ended_or_is_processing_where_that_is_too_late(state: State) -> None:
    for event in (Event.CANCEL, Event.CANCEL_UNBEGUN):
        target, actions = TRANSITIONS[state][event]
        too_late = state in ENDED or (state is State.PROCESSING and event is Event.CANCEL_UNBEGUN)
        assert (Action.REFUSE_CANCEL in actions) == too_late
        assert target is (state if too_late else State.CANCELLED)


@pytest.mark.parametrize("state", sorted(State))
def test_a_worker_can_be_lost_exactly_where_there_is_one(state: State) -> None:
    for event, ended in ((Event.WORKER_LOST, State.PENDING), (Event.WORKER_GIVEN_UP, State.FAILED)):
        target, actions = TRANSITIONS[state][event]
        assert (Action.REFUSE_LOSS in actions) == (state not in WITH_A_WORKER)
        assert target is (ended if state in WITH_A_WORKER else state)


@given(histories(JobMachine, TRANSITIONS))
def test_a_refusal_is_all_that_is_done_and_changes_nothing(history: list[Step]) -> None:
    for before, _, actions, after in history:
        if REFUSALS & set(actions):
            assert len(actions) == 1
            assert after is before


@given(histories(JobMachine, TRANSITIONS))
def test_a_job_retires_exactly_once_and_exactly_at_its_end(history: list[Step]) -> None:
    for before, _, actions, after in history:
        assert (Action.RETIRE in actions) == (after in ENDED and before not in ENDED)
    assert sum(actions.count(Action.RETIRE) for _, _, actions, _ in history) <= 1


@given(histories(JobMachine, TRANSITIONS))
def test_a_job_that_has_ended_stays_so_and_does_nothing_but_refuse(history: list[Step]) -> None:
    for before, _, actions, after in history:
        if before in ENDED:
            assert after is before
            assert set(actions) <= REFUSALS


@pytest.mark.parametrize("state", sorted(WITH_A_WORKER))
def test_whatever_takes_a_job_from_its_worker_frees_the_worker(state: State) -> None:
    for event, (target, actions) in TRANSITIONS[state].items():
        assert (Action.RELEASE_WORKER in actions) == (target not in WITH_A_WORKER), event


@given(histories(JobMachine, TRANSITIONS))
def test_a_job_is_in_the_queue_exactly_while_it_is_pending(history: list[Step]) -> None:
    for before, event, actions, after in history:
        came_back = event is Event.WORKER_LOST_EARLY or before is not State.PENDING
        entered = after is State.PENDING and came_back
        assert (Action.REQUEUE in actions) == entered
        left_unserved = before is State.PENDING and after is not State.PENDING and event is not Event.DISPATCH
        assert (Action.LEAVE_QUEUE in actions) == left_unserved


@given(histories(JobMachine, TRANSITIONS))
def test_no_stream_of_a_lost_worker_is_kept(history: list[Step]) -> None:
    for before, event, actions, _ in history:
        if event in (Event.WORKER_LOST, Event.WORKER_GIVEN_UP) and before in WITH_A_WORKER:
            assert actions[0] is Action.FORGET_STREAMS


@given(st.sampled_from(sorted(State)), st.sampled_from(sorted(Event)))
def test_an_event_the_table_does_not_list_raises_and_leaves_the_state(state: State, event: Event) -> None:
    machine = JobMachine()
    machine.state = state
    if event in TRANSITIONS[state]:
        machine.handle(event)
        assert machine.state is TRANSITIONS[state][event][0]
    else:
        with pytest.raises(IllegalEventError, match=f"{state} expects one of .*{event} came"):
            machine.handle(event)
        assert machine.state is state
