"""Functions that draw the same examples from a Hypothesis strategy in every run."""

from collections.abc import Callable

from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis.strategies import SearchStrategy

FEW = settings(max_examples=25)
"""Hypothesis settings for tests of strategies. 25 examples suffice, because a wrong strategy draws many wrong ones."""

_ALWAYS_THE_SAME = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck), report_multiple_bugs=False
)


def drawn[T](strategy: SearchStrategy[T], count: int = 200) -> list[T]:
    """Return the examples that a Hypothesis test with `max_examples=count` receives from `strategy`."""
    examples: list[T] = []

    @settings(_ALWAYS_THE_SAME, max_examples=count, phases=[Phase.generate])
    @given(strategy)
    def collect(example: T) -> None:
        examples.append(example)

    collect()
    return examples


def smallest[T](strategy: SearchStrategy[T], condition: Callable[[T], bool] = lambda _: True) -> T:
    """Return the simplest example for which `condition` is true; Hypothesis finds it by shrinking."""
    return find(strategy, condition, settings=settings(_ALWAYS_THE_SAME, max_examples=2000))


def any_of[T](strategy: SearchStrategy[T], condition: Callable[[T], bool]) -> T:
    """Return the first example for which `condition` is true.

    Raises:
        NoSuchExample: if `condition` is false for 2000 examples.
    """
    return find(strategy, condition, settings=settings(_ALWAYS_THE_SAME, max_examples=2000, phases=[Phase.generate]))
