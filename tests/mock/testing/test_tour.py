"""Tests that chaos runs find weaknesses planted in the sample application `tests/support/tour.py`."""

import json

import pytest

from tests.support.pages import ROOT
from tests.support.project import run_apart

pytest_plugins = ["pytester"]

POINTS = [
    "rest.sessions.request:status",
    "peer.connected:close*",
    "stream.interact:silent",
    "stream.running:error",
    "server",
]

FOUND = {
    "no timeout": {"stream.interact: silent": "hung"},
    "ignores stream errors": {"stream.running: error internal_error": "failed"},
    "does not reconnect": {"peer.connected: close": "failed", "peer.connected: close_channels": "failed"},
}
"""For each weakness, faults under which the application fails or hangs, with the verdict. Others may fail too."""


def test_runs_find_each_planted_weakness(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run_apart(
        pytester,
        f"""
        import pytest
        from tests.support.tour import WEAKNESSES, Tour

        pytestmark = [
            pytest.mark.asyncio,
            pytest.mark.odyssey(portrait_size=(176, 320)),
            pytest.mark.odyssey_chaos(points={POINTS}, time_limit=10),
        ]

        @pytest.mark.parametrize("weakness", WEAKNESSES)
        async def test_weak(odyssey_mock, weakness):
            await Tour([weakness]).run()

        async def test_corrected(odyssey_mock):
            await Tour().run()
        """,
        "-n2",
        "--odyssey-chaos-report=report.json",
    )
    tests = json.loads((pytester.path / "report.json").read_text())["tests"]
    found = {
        test["test"].partition("::")[2]: {
            run["fault"]: run["verdict"] for run in test["runs"] if run["verdict"] != "passed"
        }
        for test in tests
    }
    assert found.pop("test_corrected") == {}
    for weakness, expected in FOUND.items():
        assert found[f"test_weak[{weakness}]"].items() >= expected.items()
