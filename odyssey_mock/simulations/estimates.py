"""How long a job will have to wait, as far as one can tell when it comes (`protocol.md` section 8)."""

import heapq
from collections.abc import Sequence

from odyssey_mock.settings import Settings
from odyssey_mock.simulations.request import JobRequest
from odyssey_mock.simulations.timelines import expected_seconds

UNKNOWN_SCRIPT = 10.0
"""Seconds that a script still to be fetched is taken to keep a worker busy."""


def expected_work(request: JobRequest, settings: Settings, *, begun: int = 0) -> float:
    """Seconds of processing that a job needs, without those of its first `begun` scripts."""
    if request.scripts is None:
        return UNKNOWN_SCRIPT
    return sum(expected_seconds(script, settings) for script in request.scripts[begun:])


def wait_seconds(workers: int, working: Sequence[float], ahead: Sequence[float]) -> float | None:
    """Seconds until a worker is free for a job; None where there are no workers.

    Args:
        workers: how many there are.
        working: for each of them that has a job, in how many seconds it will be free.
        ahead: how many seconds each job keeps a worker that is before it in the queue, the next one first.
    """
    if workers == 0:
        return None
    free_in = [*working, *[0.0] * (workers - len(working))]
    heapq.heapify(free_in)
    for seconds in ahead:
        heapq.heapreplace(free_in, free_in[0] + seconds)
    return free_in[0]
