"""Tests of the budget of `pytest --odyssey-live` in projects of users. A mock stands for the service."""

# pytester unloads modules that were first imported while it ran. A mock that uses both copies of them fails.
import aiortc  # noqa: F401
import pytest

from odyssey_mock.sync import MockOdyssey
from tests.support.live_runs import LIVE, streamed, used
from tests.support.project import run_apart as run

pytest_plugins = ["pytester"]

LAG_S = 2.0
"""Maximum seconds by which the plugin may see the starts and ends of streams later than the service, under load.

The tests of the metered network check the exact seconds, with a clock of their own.
"""


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
