"""Tests of `pytest --odyssey-live` in projects of users. A mock in the test's process stands for the service."""

import re
import socket
import zipfile
from collections.abc import Iterator

# pytester unloads modules that were first imported while it ran. A mock that uses both copies of them fails.
import aiortc  # noqa: F401
import pytest

from odyssey_mock import AccountSettings
from odyssey_mock.sync import MockOdyssey
from tests.support.project import run_apart as run

pytest_plugins = ["pytester"]

KEY = "ody_4Jx9QmT2vB7cWd3e"
LIVE = "--odyssey-live"
LAG_S = 2.0
"""Maximum seconds by which the plugin may see the starts and ends of streams later than the service, under load.

The tests of the metered network check the exact seconds, with a clock of their own.
"""
SUMMARY = re.compile(r"([\d.]+) of ([\d.]+) stream seconds used, ([\d.]+) left")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockOdyssey]:
    """Run a service, to which the environment of the project points."""
    with MockOdyssey(keys={KEY: AccountSettings()}) as mock:
        monkeypatch.setenv("ODYSSEY_API_URL", mock.url)
        monkeypatch.setenv("ODYSSEY_API_KEY", mock.api_key)
        yield mock


def used(result: pytest.RunResult) -> float:
    """Return the stream seconds that the summary of a run states."""
    found = SUMMARY.search(result.stdout.str())
    assert found is not None, "expected a summary of the budget"
    return float(found[1])


def streamed(service: MockOdyssey) -> float:
    """Return the seconds of all live streams of a service, from their starts to their ends."""
    begun: dict[str, float] = {}
    seconds = 0.0
    for entry in service.journal.entries:
        if entry.kind == "state" and entry.name == "stream":
            stream = str(entry.stream)
            begun.setdefault(stream, entry.time)
            if entry.data["to"] in {"idle", "closed"}:
                seconds += entry.time - begun[stream]
    return seconds


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


def test_streams_are_counted_until_they_end(pytester: pytest.Pytester, service: MockOdyssey) -> None:
    # The process ends without the code that disconnects clients at exit, as a worker of pytest-xdist may.
    pytester.makeconftest("import os, sys\ndef pytest_unconfigure(): sys.stdout.flush(); os._exit(0)")
    result = run(
        pytester,
        """
        import itertools
        import pytest
        from hypothesis import given, settings, strategies
        from odyssey_client import Odyssey as AsyncOdyssey
        from odyssey_client.sync import Odyssey

        def watch(stream):
            for frame in itertools.islice(stream, 10):
                pass

        def test_ended(odyssey_sync_client):
            stream = odyssey_sync_client.connect()
            odyssey_sync_client.start_stream("A cat")
            watch(stream)
            odyssey_sync_client.end_stream()
            watch(stream)

        kept = []

        def test_sync_left_open(odyssey_url):
            client = Odyssey()
            kept.append(client)
            watch(client.connect())
            client.start_stream("A cat")
            raise RuntimeError

        @pytest.mark.asyncio(loop_scope="module")
        async def test_async_left_open(odyssey_url):
            client = AsyncOdyssey()
            kept.append(client)
            await client.connect()
            await client.start_stream("A cat")
            raise RuntimeError

        def test_both_are_ended(odyssey_url):
            assert [each.current_session_id for each in kept] == [None, None]

        def test_outside_of_fixtures():
            client = Odyssey()
            kept.append(client)
            client.connect()
            client.start_stream("A cat")
        """,
        LIVE,
    )
    result.assert_outcomes(passed=3, failed=2)
    assert len(service.streams) == 4
    assert list(service.sessions) == [], "expected the plugin to end all sessions"
    seconds = streamed(service)
    assert seconds > 0
    assert used(result) == pytest.approx(seconds, abs=LAG_S)


