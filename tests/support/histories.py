"""What a state machine goes through: legal events from its beginning on."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Protocol

from hypothesis import strategies as st


class Machine[S: StrEnum, E: StrEnum, A: StrEnum](Protocol):
    """A machine of the mock."""

    @property
    def state(self) -> S: ...

    def handle(self, event: E, /) -> tuple[A, ...]: ...


@st.composite
def histories[S: StrEnum, E: StrEnum, A: StrEnum](
    draw: st.DrawFn, new: Callable[[], Machine[S, E, A]], transitions: Mapping[S, Mapping[E, object]]
) -> list[tuple[S, E, tuple[A, ...], S]]:
    """Draw steps: the state before, the event, what is to be done, and the state after."""
    machine = new()
    history = []
    for _ in range(draw(st.integers(1, 30))):
        event = draw(st.sampled_from(sorted(transitions[machine.state])))
        before = machine.state
        actions = machine.handle(event)
        history.append((before, event, actions, machine.state))
    return history
