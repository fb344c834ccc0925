"""Looking at what a strategy draws, always the same: nothing here depends on chance."""

from collections.abc import Callable

from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis.strategies import SearchStrategy

FEW = settings(max_examples=25)
"""For properties of single examples: a defect of a strategy is in a good part of what it draws."""

_ALWAYS_THE_SAME = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck), report_multiple_bugs=False
)


def drawn[T](strategy: SearchStrategy[T], count: int = 200) -> list[T]:
    """Give as many examples as are drawn in a test of `count`."""
    examples: list[T] = []

    @settings(_ALWAYS_THE_SAME, max_examples=count, phases=[Phase.generate])
    @given(strategy)
    def collect(example: T) -> None:
        examples.append(example)

    collect()
    return examples


def smallest[T](strategy: SearchStrategy[T], condition: Callable[[T], bool] = lambda _: True) -> T:
    """Give the example that Hypothesis shows of those for which `condition` holds."""
    return find(strategy, condition, settings=settings(_ALWAYS_THE_SAME, max_examples=2000))


def any_of[T](strategy: SearchStrategy[T], condition: Callable[[T], bool]) -> T:
    """Give the first example for which `condition` holds.

    Raises:
        NoSuchExample: there is none among two thousand.
    """
    return find(strategy, condition, settings=settings(_ALWAYS_THE_SAME, max_examples=2000, phases=[Phase.generate]))
