"""Tests of `docs/reference/chaos-official-clients.md`, and of the script and the session that produce its results."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.chaos_runs.plan import faults_at
from odyssey_mock.chaos_runs.results import Run, Verdict
from odyssey_mock.faults.catalog import POINTS
from tests.support.chaos_session import run_session
from tests.support.pages import ROOT

SESSION = {
    name
    for name in POINTS
    if name.startswith(("rest.auth", "rest.regions", "rest.sessions", "rest.telemetry", "signaling", "peer", "stream"))
} - {"stream.broadcast"} | {"server"}
"""The fault points that a live session without spectators reaches."""


@pytest.fixture
def script() -> ModuleType:
    """Import `scripts/chaos_clients.py`, and return the module."""
    spec = importlib.util.spec_from_file_location("chaos_clients", ROOT / "scripts" / "chaos_clients.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_page_has_row_for_each_planned_fault(script: ModuleType) -> None:
    rows = script.rows(script.PAGE.read_text())
    planned = [fault.name for fault in faults_at(SESSION)]
    assert list(rows) == planned, (
        "expected one row for each planned fault, in the order of the plan, "
        f"got missing rows {sorted(set(planned) - set(rows))} and surplus rows {sorted(set(rows) - set(planned))}; "
        "for a missing row, run: python scripts/chaos_clients.py 'POINT:ACTION'"
    )
    assert all(set(results) == {"odyssey_client", "JavaScript"} for results in rows.values())


def test_page_can_be_read_and_written_again(script: ModuleType) -> None:
    text = script.PAGE.read_text()
    assert script.page(script.rows(text)) == text


@pytest.mark.parametrize(
    ("verdict", "reason", "cell"),
    [
        ("passed", "", "survived"),
        ("failed", "exit status 1: connect: PeerError(peer_failed)", "failed: connect: PeerError(peer_failed)"),
        ("hung", "did not end within 40 s: interact", "hung: interact"),
        ("not reached", "(the fault did not act)", "not reached"),
    ],
)
def test_cell_shows_call_and_error(script: ModuleType, verdict: Verdict, reason: str, cell: str) -> None:
    run = Run(test="", fault="", point="", action="", verdict=verdict, seconds=1.0, reason=reason)
    assert script.outcome(run) == cell


async def test_session_of_odyssey_client_succeeds(odyssey_mock: MockOdyssey) -> None:
    status, lines = await run_session(Path(__file__).with_name("chaos_session.py"))
    assert (status, lines[0], lines[-1]) == (0, "connect", "disconnect")
    assert set(odyssey_mock.faults.reached) == SESSION