def test_session_of_a_fixture_ends_with_the_fixture(pytester: pytest.Pytester, service: MockOdyssey) -> None:
    result = run(
        pytester,
        """
        import asyncio
        import pytest
        import pytest_asyncio

        @pytest_asyncio.fixture
        async def connected(odyssey_client):
            await odyssey_client.connect()
            await odyssey_client.start_stream("A cat")
            yield odyssey_client
            await odyssey_client.end_stream()
            await odyssey_client.disconnect()

        @pytest.mark.asyncio
        async def test_async(connected):
            await connected.interact("Pet the cat")

        @pytest_asyncio.fixture
        async def connected_in_a_thread(odyssey_sync_client):
            await asyncio.to_thread(odyssey_sync_client.connect)
            yield odyssey_sync_client
            assert odyssey_sync_client.is_connected

        @pytest.mark.asyncio
        async def test_thread(connected_in_a_thread): pass

        @pytest.mark.asyncio
        async def test_connected_by_the_test(odyssey_sync_client):
            await asyncio.to_thread(odyssey_sync_client.connect)

        @pytest.fixture
        def connected_sync(odyssey_sync_client):
            odyssey_sync_client.connect()
            odyssey_sync_client.start_stream("A cat")
            yield
            odyssey_sync_client.end_stream()

        def test_sync(connected_sync): pass
        """,
        LIVE,
        "-o",
        "odyssey_leftovers=error",
    )
    result.assert_outcomes(passed=4)
    assert list(service.sessions) == []


def test_clients_of_other_plugins_are_counted(pytester: pytest.Pytester, service: MockOdyssey) -> None:
    pytester.makeconftest(
        """
        from odyssey_client.sync import Odyssey

        def pytest_configure(config):
            config.client = Odyssey()
        """
    )
    result = run(
        pytester,
        """
        from odyssey_client import Script

        def test_it(pytestconfig):
            pytestconfig.client.simulate(script=Script().start("A cat").wait(4).end())
        """,
        LIVE,
    )
    result.assert_outcomes(passed=1)
    assert used(result) == 4


def test_session_left_open_is_a_leftover(pytester: pytest.Pytester, service: MockOdyssey) -> None:
    result = run(
        pytester,
        """
        from odyssey_client.sync import Odyssey

        kept = Odyssey()

        def test_it(odyssey_url):
            kept.connect()
        """,
        LIVE,
        "-o",
        "odyssey_leftovers=error",
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*left behind: a live session was still open, and was ended: call disconnect()*"])


def test_budget_ends_streams_and_skips_tests(pytester: pytest.Pytester, service: MockOdyssey) -> None:
    result = run(
        pytester,
        """
        import pytest
        from odyssey_client.sync import Odyssey

        @pytest.mark.asyncio
        async def test_watches_until_the_end(odyssey_client):
            stream = await odyssey_client.connect()
            await odyssey_client.start_stream("A cat")
            async for frame in stream:
                pass
            assert odyssey_client.current_status == "disconnected"

        def test_is_skipped(odyssey_sync_client):
            raise AssertionError

        def test_start_is_denied():
            with Odyssey() as client:
                client.connect()
                client.start_stream("A dog")

        def test_needs_no_service(): pass
        """,
        LIVE,
        "--odyssey-live-seconds=1.5",
        "-rs",
    )
    result.assert_outcomes(passed=2, skipped=2)
    reason = "the budget of 1.5 stream seconds is used up; --odyssey-live-seconds raises it"
    file = "test_budget_ends_streams_and_skips_tests.py"
    result.stdout.fnmatch_lines([f"SKIPPED * {file}: {reason}", f"SKIPPED * {file}:15: {reason}"])
    result.stdout.fnmatch_lines(["*1.5 stream seconds used, 0.0 left"])
    assert len(service.streams) == 1
    assert used(result) == pytest.approx(streamed(service), abs=LAG_S)


def test_failure_after_the_budget_is_a_skip(pytester: pytest.Pytester, service: MockOdyssey) -> None:
    result = run(
        pytester,
        """
        def test_it(odyssey_sync_client):
            stream = odyssey_sync_client.connect()
            odyssey_sync_client.start_stream("A cat")
            for frame in stream:
                pass
            odyssey_sync_client.interact("Pet the cat")
        """,
        LIVE,
        "--odyssey-live-seconds=0.5",
        "-rs",
    )
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        ["SKIPPED * the stream of the test was ended: the budget of 0.5 stream seconds is used up; *"]
    )


