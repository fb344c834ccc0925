"""`play`, which runs a test's scenario on an event loop with simulated time."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from odyssey_mock.sim.loop import SimulatedLoop
from odyssey_mock.sim.run import _without_collections


def play[T](scenario: Callable[[], Awaitable[T]], *, seed: int = 1) -> T:
    """Run `scenario` on a new simulated loop, shut the loop down, and return the result of the scenario."""

    async def main() -> T:
        return await scenario()

    with ended(SimulatedLoop(seed)) as loop:
        return loop.run_until_complete(main())  # type: ignore[no-any-return]  # simloop is untyped here


@contextmanager
def ended(loop: SimulatedLoop) -> Iterator[SimulatedLoop]:
    with _without_collections():  # simloop collects the garbage of the whole process after each run
        try:
            yield loop
        finally:
            loop.end()
