"""Tests of the comparison of `make bench-check`, and of the committed baseline."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.bench.registry import BENCHMARKS
from tests.support.bench.baseline import Band, baseline_of, best, check, compare, load, save

BASELINE = {"connect": Band("connect", 2.0, 0.5), "fanout": Band("fanout", 0.1, 0.02)}
RATIOS = st.lists(st.floats(0.001, 1000), min_size=1, max_size=20)


def report(ratios: Mapping[str, float]) -> Mapping[str, Any]:  # Any: JSON
    """Return a report with rows of one benchmark."""
    rows = [{"benchmark": "some", "name": name, "ratio": ratio} for name, ratio in ratios.items()]
    return {"time": "2030-01-02T03:04:05+00:00", "machine": {"cores": 2}, "versions": {"python": "3.13"}, "rows": rows}


@pytest.mark.parametrize(
    ("connect", "kind", "fails"),
    [(1.4, "better", False), (1.5, "same", False), (2.5, "same", False), (2.6, "worse", True)],
)
def test_only_ratios_above_the_band_fail(connect: float, kind: str, fails: bool) -> None:
    finding, other = compare({"connect": connect, "fanout": 0.1}, BASELINE)
    assert (finding.kind, finding.fails) == (kind, fails)
    assert str(finding) == f"{kind:7} connect: expected 2 times, at most 2.5, got {connect:.3g}"
    assert other.kind == "same"


def test_missing_row_fails_the_check() -> None:
    connect, fanout = compare({"connect": 2.0}, BASELINE)
    assert not connect.fails
    assert fanout.fails
    assert str(fanout) == "missing fanout: expected 0.1 times, at most 0.12, got no such row"


def test_new_rows_are_reported_without_failure() -> None:
    findings = compare({"connect": 2.0, "fanout": 0.1, "rest": 3.0, "import": 1.0}, BASELINE)
    assert [str(each) for each in findings[2:]] == [
        "new     import: 1 times, not in the baseline",
        "new     rest: 3 times, not in the baseline",
    ]
    assert not any(each.fails for each in findings)


def test_best_of_several_runs_counts() -> None:
    assert best([{"a": 3.0, "b": 1.0}, {"a": 2.0}, {"c": 5.0}]) == {"a": 2.0, "b": 1.0, "c": 5.0}


def test_worse_benchmarks_are_measured_again() -> None:
    noisy, slow = iter([9.0, 2.1]), 1.0
    measured: list[str] = []

    def measure(name: str) -> Mapping[str, Any]:  # Any: JSON
        measured.append(name)
        rows = {"connect": next(noisy)} if name in {"all", "connect"} else {}
        return report(rows | ({"fanout": slow} if name in {"all", "fanout"} else {}))

    connect, fanout = check(measure, BASELINE)

    assert measured == ["all", "connect", "fanout", "fanout"]
    assert (connect.kind, fanout.kind) == ("same", "worse")


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ([2.0, 2.0, 2.0], Band("some", 2.0, 0.2)),  # at least a tenth
        ([1.0, 2.0, 4.0], Band("some", 2.0, 3.0)),  # 1.5 times the distance to the worst
        ([-0.5], Band("some", -0.5, 0.05)),
    ],
)
def test_band_depends_on_the_worst_run(ratios: list[float], expected: Band) -> None:
    assert Band.of("some", ratios) == expected


@given(RATIOS)
def test_runs_of_the_baseline_are_never_worse(ratios: list[float]) -> None:
    reports = [report({"row": float(f"{each:.5g}")}) for each in ratios]
    baseline = baseline_of(reports)
    for each in reports:
        (finding,) = compare({"row": each["rows"][0]["ratio"]}, baseline)
        assert finding.kind in {"same", "better"}


def test_runs_with_different_rows_are_rejected() -> None:
    with pytest.raises(ValueError, match="expected the same rows in all runs, got rows that only some have: b, c"):
        baseline_of([report({"a": 1.0, "b": 1.0}), report({"a": 1.0, "c": 1.0})])


def test_saved_baseline_can_be_loaded(tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    save([report({"a": 1.0}), report({"a": 3.0})], file)
    assert load(file) == {"a": Band("some", 2.0, 1.5)}


def test_committed_baseline_names_known_benchmarks() -> None:
    unknown = {band.benchmark for band in load().values()} - {each.name for each in BENCHMARKS if each.in_all}
    assert unknown == set()
