"""Faults by the marker, in a project of its user's own."""

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

OPTIONS = ("-p", "no:cacheprovider", "-W", "error", "-o", "asyncio_default_fixture_loop_scope=function")


def test_a_marker_has_the_faults_of_its_test_and_a_wrong_one_fails_it_in_clear_words(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        import httpx
        import pytest

        pytestmark = pytest.mark.asyncio

        @pytest.mark.odyssey(faults=[{"at": "whep.config", "do": "status", "status": 503, "times": 1}])
        async def test_it_fails_once(odyssey_mock):
            async with httpx.AsyncClient(trust_env=False) as http:
                statuses = [(await http.get(f"{odyssey_mock.url}/config")).status_code for _ in range(2)]
            assert statuses == [503, 200]

        @pytest.mark.odyssey(faults=[{"at": "whep.configs", "do": "status", "status": 503}])
        async def test_a_wrong_point(odyssey_mock):
            pass

        @pytest.mark.odyssey(faults={"at": "whep.config"})
        async def test_no_list(odyssey_mock):
            pass
        """
    )
    result = pytester.runpytest_subprocess(*OPTIONS, timeout=120)
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*@pytest.mark.odyssey: unknown fault point 'whep.configs'; did you mean 'whep.config'[?] known: *",
            "*@pytest.mark.odyssey: faults must be a list of faults, each an object with `at` and `do`, *",
        ]
    )
    result.stdout.no_fnmatch_line("*plugin.py*")


def test_the_strategies_are_not_loaded_by_who_does_not_use_them() -> None:
    code = "import sys, odyssey_mock.testing.plugin, odyssey_mock.server; print('hypothesis' in sys.modules)"
    ran = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
