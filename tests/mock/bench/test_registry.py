"""Tests of the table of benchmarks."""

import inspect

import pytest

from odyssey_mock.bench.registry import BENCHMARKS, Benchmark


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda each: each.name)
def test_each_benchmark_can_be_loaded(benchmark: Benchmark) -> None:
    assert list(inspect.signature(benchmark.load()).parameters) == ["quick"]


def test_names_of_benchmarks_are_unique() -> None:
    names = [each.name for each in BENCHMARKS]
    assert sorted(set(names)) == sorted(names)
