"""Transition tables of state machines as text, so that a test can state the expected table and show what differs."""

from collections.abc import Mapping
from enum import Enum


def rows[State: Enum, Event, Effect](
    table: Mapping[State, Mapping[Event, tuple[State, tuple[Effect, ...]]]],
) -> list[str]:
    """Return a line for each transition: state, event, next state and effects, in alphabetical order."""
    return sorted(
        " ".join(map(_name, (state, event, after, *effects)))
        for state, row in table.items()
        for event, (after, effects) in row.items()
    )


def expected_rows(text: str) -> list[str]:
    """Return the lines of an expected table as `rows` does; more spaces may align its columns."""
    return sorted(" ".join(line.split()) for line in text.strip().splitlines())


def _name(each: object) -> str:
    return str(each) if isinstance(each, Enum) else getattr(each, "__name__", repr(each))
