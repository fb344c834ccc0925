"""Tests of which tests of a project `pytest --odyssey-live` runs, and of their skips. A mock stands for the service."""

import socket

# pytester unloads modules that were first imported while it ran. A mock that uses both copies of them fails.
import aiortc  # noqa: F401
import pytest

from odyssey_mock.sync import MockOdyssey
from tests.support.live_runs import KEY, LIVE, used
from tests.support.project import run_apart as run

pytest_plugins = ["pytester"]


def test_all_kinds_of_tests_use_the_service(pytester: pytest.Pytester, service: MockOdyssey) -> None:
    result = run(
        pytester,
        """
        import os
        import unittest

        import pytest
        from odyssey_client import Odyssey

        @pytest.mark.asyncio
        async def test_asyncio(odyssey_client):
            await odyssey_client.connect()
            await odyssey_client.start_stream("A cat")

        @pytest.mark.anyio
        async def test_anyio(odyssey_client):
            await odyssey_client.connect()
            await odyssey_client.start_stream("A cat")

        def test_sync(odyssey_sync_client):
            odyssey_sync_client.connect()
            odyssey_sync_client.start_stream("A cat")

        class TestOfUnittest(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def use(self, odyssey_sync_client):
                self.client = odyssey_sync_client

            def test_unittest(self):
                self.client.connect()
                self.client.start_stream("A cat")

        def test_address(odyssey_url, odyssey_api_key):
            assert (odyssey_url, odyssey_api_key) == (os.environ["ODYSSEY_API_URL"], os.environ["ODYSSEY_API_KEY"])

        @pytest.mark.usefixtures("odyssey_mock")
        def test_own_client():
            assert Odyssey()._config.api_url == os.environ["ODYSSEY_API_URL"]

        @pytest.fixture(params=["asyncio"])
        def anyio_backend(request):
            return request.param
        """,
        LIVE,
    )
    result.assert_outcomes(passed=6)
    result.stdout.fnmatch_lines([f"odyssey live: {service.url}, 30 stream seconds"])
    assert len(service.streams) == 4
    assert list(service.sessions) == [], "expected the plugin to end all sessions"
    assert used(result) > 0


