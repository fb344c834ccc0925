"""Tests of what `odyssey-mock bench first-frame` measures."""

import pytest

from odyssey_mock.bench import first_frame


async def test_first_frames_of_both_sides_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_frame, "QUICK_ROUNDS", 2)
    (row,) = await first_frame.run(quick=True)
    assert (row.name, row.unit, row.limit) == ("first frame", "ms", 0.7)
    assert len(row.ours) == len(row.baseline) == 2
    assert min(*row.ours, *row.baseline) > 1, f"expected more than 1 ms, got {row.ours} and {row.baseline}"
