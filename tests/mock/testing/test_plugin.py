"""Tests of the pytest plugin in a user's project, with pytest-asyncio in strict mode."""

import subprocess
import sys

import pytest

from tests.support.project import OPTIONS, run_new
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
            "*fps must be a whole number from 1 to 240, got 0",
            "*accepts only keyword arguments, got ('manual',)",
        ]
    )
    result.stdout.no_fnmatch_line("*plugin.py*")
    result.stdout.no_fnmatch_line("*During handling of the above exception*")


def test_fixtures_work_if_requested_later(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import os
        import pytest

        def of_this_test():
            '''
            >>> len(getfixture("odyssey_mock").journal.entries)
            0
            >>> getfixture("odyssey_mock").journal.record("note", "written").name
            'written'
            '''

        @pytest.mark.parametrize("name", ["odyssey_sync_client", "odyssey_api_key", "odyssey_mock"])
        def test_dynamic(request, name):
            request.getfixturevalue(name)
            mock = request.getfixturevalue("odyssey_mock")
            assert mock.journal.entries == ()
            assert os.environ["ODYSSEY_API_KEY"] == mock.api_key
            request.getfixturevalue("odyssey_sync_client").connect()

        @pytest.mark.asyncio
        async def test_client_of_mock(request, odyssey_mock):
            await request.getfixturevalue("odyssey_client").connect()

        def test_account(request):
            assert request.getfixturevalue("odyssey_account")(plan="free").api_key.startswith("ody_")
            assert len(request.getfixturevalue("odyssey_mock").journal.entries) == 0
        """,
        "--doctest-modules",
    )
    result.assert_outcomes(passed=6)


def test_fixture_that_is_requested_too_late_fails(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import threading
        import pytest
        from hypothesis import HealthCheck, given, settings, strategies

        @pytest.mark.asyncio
        async def test_client(request):
            request.getfixturevalue("odyssey_client")

        @settings(suppress_health_check=list(HealthCheck))
        @given(strategies.integers())
        def test_examples(request, number):
            request.getfixturevalue("odyssey_mock").url

        def test_other_thread(request):
            mock, errors = request.getfixturevalue("odyssey_mock"), []
            def use():
                try:
                    mock.url
                except RuntimeError as error:
                    errors.append(error)
            thread = threading.Thread(target=use)
            thread.start()
            thread.join()
            raise errors[0]
        """,
    )
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            "test_client must request odyssey_client before it begins, *: add odyssey_client to the arguments *",
            "with @given, the mock must be new for every example: add odyssey_mock to the arguments of test_examples",
            "E * odyssey_mock has new state for each test that requests it, and no such test is running: add *",
        ]
    )


