"""`Machine`, the base class of all state machines of the mock.

A transition table maps each state and event to the next state and to the effects to carry out, in order.
"""

from collections.abc import Mapping
from enum import StrEnum


class IllegalEventError(RuntimeError):
    """The transition table has no row for the event in the current state. This is a bug in the caller."""


class Machine[State: StrEnum, Event: StrEnum, Effect: StrEnum]:
    """A state machine: the current state and a transition table. It has no clock, tasks or sockets."""

    def __init__(
        self, name: str, table: Mapping[State, Mapping[Event, tuple[State, tuple[Effect, ...]]]], initial: State
    ) -> None:
        self.name = name
        self.state = initial
        self._table = table

    def handle(self, event: Event) -> tuple[Effect, ...]:
        """Change to the next state, and return the effects to carry out.

        Raises:
            IllegalEventError: the table does not list `event` for the current state.
        """
        transition = self._table[self.state].get(event)
        if transition is None:
            expected = ", ".join(sorted(self._table[self.state]))
            raise IllegalEventError(f"a {self.name} that is {self.state} expects one of {expected}, got {event}")
        self.state, effects = transition
        return effects
