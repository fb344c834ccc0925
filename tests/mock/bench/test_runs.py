"""Tests that benchmarks measure both sides, with as little work as possible. Only `make bench` checks the times."""

import importlib
from collections.abc import Mapping

import pytest

from odyssey_mock.bench.rows import Row

SMALL: Mapping[str, tuple[Mapping[str, float], list[str]]] = {
    "latency": ({"QUICK_FRAMES": 3, "SKIPPED": 1}, ["latency, p50", "latency, p99"]),
    "render": ({"QUICK_ROUNDS": 2, "QUICK_FRAMES": 2}, ["render"]),
    "rest": ({"QUICK_ROUNDS": 2, "QUICK_REQUESTS": 2}, ["rest", "rest, regions", "rest, token"]),
}
"""Constants of the modules, and the names of the rows."""


@pytest.mark.parametrize("name", SMALL)
async def test_benchmark_measures_both_sides(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    constants, names = SMALL[name]
    module = importlib.import_module(f"odyssey_mock.bench.{name}")
    for constant, value in constants.items():
        monkeypatch.setattr(module, constant, value)

    rows: list[Row] = await module.run(quick=True)

    assert [row.name for row in rows] == names
    for row in rows:
        assert min(*row.ours, *row.baseline) > 0, row
