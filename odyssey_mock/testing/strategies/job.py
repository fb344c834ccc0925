"""What a simulation job can go through, drawn from the table in `odyssey_mock/simulations/job_machine.py`."""

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from odyssey_mock.simulations.job_machine import ENDED, INITIAL, TRANSITIONS, JobEffect, JobEvent, JobState

type Table = Mapping[JobState, Mapping[JobEvent, tuple[JobState, tuple[JobEffect, ...]]]]


class JobStep(NamedTuple):
    """One thing that happens to a job."""

    event: JobEvent
    status: JobState
    """What it is after that; the words of the wire, as `SimulationJobStatus` has them."""


@dataclass(frozen=True, slots=True)
class JobHistory:
    """What happened to a job since it was submitted, as `pending`."""

    steps: tuple[JobStep, ...]

    @property
    def events(self) -> tuple[JobEvent, ...]:
        """What happened, in order."""
        return tuple(step.event for step in self.steps)

    @property
    def statuses(self) -> tuple[JobState, ...]:
        """The statuses it was in, from `pending` on, each as often as it came to it from another."""
        passed = (INITIAL, *(step.status for step in self.steps))
        return tuple(status for index, status in enumerate(passed) if index == 0 or passed[index - 1] is not status)

    @property
    def status(self) -> JobState:
        """What it is in the end."""
        return self.steps[-1].status if self.steps else INITIAL

    @property
    def has_ended(self) -> bool:
        """Whether it will not change any more."""
        return self.status in ENDED


def job_histories(*, max_size: int = 20, ends_as: Collection[str] | None = None) -> SearchStrategy[JobHistory]:
    """Draw a legal history of a simulation job: all that its machine allows, refusals and lost workers with it.

    ::

        @given(job_histories(ends_as=["completed", "failed"]))
        def test_my_dashboard_shows_the_end_of_every_job(history):
            for status in history.statuses:
                dashboard.update(job_id, status)
            assert dashboard.shows(job_id) == history.status

    Args:
        max_size: How many things happen to it, at most.
        ends_as: What it is in the end, one of these statuses; whatever it may be if None.

    Raises:
        ValueError: there is no such status, or it takes more than `max_size` events to come to one of them.
    """
    wanted = frozenset(JobState if ends_as is None else (_state(each) for each in ends_as))
    if not wanted:
        raise ValueError(f"expected a status or more in ends_as, got none; known are {', '.join(JobState)}")
    routes = _Routes(TRANSITIONS)
    rests = routes.lengths(wanted)
    needed = rests[INITIAL]
    if needed > max_size:
        raise ValueError(f"expected max_size to be {needed} or more, to come to {', '.join(wanted)}; got {max_size}")
    return _histories(routes, max_size, wanted, rests)


def _state(status: str) -> JobState:
    if status not in set(JobState):
        raise ValueError(f"there is no status {status!r}; known are {', '.join(JobState)}")
    return JobState(status)


class _Routes:
    """The shortest ways through a table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._routes = {state: self._from(state) for state in table}

    def to(self, state: JobState, targets: Collection[JobState]) -> tuple[JobStep, ...] | None:
        """The shortest way from `state` to one of `targets`; None if there is none."""
        routes = [route for target, route in self._routes[state].items() if target in targets]
        return min(routes, key=len, default=None)

    def lengths(self, targets: Collection[JobState]) -> dict[JobState, int]:
        """How many events that is from each state; without those from which there is none."""
        routes = {state: self.to(state, targets) for state in self.table}
        return {state: len(route) for state, route in routes.items() if route is not None}

    def legs(self, state: JobState, most: int, rests: Mapping[JobState, int]) -> list[list[tuple[JobStep, ...]]]:
        """A way from `state` for each transition that can be reached, which is its last step; by the state it is in.

        The nearest state first, its transitions in the order of the table. Only those after which there is an end to
        come to, with `most` events in all; `rests`: how many that takes from each state.
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
"""Mostly; a history gets about three transitions, and the ways to them."""


@st.composite
def _histories(
    draw: st.DrawFn, routes: _Routes, max_size: int, ends: frozenset[JobState], rests: Mapping[JobState, int]
) -> JobHistory:
    """Go from one transition to another, any of the table, each by the shortest way: so that all of them are drawn."""
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
