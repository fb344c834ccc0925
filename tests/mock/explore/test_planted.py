"""The explorer can fail: it finds defects that are planted, soon, and finds them again from their seeds."""

from __future__ import annotations

from itertools import chain

import pytest

from odyssey_mock.explore.explorer import play
from tests.support.explore.planted import DEFECTS, RULES, Defect

SEEDS = 2000
"""Within so many every one is to be found; all are found within a tenth of it."""


@pytest.mark.timeout(900)  # should seeds have become other lives, all of them may have to be lived
@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_planted_defect_is_found_and_replays_from_its_seed(defect: Defect) -> None:
    with defect.planted():
        seeds = chain(range(defect.shown_by, SEEDS), range(defect.shown_by))  # those before it show nothing, in minutes
        found = next((outcome for outcome in map(play, seeds) if outcome.failures), None)
        assert found is not None, f"{SEEDS} scenarios were played, and none has shown that {defect.suffers}"
        assert {failure.rule for failure in found.failures} <= RULES
        assert found.failures[0].rule in defect.rules, f"seed {found.seed}, where {defect.suffers}: {found.failures}"
        replayed, once_more = (play(found.seed, keeps_trace=True) for _ in range(2))

    assert replayed.failures == once_more.failures == found.failures
    assert replayed.trace_hash == once_more.trace_hash
    assert play(found.seed).failures == ()


def test_a_planted_defect_is_gone_with_its_block() -> None:
    """Each breaks one thing, and only while its block lasts: the scenarios before and after it are the same."""
    before = play(0, keeps_trace=True)
    for defect in DEFECTS:
        with defect.planted():
            pass
    assert play(0, keeps_trace=True) == before


def test_every_defect_is_told_apart() -> None:
    assert len({defect.name for defect in DEFECTS}) == len({defect.suffers for defect in DEFECTS}) == len(DEFECTS)
