"""Tests of the faults that a user's tests set with the marker `odyssey`."""

import subprocess
import sys

import pytest

from tests.support.project import run_apart

pytest_plugins = ["pytester"]


def test_marker_sets_faults_and_reports_invalid_ones(
    pytester: pytest.Pytester,
) -> None:
    result = run_apart(
        pytester,
        """
        import httpx
        import pytest

        pytestmark = pytest.mark.asyncio

        @pytest.mark.odyssey(faults=[{"at": "whep.config", "do": "status", "status": 503, "times": 1}])
        async def test_fault_fires_only_once(odyssey_mock):
            async with httpx.AsyncClient(trust_env=False) as http:
                statuses = [(await http.get(f"{odyssey_mock.url}/config")).status_code for _ in range(2)]
            assert statuses == [503, 200]

        @pytest.mark.odyssey(faults=[{"at": "whep.configs", "do": "status", "status": 503}])
        async def test_unknown_point_is_reported(odyssey_mock):
            pass

        @pytest.mark.odyssey(faults={"at": "whep.config"})
        async def test_missing_list_is_reported(odyssey_mock):
            pass
        """,
    )
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*@pytest.mark.odyssey: unknown fault point 'whep.configs'; did you mean 'whep.config'[?] known: *",
            "*@pytest.mark.odyssey: faults must be a list of faults, each an object with `at` and `do`, *",
        ]
    )
    result.stdout.no_fnmatch_line("*plugin.py*")


def test_plugin_does_not_import_hypothesis() -> None:
    code = "import sys, odyssey_mock.testing.plugin, odyssey_mock.server; print('hypothesis' in sys.modules)"
    ran = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
