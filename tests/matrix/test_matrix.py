"""The fault matrix: every fault there is, under every call that it can hit (`docs/fault-matrix.md` is the same table).

No cell hangs, and after none of them anything is left: no task, no thread, no socket, no slot of the mock
(`tests/matrix/stage.py` sees to both).
"""

from pathlib import Path

import pytest

from odyssey_mock.faults.catalog import POINTS
from tests.matrix.calls import CALLS
from tests.matrix.stage import described, played
from tests.matrix.table import CELLS, NOT_FELT, WITHIN_S, Cell


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.fault} | {cell.call}")
async def test_a_call_under_a_fault(cell: Cell, tmp_path: Path) -> None:
    outcome = await played(cell.fault, cell.call, tmp_path, limit=cell.limit, recovers=cell.recovers)

    assert (outcome.result, outcome.status, outcome.told) == (cell.result, cell.status, cell.told)
    assert outcome.seconds <= WITHIN_S


def test_every_action_at_every_point_is_in_the_matrix() -> None:
    there_are = {(point, action) for point, what in POINTS.items() for action in what.actions}
    played_here = {(fault["at"], fault["do"]) for fault in (described(cell.fault) for cell in CELLS)}

    assert played_here == there_are - set(NOT_FELT)


def test_every_call_is_in_the_matrix() -> None:
    assert {cell.call for cell in CELLS} == set(CALLS)
