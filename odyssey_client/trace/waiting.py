"""What a pending call waits for, as traces show it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

type What = str | Callable[[], str | None]
"""A description, or a function that returns it and must not raise."""


class Waiting:
    """What one call waits for.

    Attributes:
        what: The description; None if it is unknown.
    """

    __slots__ = ("what",)

    def __init__(self) -> None:
        self.what: What | None = None

    def text(self) -> str | None:
        """Return the description."""
        return self.what() if callable(self.what) else self.what


recorded_call: ContextVar[Waiting | None] = ContextVar("odyssey_recorded_call", default=None)
"""The call that the running task carries out; None if it is not recorded."""


def waits_for(what: What) -> None:
    """Record that the running call waits for ``what``; do nothing if the call is not recorded."""
    if (waiting := recorded_call.get()) is not None:
        waiting.what = what