def test_teardown_after_the_budget_is_a_skip(pytester: pytest.Pytester, service: MockOdyssey) -> None:
    result = run(
        pytester,
        """
        import pytest

        @pytest.fixture
        def stream(odyssey_sync_client):
            stream = odyssey_sync_client.connect()
            odyssey_sync_client.start_stream("A cat")
            yield stream
            odyssey_sync_client.end_stream()

        def test_ended(stream):
            for frame in stream:
                pass
        """,
        LIVE,
        "--odyssey-live-seconds=0.5",
        "-rs",
    )
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(
        ["SKIPPED * the stream of the test was ended: the budget of 0.5 stream seconds is used up; *"]
    )


def test_leftover_after_the_budget_is_an_error(pytester: pytest.Pytester, service: MockOdyssey) -> None:
    result = run(
        pytester,
        """
        from odyssey_client import Script
        from odyssey_client.sync import Odyssey

        kept = Odyssey()

        def test_it(odyssey_sync_client):
            kept.connect()
            try:
                odyssey_sync_client.simulate(script=Script().start("A cat").wait(4).end())
            except BaseException:
                pass
        """,
        LIVE,
        "--odyssey-live-seconds=1",
        "-o",
        "odyssey_leftovers=error",
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*left behind: a live session was still open*"])


def test_simulations_are_counted_by_their_length(pytester: pytest.Pytester, service: MockOdyssey) -> None:
    result = run(
        pytester,
        """
        from odyssey_client import Script

        def script(seconds):
            return Script().start("A cat").wait(seconds).end()

        def test_two(odyssey_sync_client):
            odyssey_sync_client.simulate(scripts=[script(3), script(2.5)])

        def test_too_long(odyssey_sync_client):
            odyssey_sync_client.simulate(script=script(5))

        def test_of_a_url(odyssey_sync_client):
            odyssey_sync_client.simulate(script_url="https://example.com/script.json")
        """,
        LIVE,
        "--odyssey-live-seconds=10",
        "-rs",
    )
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * a simulation of 5 s needs more than what is left (4.5 s): the budget *"])
    result.stdout.fnmatch_lines(["5.5 of 10 stream seconds used, 4.5 left"])
    assert len(service.jobs) == 2


def test_own_mock_of_a_test_is_not_counted(pytester: pytest.Pytester, service: MockOdyssey) -> None:
    result = run(
        pytester,
        """
        from odyssey_client.sync import Odyssey
        from odyssey_mock.sync import MockOdyssey

        def test_it(odyssey_url):
            with MockOdyssey() as mock, Odyssey(mock.api_key, api_url=mock.url) as client:
                client.connect()
                client.start_stream("A cat")
        """,
        LIVE,
    )
    result.assert_outcomes(passed=1)
    assert used(result) == 0


def test_workers_share_the_budget(pytester: pytest.Pytester, service: MockOdyssey) -> None:
    result = run(
        pytester,
        """
        import pytest

        @pytest.mark.parametrize("number", range(4))
        def test_it(odyssey_sync_client, number):
            stream = odyssey_sync_client.connect()
            odyssey_sync_client.start_stream("A cat")
            for frame in stream:
                pass
        """,
        LIVE,
        "--odyssey-live-seconds=2",
        "-n2",
        "-rs",
    )
    result.assert_outcomes(passed=2, skipped=2)
    result.stdout.fnmatch_lines(["SKIPPED * the share of this worker, 1 of 2 stream seconds, is used up; *"])
    assert used(result) >= 2
    assert used(result) == pytest.approx(streamed(service), abs=LAG_S)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ODYSSEY_API_KEY": ""}, "* api_key cannot be empty, but the environment variable ODYSSEY_API_KEY is empty.*"),
        ({"ODYSSEY_API_KEY": "no-key"}, "expected the service at * to accept the key in ODYSSEY_API_KEY, got: *"),
        ({"ODYSSEY_API_KEY": "ody_invalid_9fKq2LxT"}, "expected the service at * to accept the key *, got: *"),
        ({"ODYSSEY_API_URL": "http://127.0.0.1:9"}, "expected the service at http://127.0.0.1:9 to accept the key *"),
    ],
)
def test_run_without_usable_service_stops_at_once(
    pytester: pytest.Pytester,
    service: MockOdyssey,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    message: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    result = run(pytester, "def test_it(odyssey_sync_client): pass", LIVE)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --odyssey-live: {message}"])
    assert len([line for line in result.errlines if line]) == 1
    assert (variables.get("ODYSSEY_API_KEY") or KEY) not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize("seconds", ["0", "soon"])
def test_invalid_budget_stops_the_run(pytester: pytest.Pytester, service: MockOdyssey, seconds: str) -> None:
    result = run(pytester, "def test_it(): pass", LIVE, f"--odyssey-live-seconds={seconds}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    message = f"--odyssey-live-seconds: expected a number of seconds above 0, got '{seconds}'"
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


def test_budget_of_the_ini_file_is_used(pytester: pytest.Pytester, service: MockOdyssey) -> None:
    pytester.makeini("[pytest]\nodyssey_live_seconds = 12")
    result = run(pytester, "def test_it(): pass", LIVE)
    result.stdout.fnmatch_lines(["0.0 of 12 stream seconds used, 12.0 left"])


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["here", "worker"])
def test_key_never_appears_in_the_output(
    pytester: pytest.Pytester, service: MockOdyssey, workers: tuple[str, ...]
) -> None:
    result = run(
        pytester,
        """
        import logging
        import os
        import sys

        import pytest

        def test_compared(odyssey_api_key):
            assert odyssey_api_key == odyssey_api_key[::-1]

        def test_printed(odyssey_api_key):
            print(odyssey_api_key)
            print(odyssey_api_key, file=sys.stderr)
            logging.warning(odyssey_api_key)
            raise ValueError(odyssey_api_key)

        def test_local(odyssey_sync_client):
            key = os.environ["ODYSSEY_API_KEY"]
            odyssey_sync_client.no_such_method(key)

        def test_subtest(odyssey_api_key, subtests):
            with subtests.test("fails"):
                print(odyssey_api_key)
                print(odyssey_api_key, file=sys.stderr)
                logging.warning(odyssey_api_key)
                raise ValueError(odyssey_api_key)

        def test_skipped(odyssey_api_key, record_property):
            record_property("key", odyssey_api_key)
            pytest.skip(odyssey_api_key)

        @pytest.mark.xfail
        def test_expected(odyssey_api_key):
            raise ValueError(odyssey_api_key)
        """,
        LIVE,
        "--showlocals",
        "-vv",
        "-rA",
        "--xfail-tb",
        "--junitxml=report.xml",
        "-o",
        "junit_family=xunit1",
        *workers,
    )
    result.assert_outcomes(failed=5, skipped=1, xfailed=1)
    texts = [result.stdout.str(), result.stderr.str(), (pytester.path / "report.xml").read_text()]
    assert [KEY in text for text in texts] == [False, False, False]
    for path in (pytester.path / "odyssey-traces").iterdir():
        with zipfile.ZipFile(path) as trace:
            assert [name for name in trace.namelist() if KEY.encode() in trace.read(name)] == []


def test_key_is_masked_in_errors_of_imports(pytester: pytest.Pytester, service: MockOdyssey) -> None:
    result = run(
        pytester,
        """
        import os

        print(os.environ["ODYSSEY_API_KEY"])
        raise ValueError(os.environ["ODYSSEY_API_KEY"])
        """,
        LIVE,
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["E   ValueError: [*][*][*]"])
    assert KEY not in result.stdout.str()


@pytest.mark.parametrize("listing", ["--collect-only", "--fixtures"])
def test_listing_needs_neither_service_nor_key(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, listing: str
) -> None:
    monkeypatch.delenv("ODYSSEY_API_KEY", raising=False)
    result = run(pytester, "def test_it(odyssey_sync_client): pass", LIVE, listing)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*stream seconds*used*")
