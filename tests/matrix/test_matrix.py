"""Tests of every cell of the fault matrix: each fault, during each client call that it affects.

`docs/reference/fault-matrix.md` shows the matrix. `tests/matrix/stage.py` also checks that no cell hangs, or leaks a
task, a thread, a socket or a session of the mock.
"""

from pathlib import Path

import pytest

from odyssey_mock.faults.catalog import POINTS
from tests.matrix.calls import CALLS
from tests.matrix.stage import described, played
from tests.matrix.table import CELLS, NOT_FELT, WITHIN_S, Cell


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.fault} | {cell.call}")
async def test_call_under_fault_has_expected_outcome(cell: Cell, tmp_path: Path) -> None:
    outcome = await played(cell.fault, cell.call, tmp_path, limit=cell.limit, recovers=cell.recovers)

    assert (outcome.result, outcome.status, outcome.told) == (cell.result, cell.status, cell.told)
    assert outcome.seconds <= WITHIN_S


def test_matrix_has_every_action_at_every_point() -> None:
    there_are = {(point, action) for point, what in POINTS.items() for action in what.actions}
    played_here = {(fault["at"], fault["do"]) for fault in (described(cell.fault) for cell in CELLS)}

    assert played_here == there_are - set(NOT_FELT)


def test_matrix_has_every_call() -> None:
    assert {cell.call for cell in CELLS} == set(CALLS)
