"""Deterministic examples of Hypothesis strategies."""

from collections.abc import Callable

from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis.strategies import SearchStrategy

FEW = settings(max_examples=25)
"""Settings for tests that check each example alone. Few suffice, because a wrong strategy draws many bad ones."""

_ALWAYS_THE_SAME = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck), report_multiple_bugs=False
)


def drawn[T](strategy: SearchStrategy[T], count: int = 200) -> list[T]:
    """Return the examples that a test with `max_examples=count` receives."""
    examples: list[T] = []

    @settings(_ALWAYS_THE_SAME, max_examples=count, phases=[Phase.generate])
    @given(strategy)
    def collect(example: T) -> None:
        examples.append(example)

    collect()
    return examples


def smallest[T](strategy: SearchStrategy[T], condition: Callable[[T], bool] = lambda _: True) -> T:
    """Return the smallest example, as Hypothesis shrinks it, for which `condition` holds."""
    return find(strategy, condition, settings=settings(_ALWAYS_THE_SAME, max_examples=2000))


def any_of[T](strategy: SearchStrategy[T], condition: Callable[[T], bool]) -> T:
    """Return the first example for which `condition` holds.

    Raises:
        NoSuchExample: if none of 2000 examples satisfies it.
    """
    return find(strategy, condition, settings=settings(_ALWAYS_THE_SAME, max_examples=2000, phases=[Phase.generate]))
