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


def queued(times: int) -> str:
    """Return what a call waits for after ``times`` responses that say that no streamer is free."""
    return f"a free streamer (queued {'once' if times == 1 else f'{times} times'})"


def waits_for(what: What) -> None:
    """Record that the running call waits for ``what``; do nothing if the call is not recorded.

    A text does not replace a function, because tasks of a connection run in the context of the call that opened it.
    """
    waiting = recorded_call.get()
    if waiting is not None and (callable(what) or not callable(waiting.what)):
        waiting.what = what
