"""Tests of the fit of an exponent to measured costs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.bench.growth import exponent

SIZES = [1, 10, 50, 200]


@given(st.floats(-1, 3), st.floats(1e-6, 1e6))
def test_exponent_of_a_power_law_is_found(power: float, factor: float) -> None:
    assert exponent(SIZES, [factor * size**power for size in SIZES]) == pytest.approx(power, abs=1e-6)


def test_noise_hardly_changes_the_exponent() -> None:
    noise = (0.9, 1.1, 0.95, 1.05)
    costs = [size * each for size, each in zip(SIZES, noise, strict=True)]
    assert exponent(SIZES, costs) == pytest.approx(1, abs=0.05)


def test_constant_costs_lower_the_exponent() -> None:
    assert 0.1 < exponent(SIZES, [100 + size for size in SIZES]) < 0.3


@pytest.mark.parametrize(
    ("sizes", "costs"), [([10], [1]), ([10, 10], [1, 2]), ([1, 10], [1]), ([0, 10], [1, 2]), ([1, 10], [0, 2])]
)
def test_costs_that_fit_no_power_law_are_rejected(sizes: list[float], costs: list[float]) -> None:
    with pytest.raises(ValueError, match="expected a cost for each of at least two sizes, all greater than 0, got"):
        exponent(sizes, costs)
