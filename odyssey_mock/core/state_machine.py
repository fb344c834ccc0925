"""What every state machine of the mock shares: a place in a table, and one way to move on.

A table maps each state to the events it knows, and each of those to the next state and the effects to carry out, in
order.
"""

from collections.abc import Mapping
from enum import StrEnum


class IllegalEventError(RuntimeError):
    """An event that the table does not list for the state the machine is in: a defect of the caller."""


class Machine[State: StrEnum, Event: StrEnum, Effect: StrEnum]:
    """A place in a transition table; pure, without clock, tasks or sockets."""

    def __init__(
        self, name: str, table: Mapping[State, Mapping[Event, tuple[State, tuple[Effect, ...]]]], initial: State
    ) -> None:
        self.name = name
        self.state = initial
        self._table = table

    def handle(self, event: Event) -> tuple[Effect, ...]:
        """Move on, and return what is to be done.

        Raises:
            IllegalEventError: the table does not list `event` for the present state.
        """
        transition = self._table[self.state].get(event)
        if transition is None:
            expected = ", ".join(sorted(self._table[self.state]))
            raise IllegalEventError(f"a {self.name} that is {self.state} expects one of {expected}, got {event}")
        self.state, effects = transition
        return effects
