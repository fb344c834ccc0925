"""Tests of the pytest plugin in a user's project, with pytest-asyncio in strict mode."""

import subprocess
import sys

import pytest

from tests.support.project import OPTIONS
from tests.support.project import run_apart as run

pytest_plugins = ["pytester"]


def test_each_test_gets_own_mock_and_client(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import os
        import pytest

        seen = []
        fresh = pytest.mark.parametrize("time", [1, 2])

        @pytest.mark.asyncio
        @fresh
        async def test_mock_is_fresh_and_in_environment(odyssey_mock, time):
            assert os.environ["ODYSSEY_API_URL"] == odyssey_mock.url
            assert os.environ["ODYSSEY_API_KEY"] == odyssey_mock.api_key
            assert odyssey_mock.journal.entries == ()
            assert not odyssey_mock.streams
            odyssey_mock.faults.add(at="server", do="away", seconds=1)
            odyssey_mock.faults.clear()
            assert odyssey_mock.api_key not in seen
            seen.append(odyssey_mock.api_key)

        def test_environment_is_restored_after_test():
            assert "ODYSSEY_API_URL" not in os.environ
            assert "ODYSSEY_API_KEY" not in os.environ

        @pytest.mark.asyncio
        async def test_client_of_mock_is_not_connected(odyssey_client, odyssey_mock):
            assert not odyssey_client.is_connected
            assert odyssey_mock.journal.entries == ()
            await odyssey_client.connect()
            assert list(odyssey_mock.sessions) == [odyssey_client.current_session_id]
            seen.append(odyssey_client)

        def test_client_is_disconnected_after_test():
            assert not seen[-1].is_connected

        @pytest.mark.odyssey(fps=10, streamers=3)
        class TestMarkers:
            @pytest.mark.asyncio
            @pytest.mark.odyssey(fps=5, clock="manual")
            async def test_closest_marker_takes_precedence(self, odyssey_mock):
                assert (odyssey_mock.settings.fps, odyssey_mock.settings.streamers) == (5, 3)
                await odyssey_mock.aio.advance(3600)
        """,
    )
    result.assert_outcomes(passed=6)


def test_invalid_marker_fails_its_test(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest

        pytestmark = pytest.mark.asyncio

        @pytest.mark.odyssey(streamer=3)
        async def test_unknown_setting_is_reported(odyssey_mock):
            pass

        @pytest.mark.odyssey(fps=0)
        async def test_invalid_value_is_reported(odyssey_mock):
            pass

        @pytest.mark.odyssey("manual")
        async def test_positional_setting_is_reported(odyssey_mock):
            pass
        """,
    )
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(
        [
            "*unknown setting 'streamer'; did you mean 'streamers'? known: host, port, *",
            "*fps must be a whole number above 0, got 0",
            "*accepts only keyword arguments, got ('manual',)",
        ]
    )
    result.stdout.no_fnmatch_line("*plugin.py*")
    result.stdout.no_fnmatch_line("*During handling of the above exception*")


def test_marker_and_fixtures_appear_in_help(pytester: pytest.Pytester) -> None:
    markers = pytester.runpytest_inprocess(*OPTIONS, "--markers")
    markers.stdout.fnmatch_lines(["@pytest.mark.odyssey(*settings): settings of the odyssey_mock fixture*"])
    fixtures = pytester.runpytest_inprocess(*OPTIONS, "--fixtures")
    fixtures.stdout.fnmatch_lines(
        ["odyssey_mock [[]session scope] -- *", "*Provide a mock with new state for each test*"]
    )


def test_unused_plugin_imports_nothing_heavy(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import sys

        def test_it():
            heavy = {"starlette", "uvicorn", "pydantic", "aiortc", "av", "numpy", "PIL", "odyssey_client"}
            assert heavy & set(sys.modules) == set()
        """,
    )
    result.assert_outcomes(passed=1)


def test_plugin_loads_without_pytest_asyncio() -> None:
    code = (
        "import sys; sys.modules['pytest_asyncio'] = None\n"
        "import pytest, odyssey_mock.testing.plugin as plugin\n"
        "print(type(plugin.odyssey_mock).__name__)"
    )
    ran = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "FixtureFunctionDefinition"


def test_project_may_extend_the_fixture(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import httpx
        import pytest

        @pytest.fixture
        def odyssey_mock(odyssey_mock):
            odyssey_mock.faults.add(at="rest.auth.token", do="status", status=503)
            return odyssey_mock

        @pytest.mark.parametrize("time", [1, 2])
        def test_it(odyssey_mock, time):
            login = httpx.post(f"{odyssey_mock.url}/auth/token", json={"api_key": odyssey_mock.api_key})
            assert login.status_code == 503
            assert len(odyssey_mock.requests("POST /auth/token")) == 1
        """,
    )
    result.assert_outcomes(passed=2)


def test_only_the_address_starts_a_mock_too(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import os
        import httpx

        def test_it(odyssey_url):
            key = os.environ["ODYSSEY_API_KEY"]
            httpx.post(f"{odyssey_url}/auth/token", json={"api_key": key}).raise_for_status()
        """,
    )
    result.assert_outcomes(passed=1)


def test_state_of_previous_test_is_not_visible(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest

        class Seen:
            mock = None

        def test_first(odyssey_mock):
            Seen.mock = odyssey_mock

        def test_second():
            with pytest.raises(RuntimeError, match="add odyssey_mock to the arguments of the test"):
                Seen.mock.journal.entries
        """,
    )
    result.assert_outcomes(passed=2)
