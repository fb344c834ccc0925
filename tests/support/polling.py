"""`wait_until`, for states of other threads that no event announces."""

import threading
from collections.abc import Callable

import pytest

PAUSE = 0.001
"""Seconds between two looks at the state."""
LIMIT = 10_000
"""Maximum number of looks."""


def wait_until(is_so: Callable[[], bool]) -> None:
    """Block until `is_so()` is true; fail after about 10 s. Prefer to wait for an event, if there is one."""
    never = threading.Event()
    for _ in range(LIMIT):
        if is_so():
            return
        never.wait(PAUSE)
    pytest.fail(f"expected the state to be reached within {LIMIT * PAUSE:g} s, got no change")