def test_overridden_settings_apply_to_their_tests_only(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nodyssey_settings = fps = 24\nodyssey_clock = manual\n")
    result = run(
        pytester,
        """
        import pytest

        def shown(mock):
            return mock.settings.fps, mock.settings.clock, mock.settings.streamers

        def test_ini(odyssey_mock):
            assert shown(odyssey_mock) == (24, "manual", 100)

        class TestFixture:
            @pytest.fixture
            def odyssey_settings(self): return {"streamers": 3}

            @pytest.fixture
            def odyssey_clock(self): return "real"

            def test_class(self, odyssey_mock):
                assert shown(odyssey_mock) == (24, "real", 3)

        @pytest.mark.parametrize("odyssey_settings", [{"fps": 5}])
        def test_parameter(odyssey_settings, odyssey_mock):
            assert shown(odyssey_mock) == (5, "manual", 100)

        @pytest.mark.parametrize("odyssey_clock", ["real"], indirect=False)
        def test_other_parameter(odyssey_mock, odyssey_clock):
            assert shown(odyssey_mock) == (24, "real", 100)

        def test_ini_again(odyssey_mock):
            assert shown(odyssey_mock) == (24, "manual", 100)
        """,
    )
    result.assert_outcomes(passed=5)


def test_invalid_settings_of_all_tests_name_their_source(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nodyssey_clock = fast\n")
    result = run(
        pytester,
        """
        import pytest

        def test_ini(odyssey_mock): pass

        @pytest.mark.odyssey(clock="real", fps=0)
        def test_both(odyssey_mock): pass

        class TestFixture:
            @pytest.fixture
            def odyssey_settings(self): return None

            def test_none(self, odyssey_mock): pass
        """,
    )
    result.assert_outcomes(errors=3)
    everywhere = (
        "the fixtures or ini options odyssey_settings, odyssey_plan, odyssey_clock, odyssey_faults: clock must*"
    )
    given = 'the fixture odyssey_settings must return settings by name, such as {"stream_duration": 60}, got None'
    result.stdout.fnmatch_lines([everywhere, "@pytest.mark.odyssey: fps must *", given])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("odyssey_settings = fps: 5", "odyssey_settings: expected lines such as `stream_duration = 60`*'fps: 5'"),
        ("odyssey_settings =\n fps = 5\n fps = 6", "odyssey_settings: expected each setting once, got 'fps' twice"),
        ("odyssey_settings = keys = ody_hush", "odyssey_settings: expected lines such as *, got 'keys = ody_...'"),
        (
            'odyssey_faults = {"at": "ody_hush", "at": "x"}',
            'odyssey_faults: *once, got \'{"at": "ody_...", "at": "x"}\'',
        ),
    ],
)
def test_malformed_ini_line_stops_the_run(pytester: pytest.Pytester, lines: str, message: str) -> None:
    pytester.makeini(f"[pytest]\n{lines}\n")
    result = run(pytester, "def test_it(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


def test_marker_and_fixtures_appear_in_help(pytester: pytest.Pytester) -> None:
    markers = pytester.runpytest_inprocess(*OPTIONS, "--markers")
    markers.stdout.fnmatch_lines(["@pytest.mark.odyssey(*settings): settings of the odyssey_mock fixture*"])
    fixtures = pytester.runpytest_inprocess(*OPTIONS, "--fixtures")
    fixtures.stdout.fnmatch_lines(
        ["odyssey_mock [[]session scope] -- *", "*Provide a mock with new state for each test*"]
    )


def test_unused_plugin_imports_nothing_heavy(pytester: pytest.Pytester) -> None:
    result = run_new(
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
        def test_it(odyssey_mock, odyssey_url, odyssey_account, time):
            assert odyssey_url == odyssey_mock.url
            login = httpx.post(f"{odyssey_mock.url}/auth/token", json={"api_key": odyssey_mock.api_key})
            assert login.status_code == 503
            assert len(odyssey_mock.requests("POST /auth/token")) == 1
        """,
    )
    result.assert_outcomes(passed=2)


def test_url_of_the_fixture_is_the_public_url(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import httpx
        import pytest

        @pytest.mark.odyssey(public_url="https://example.com/mock/")
        def test_it(odyssey_mock):
            assert odyssey_mock.url == "https://example.com/mock"
            health = httpx.get(f"{odyssey_mock.listening_url}/_mock/health").json()
            assert health["url"] == odyssey_mock.url

        def test_next(odyssey_mock):
            assert odyssey_mock.url == odyssey_mock.listening_url
        """,
    )
    result.assert_outcomes(passed=2)


def test_url_fixture_alone_starts_a_mock(pytester: pytest.Pytester) -> None:
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
            odyssey_mock.journal.record("note", "first")

        def test_second():
            assert Seen.mock.journal.entries == ()
        """,
    )
    result.assert_outcomes(passed=2)


def test_clients_trust_the_mock_with_tls(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import os
        import pytest
        from hypothesis import HealthCheck, given, settings, strategies
        from odyssey_client.sync import Odyssey

        tls = pytest.mark.odyssey(tls=True, tls_dir="tls")

        @tls
        @pytest.mark.asyncio
        async def test_async_client_connects(odyssey_client, odyssey_mock):
            await odyssey_client.connect()
            assert os.environ["ODYSSEY_API_URL"] == odyssey_mock.url
            assert odyssey_mock.url.startswith("https://")

        @tls
        def test_sync_client_connects(odyssey_sync_client, odyssey_mock):
            odyssey_sync_client.connect()
            odyssey_mock.expect("session", to="connected")

        @tls
        @given(strategies.integers())
        @settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
        def test_every_example_has_the_address_of_its_mock(odyssey_mock, number):
            assert os.environ["ODYSSEY_API_URL"] == odyssey_mock.url
            with Odyssey() as client:
                client.list_simulations()

        def test_mock_without_tls_names_no_root(odyssey_mock):
            assert odyssey_mock.root_certificate is None
            assert "ODYSSEY_CA_FILE" not in os.environ
        """,
    )
    result.assert_outcomes(passed=4)
