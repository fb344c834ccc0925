"""Histories of simulation jobs, drawn from the transitions in `odyssey_mock/simulations/job_machine.py`."""

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from odyssey_mock.simulations.job_machine import ENDED, INITIAL, TRANSITIONS, JobEffect, JobEvent, JobState

type Table = Mapping[JobState, Mapping[JobEvent, tuple[JobState, tuple[JobEffect, ...]]]]


class JobStep(NamedTuple):
    """One event of a job, and the status after it."""

    event: JobEvent
    status: JobState
    """The job's status after the event. The values are those of `SimulationJobStatus`."""


@dataclass(frozen=True, slots=True)
class JobHistory:
    """The events of a job since it was submitted with the status `pending`."""

    steps: tuple[JobStep, ...]

    @property
    def events(self) -> tuple[JobEvent, ...]:
        """The events, in order."""
        return tuple(step.event for step in self.steps)

    @property
    def statuses(self) -> tuple[JobState, ...]:
        """The statuses in order, beginning with `pending`. Events that do not change the status add none."""
        passed = (INITIAL, *(step.status for step in self.steps))
        return tuple(status for index, status in enumerate(passed) if index == 0 or passed[index - 1] is not status)

    @property
    def status(self) -> JobState:
        """The last status."""
        return self.steps[-1].status if self.steps else INITIAL

    @property
    def has_ended(self) -> bool:
        """Whether the last status is final: completed, failed or cancelled."""
        return self.status in ENDED


def job_histories(*, max_size: int = 20, ends_as: Collection[str] | None = None) -> SearchStrategy[JobHistory]:
    """Draw a legal history of a simulation job, including refused cancellations and lost workers.

    ::

        @given(job_histories(ends_as=["completed", "failed"]))
        def test_dashboard_shows_last_status_of_job(history):
            for status in history.statuses:
                dashboard.update(job_id, status)
            assert dashboard.shows(job_id) == history.status

    Args:
        max_size: Maximum number of events.
        ends_as: The allowed last statuses; None for all.

    Raises:
        ValueError: `ends_as` is empty or contains an unknown status, or no status in it can be reached within
            `max_size` events.
    """
    wanted = frozenset(JobState if ends_as is None else (_state(each) for each in ends_as))
    if not wanted:
        raise ValueError(f"ends_as must contain at least one status, got none; known: {', '.join(JobState)}")
    routes = _Routes(TRANSITIONS)
    rests = routes.lengths(wanted)
    needed = rests[INITIAL]
    if needed > max_size:
        raise ValueError(f"max_size must be {needed} or more to reach {', '.join(wanted)}, got {max_size}")
    return _histories(routes, max_size, wanted, rests)


def _state(status: str) -> JobState:
    if status not in set(JobState):
        raise ValueError(f"unknown status {status!r}; known: {', '.join(JobState)}")
    return JobState(status)


class _Routes:
    """The shortest sequences of events ("routes") from each state of a transition table to the others."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._routes = {state: self._from(state) for state in table}

    def to(self, state: JobState, targets: Collection[JobState]) -> tuple[JobStep, ...] | None:
        """Return the shortest route from `state` to one of `targets`; None if there is none."""
        routes = [route for target, route in self._routes[state].items() if target in targets]
        return min(routes, key=len, default=None)

    def lengths(self, targets: Collection[JobState]) -> dict[JobState, int]:
        """Return, by state, the number of events on the shortest route to one of `targets`.

        States without such a route are omitted.
        """
        routes = {state: self.to(state, targets) for state in self.table}
        return {state: len(route) for state, route in routes.items() if route is not None}

    def legs(self, state: JobState, most: int, rests: Mapping[JobState, int]) -> list[list[tuple[JobStep, ...]]]:
        """Return the shortest route from `state` to each reachable transition, including that transition.

        The routes are grouped by the state in which their last transition begins, the nearest state first. In a group,
        the order is that of the table. A route is omitted if no allowed last state can be reached within `most` events.

        Args:
            state: the state in which all routes begin.
            most: the maximum number of events, including those after the route, up to an allowed last state.
            rests: by state, the number of events to the nearest allowed last state.
        """
        legs = []
        for place, route in self._routes[state].items():
            room = most - len(route) - 1
            row = self.table[place].items()
            legs.append([(*route, JobStep(event, to)) for event, (to, _) in row if rests.get(to, most) <= room])
        return [each for each in legs if each]

    def _from(self, state: JobState) -> dict[JobState, tuple[JobStep, ...]]:
        routes: dict[JobState, tuple[JobStep, ...]] = {state: ()}
        new = deque([state])
        while new:
            place = new.popleft()
            for event, (target, _) in self.table[place].items():
                if target not in routes:
                    routes[target] = (*routes[place], JobStep(event, target))
                    new.append(target)
        return routes


_GOES_ON = st.integers(0, 3).map(bool)
"""Draws whether to extend a history by a transition: True in three of four cases, so about three times in a row."""


@st.composite
def _histories(
    draw: st.DrawFn, routes: _Routes, max_size: int, ends: frozenset[JobState], rests: Mapping[JobState, int]
) -> JobHistory:
    """Draw transitions from the whole table, so that no transition is rare, and connect them by the shortest routes."""
    steps: list[JobStep] = []
    state = INITIAL
    while legs := routes.legs(state, max_size - len(steps), rests):
        if not draw(_GOES_ON):
            break
        row = legs[draw(st.integers(0, len(legs) - 1))]
        steps += row[draw(st.integers(0, len(row) - 1))]
        state = steps[-1].status
    steps += routes.to(state, ends) or ()
    return JobHistory(tuple(steps))
