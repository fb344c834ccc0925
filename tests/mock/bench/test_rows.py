"""Tests of the results of benchmarks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.bench.rows import Growth, Row, Spread, shown

SAMPLES = st.lists(st.floats(0.001, 1000), min_size=1, max_size=20)


@pytest.mark.parametrize(("ours", "ok"), [(1.0, True), (2.0, True), (2.1, False)])
def test_row_is_ok_up_to_its_limit(ours: float, ok: bool) -> None:
    row = Row("x", [ours], [1.0], "ms", limit=2.0)
    assert row.ok is ok
    assert row.to_json()["ok"] is ok
    assert ("TOO SLOW" in str(row)) is not ok


def test_ratio_is_the_median_of_pairs() -> None:
    row = Row("x", [2.0, 30.0, 8.0, 5.0, 60.0], [1.0, 10.0, 2.0, 1.0, 10.0], "ms", limit=9)
    assert row.spread == Spread(3.0, 4.0, 5.0)
    assert str(row) == "x: 8 ms, baseline 2 ms: 4.00 times (3.00 to 5.00), limit 9: ok"
    assert row.to_json() == {
        "name": "x",
        "unit": "ms",
        "ours": 8.0,
        "ours_quartiles": [5.0, 30.0],
        "baseline": 2.0,
        "baseline_quartiles": [1.0, 10.0],
        "ratio": 4.0,
        "ratio_quartiles": [3.0, 5.0],
        "limit": 9,
        "ok": True,
        "note": "",
        "samples": {"ours": [2.0, 30.0, 8.0, 5.0, 60.0], "baseline": [1.0, 10.0, 2.0, 1.0, 10.0]},
    }


def test_row_is_read_from_its_json() -> None:
    row = Row("x", [2.0, 30.0], [1.0, 10.0], "ms", limit=9, note="500 per second")
    assert Row.from_json(row.to_json()) == row


@pytest.mark.parametrize(
    ("value", "text"), [(12345.6, "12,346"), (999.94, "999.9"), (0.012345, "0.01235"), (-1500.0, "-1,500")]
)
def test_values_are_shown_with_four_digits(value: float, text: str) -> None:
    assert shown(value) == text


def test_note_follows_the_measured_value() -> None:
    row = Row("x", [2.0], [1.0], "ms", limit=9, note="500 per second")
    assert str(row) == "x: 2 ms (500 per second), baseline 1 ms: 2.00 times (2.00 to 2.00), limit 9: ok"


@given(ours=SAMPLES, baseline=st.floats(0.001, 1000), load=st.lists(st.floats(1, 100), min_size=20, max_size=20))
def test_load_of_a_pair_does_not_matter(ours: list[float], baseline: float, load: list[float]) -> None:
    quiet = Row("x", ours, [baseline] * len(ours), "ms", limit=1)
    loaded_ours = [sample * factor for sample, factor in zip(ours, load, strict=False)]
    loaded_baseline = [baseline * factor for factor in load[: len(ours)]]
    row = Row("x", loaded_ours, loaded_baseline, "ms", limit=1)
    assert row.ratio == pytest.approx(quiet.ratio)


@pytest.mark.parametrize(
    ("ours", "baseline", "message"),
    [
        ([], [], "x: expected one sample of the baseline for each of ours, got 0 and 0"),
        ([1.0], [1.0, 2.0], "x: expected one sample of the baseline for each of ours, got 1 and 2"),
        ([1.0, 1.0], [1.0, 0.0], "x: expected samples of the baseline greater than 0, got 0"),
    ],
)
def test_samples_without_a_pair_are_rejected(ours: list[float], baseline: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Row("x", ours, baseline, "ms", limit=1)


@pytest.mark.parametrize(("grown", "ok"), [(-5.0, True), (20.0, True), (21.0, False)])
def test_growth_is_ok_up_to_its_limit(grown: float, ok: bool) -> None:
    row = Growth("x", grown, 10, "objects", reach=2.0)
    assert row.ok is ok
    assert (row.to_json()["each"], row.to_json()["ok"]) == (grown / 10, ok)
    assert ("GROWS" in str(row)) is not ok