def test_fixtures_use_the_mock_without_the_option(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("ODYSSEY_API_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("ODYSSEY_API_KEY", KEY)
        result = run(
            pytester,
            """
            import pytest
            from odyssey_client.sync import Odyssey

            @pytest.mark.odyssey_live
            def test_only_live(odyssey_sync_client):
                odyssey_sync_client.connect()

            @pytest.mark.asyncio
            async def test_async_client(odyssey_client):
                await odyssey_client.connect()

            def test_sync_client(odyssey_sync_client, odyssey_mock, odyssey_url, odyssey_api_key):
                odyssey_sync_client.connect()
                assert odyssey_url == odyssey_mock.url
                assert odyssey_api_key == odyssey_mock.api_key

            def test_own_client():
                Odyssey().list_simulations()
            """,
            "--odyssey-live-seconds=5",
            "-o",
            "usefixtures=odyssey_mock",
            "-rs",
        )
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()

    result.assert_outcomes(passed=3, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * the test needs the real service: pytest --odyssey-live"])
    result.stdout.no_fnmatch_line("*stream seconds*")


def test_tests_that_need_a_mock_are_skipped(pytester: pytest.Pytester, service: MockOdyssey) -> None:
    result = run(
        pytester,
        """
        import pytest
        from odyssey_mock.testing import markers

        def test_mock(odyssey_mock): raise AssertionError

        def test_account(odyssey_account): raise AssertionError

        @pytest.fixture
        def app(odyssey_mock): raise AssertionError

        def test_fixture(app): raise AssertionError

        def test_journal(odyssey_mock, odyssey_sync_client):
            odyssey_mock.stream(odyssey_mock.url).reached("ended")
            odyssey_mock.journal.entries

        @pytest.mark.asyncio
        async def test_clock(odyssey_mock):
            await odyssey_mock.aio.advance(60)

        def test_passed_on(odyssey_mock):
            print(odyssey_mock, odyssey_mock.url)

        @markers.odyssey(clock="manual", fps=5)
        def test_settings(odyssey_sync_client): raise AssertionError

        @markers.odyssey_chaos()
        def test_chaos(odyssey_mock): raise AssertionError

        @markers.odyssey_sim()
        async def test_simulated(odyssey_sim): raise AssertionError

        class TestExtended:
            @pytest.fixture
            def odyssey_mock(self, odyssey_mock):
                odyssey_mock.faults.add(at="rest.auth.token", do="status", status=503)

            def test_extended(self, odyssey_sync_client): raise AssertionError

        class TestFaults:
            @pytest.fixture
            def odyssey_faults(self):
                return []

            def test_faults(self, odyssey_sync_client): raise AssertionError

        def test_later(request):
            mock = request.getfixturevalue("odyssey_mock")
            assert mock.url == request.getfixturevalue("odyssey_url")
            mock.advance(60)
            raise AssertionError

        @markers.odyssey(fps=5)
        def test_without_odyssey(): pass

        @markers.odyssey_live()
        def test_only_live(odyssey_sync_client):
            odyssey_sync_client.list_simulations()
        """,
        LIVE,
        "-rs",
    )
    result.assert_outcomes(passed=2, skipped=12)
    instead = "and needs a mock: use odyssey_url, odyssey_api_key and the clients if the service is enough"
    reasons = [line.partition(": ")[2] for line in result.outlines if line.startswith("SKIPPED")]
    assert sorted(reasons) == [
        f"the fixture app has the argument odyssey_mock, {instead}",
        "the fixture odyssey_mock uses odyssey_mock.faults, and only a mock has it",
        "the project overrides odyssey_faults, and only a mock has faults",
        "the test has the argument odyssey_account, and only a mock creates accounts",
        f"the test has the argument odyssey_mock, {instead}",
        "the test is marked odyssey(clock, fps), and only a mock has settings",
        "the test is marked odyssey_chaos, and only a mock has faults",
        "the test runs in simulated time, which needs a mock",
        "the test uses odyssey_mock.advance, and only a mock has it",
        "the test uses odyssey_mock.aio, and only a mock has it",
        "the test uses odyssey_mock.journal, odyssey_mock.stream, and only a mock has them",
    ]
    assert {line.split()[2].partition(":")[0] for line in result.outlines if line.startswith("SKIPPED")} == {
        "test_tests_that_need_a_mock_are_skipped.py"
    }
    assert not service.sessions


def test_address_of_mock_is_that_of_service(pytester: pytest.Pytester, service: MockOdyssey) -> None:
    result = run(
        pytester,
        """
        import unittest
        import httpx
        import pytest
        from hypothesis import HealthCheck, given, settings, strategies
        from odyssey_client.sync import Odyssey

        @pytest.fixture
        def client(odyssey_mock):
            with Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url) as client:
                yield client

        def test_fixture(client):
            client.list_simulations()

        class TestMethods:
            @pytest.mark.asyncio
            async def test_asyncio(self, odyssey_mock):
                async with httpx.AsyncClient(base_url=odyssey_mock.url) as http:
                    response = await http.post("/auth/token", json={"api_key": odyssey_mock.api_key})
                assert response.status_code == 200

        @settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
        @given(strategies.integers())
        def test_examples(odyssey_mock, number):
            httpx.get(odyssey_mock.url)

        class TestOfUnittest(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def _service(self, odyssey_mock):
                self.url = odyssey_mock.url

            def test_unittest(self):
                httpx.get(self.url)
        """,
        LIVE,
    )
    result.assert_outcomes(passed=4)
    assert len(service.requests("POST /auth/token")) == 3


def test_method_with_flush_left_text_is_read(pytester: pytest.Pytester, service: MockOdyssey) -> None:
    tests = """
import httpx

class TestIt:
    def test_address(self, odyssey_mock):
        text = '''
First line
'''
        assert httpx.get(odyssey_mock.url, headers={"X-Text": text.strip()})
"""
    run(pytester, tests, LIVE).assert_outcomes(passed=1)


def test_faults_of_the_ini_file_skip_tests(pytester: pytest.Pytester, service: MockOdyssey) -> None:
    pytester.makeini(
        """
        [pytest]
        odyssey_clock = manual
        odyssey_faults = {"at": "rest.auth.token", "do": "status", "status": 503}
        """
    )
    result = run(pytester, "def test_it(odyssey_sync_client): raise AssertionError", LIVE, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * odyssey_faults adds faults to all tests, and only a mock has faults"])


def test_settings_of_all_mocks_do_not_skip_tests(pytester: pytest.Pytester, service: MockOdyssey) -> None:
    pytester.makeini("[pytest]\nodyssey_settings = fps = 5\nodyssey_plan = free\nodyssey_clock = manual")
    result = run(pytester, "def test_it(odyssey_sync_client): odyssey_sync_client.list_simulations()", LIVE)
    result.assert_outcomes(passed=1)
