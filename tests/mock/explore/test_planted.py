"""Tests that the explorer finds bugs that are planted on purpose, and reproduces them from their seeds."""

from __future__ import annotations

from itertools import chain

import pytest

from odyssey_mock.explore.explorer import play
from tests.support.explore.planted import DEFECTS, RULES, Defect

SEEDS = 2000
"""Maximum number of seeds that are run to find a bug. The first one, `shown_by`, suffices until scenarios change."""


@pytest.mark.timeout(900)  # after a change of the scenarios, the search may need all seeds
@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_planted_bug_is_found_and_reproduced(defect: Defect) -> None:
    with defect.planted():
        # The seeds before `shown_by` run last: they matter only if the scenarios have changed.
        seeds = chain(range(defect.shown_by, SEEDS), range(defect.shown_by))
        found = next((outcome for outcome in map(play, seeds) if outcome.failures), None)
        assert found is not None, (
            f"expected one of {SEEDS} seeds to fail because of this bug: {defect.suffers}; got none"
        )
        assert {failure.rule for failure in found.failures} <= RULES
        assert found.failures[0].rule in defect.rules, (
            f"expected seed {found.seed} to fail because of this bug: {defect.suffers}; got {found.failures}"
        )
        replayed = play(found.seed, keeps_log=True)

    assert replayed.failures == found.failures
    assert play(found.seed).failures == ()


def test_planted_bug_ends_with_its_block() -> None:
    before = play(0, keeps_log=True)
    for defect in DEFECTS:
        with defect.planted():
            pass
    assert play(0, keeps_log=True) == before


def test_planted_bugs_have_distinct_descriptions() -> None:
    assert len({defect.name for defect in DEFECTS}) == len({defect.suffers for defect in DEFECTS}) == len(DEFECTS)
