"""A Hypothesis strategy for sequences of events that a state machine allows, with the resulting states and effects."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Protocol

from hypothesis import strategies as st


class Machine[S: StrEnum, E: StrEnum, F: StrEnum](Protocol):
    """Protocol of the mock's state machines: `handle` takes an event, changes the state and returns effects."""

    @property
    def state(self) -> S: ...

    def handle(self, event: E, /) -> tuple[F, ...]: ...


@st.composite
def histories[S: StrEnum, E: StrEnum, F: StrEnum](
    draw: st.DrawFn, new: Callable[[], Machine[S, E, F]], transitions: Mapping[S, Mapping[E, object]]
) -> list[tuple[S, E, tuple[F, ...], S]]:
    """Draw events that `transitions` allows, and pass them to a new machine.

    Return (old state, event, effects, new state) for each event.
    """
    machine = new()
    history = []
    for _ in range(draw(st.integers(1, 30))):
        event = draw(st.sampled_from(sorted(transitions[machine.state])))
        before = machine.state
        effects = machine.handle(event)
        history.append((before, event, effects, machine.state))
    return history
