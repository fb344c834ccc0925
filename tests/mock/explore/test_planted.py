"""Tests that the explorer finds planted bugs, and reproduces them from their seeds."""

from __future__ import annotations

from itertools import chain

import pytest

from odyssey_mock.explore.explorer import play
from tests.support.explore.planted import DEFECTS, RULES, Defect

SEEDS = 2000
"""Number of seeds that must suffice to find a bug; a tenth suffices today."""


@pytest.mark.timeout(900)  # if scenarios have changed, the search may need all seeds
@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_planted_bug_is_found_and_reproduced(defect: Defect) -> None:
    with defect.planted():
        seeds = chain(range(defect.shown_by, SEEDS), range(defect.shown_by))  # earlier seeds last, they take minutes
        found = next((outcome for outcome in map(play, seeds) if outcome.failures), None)
        assert found is not None, f"expected a failure in {SEEDS} scenarios, got none although {defect.suffers}"
        assert {failure.rule for failure in found.failures} <= RULES
        assert found.failures[0].rule in defect.rules, f"seed {found.seed}, in which {defect.suffers}: {found.failures}"
        replayed, once_more = (play(found.seed, keeps_trace=True) for _ in range(2))

    assert replayed.failures == once_more.failures == found.failures
    assert replayed.trace_hash == once_more.trace_hash
    assert play(found.seed).failures == ()


def test_planted_bug_ends_with_its_block() -> None:
    before = play(0, keeps_trace=True)
    for defect in DEFECTS:
        with defect.planted():
            pass
    assert play(0, keeps_trace=True) == before


def test_planted_bugs_have_distinct_descriptions() -> None:
    assert len({defect.name for defect in DEFECTS}) == len({defect.suffers for defect in DEFECTS}) == len(DEFECTS)
