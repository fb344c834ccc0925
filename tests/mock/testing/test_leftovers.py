"""Tests of the leftover report (sessions, tasks, unused faults and so on), and of requests after the end of a test."""

import re
import textwrap

import pytest

from tests.support.project import OPTIONS, run_fork

pytest_plugins = ["pytester"]

TESTS = """
import asyncio
import threading

import httpx
import pytest

from odyssey_client import Odyssey

kept = []


@pytest.mark.asyncio
async def test_session(odyssey_mock):
    client = Odyssey()
    await client.connect()
    kept.append(client)


def test_fault(odyssey_mock):
    odyssey_mock.faults.add(at="rest.auth.token", do="status", status=503)


@pytest.mark.asyncio
async def test_call(odyssey_mock, odyssey_client):
    await odyssey_client.connect()
    await odyssey_client.start_stream("A cat")
    odyssey_mock.faults.add(at="stream.interact", do="silent")
    kept.append(asyncio.create_task(odyssey_client.interact("Pet the cat")))
    await odyssey_mock.aio.wait_for("fault", "stream.interact")


@pytest.mark.asyncio
async def test_task(odyssey_mock):
    kept.append(asyncio.create_task(asyncio.Event().wait()))

    async def forever():
        await asyncio.Event().wait()

    kept.append(asyncio.create_task(forever()))
    await asyncio.sleep(0)


def test_thread(odyssey_mock):
    stop = threading.Event()
    kept.append(stop)
    threading.Thread(target=stop.wait, name="worker", daemon=True).start()


def test_request(odyssey_mock):
    def ask():
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{odyssey_mock.url}/regions", trust_env=False)

    odyssey_mock.faults.add(at="rest.regions.list", do="no_answer")
    threading.Thread(target=ask, name="asyncio_ask").start()
    odyssey_mock.wait_for("fault", "rest.regions.list")
"""

REPORTED = {
    "test_session": r"the session \S+ is connected, but was not ended: call disconnect\(\)",
    "test_fault": r"the fault at rest\.auth\.token \(status\) never fired \(rest\.auth\.token was not reached "
    r"since the fault was added\): remove it, or let the test reach it",
    "test_call": r"the call interact\(\) is still pending: await it or cancel it",
    "test_task": r"the task test_task\.<locals>\.forever\(\) is still running: await it or cancel it",
    "test_thread": r"the thread 'worker' is still running: join\(\) it",
    "test_request": r"GET /regions still waits for its response",
}

TIDY = """
import asyncio
import threading

import httpx
import pytest

from odyssey_client import Odyssey


@pytest.fixture
def client(odyssey_mock):
    return Odyssey()


@pytest.mark.asyncio
async def test_everything_ended(odyssey_mock, odyssey_client, client):
    await odyssey_client.connect()
    async with client:
        await client.connect()
    task = asyncio.create_task(asyncio.sleep(10))
    task.cancel()
    thread = threading.Thread(target=threading.Event().wait, args=[0.01])
    thread.start()
    thread.join()
    odyssey_mock.faults.add(at="whep.config", do="status", status=503)
    await asyncio.to_thread(httpx.get, f"{odyssey_mock.url}/config", trust_env=False)


def test_sync_client_ended(odyssey_sync_client):
    odyssey_sync_client.connect()


def test_failed_test_is_not_blamed(odyssey_mock):
    odyssey_mock.faults.add(at="whep.config", do="status", status=503)
    raise ValueError("raised by the test")


@pytest.mark.asyncio
async def test_cancelled_task_ended(odyssey_mock):
    async def forever():
        await asyncio.Event().wait()

    task = asyncio.create_task(forever())
    await asyncio.sleep(0)
    task.cancel()


@pytest.mark.asyncio
async def test_client_ended_in_outage(odyssey_mock, odyssey_client):
    await odyssey_client.connect()
    await odyssey_mock.aio.go_away()
    await odyssey_client.disconnect()


def test_request_was_given_up(odyssey_mock):
    odyssey_mock.faults.add(at="rest.regions.list", do="no_answer")
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{odyssey_mock.url}/regions", timeout=0.1, trust_env=False)


REGIONS = {"at": "rest.regions.list", "do": "status", "status": 503}


@pytest.mark.odyssey(faults=[REGIONS])
def test_fault_fired_before_reset(odyssey_mock):
    assert httpx.get(f"{odyssey_mock.url}/regions", trust_env=False).status_code == 503
    odyssey_mock.reset()


@pytest.mark.odyssey(faults=[REGIONS | {"probability": 0.001}])
def test_rare_fault_may_not_fire(odyssey_mock): pass


@pytest.mark.odyssey(faults=[REGIONS])
class TestClass:
    def test_fault_of_the_class_may_not_fire(self, odyssey_mock): pass


@pytest.fixture(scope="module")
def server(odyssey_url):
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    yield
    stop.set()
    thread.join()


def test_thread_of_the_module_ends_later(server, odyssey_mock): pass


@pytest.mark.asyncio
async def test_nothing_left_for_the_next(odyssey_mock):
    assert odyssey_mock.journal.entries == ()
    assert len(odyssey_mock.faults) == 0
    assert odyssey_mock.sessions == {}
"""

LATE = """
import threading

import httpx

kept = {}


def post(mock, path, body, token=None):
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.post(f"{mock.url}{path}", json=body, headers=headers, trust_env=False)


def test_first(odyssey_mock):
    kept["key"] = odyssey_mock.api_key
    kept["token"] = post(odyssey_mock, "/auth/token", {"api_key": odyssey_mock.api_key}).json()["access_token"]


def test_second(odyssey_mock):
    assert post(odyssey_mock, "/sessions/request", {}, kept["token"]).status_code == 401
    assert post(odyssey_mock, "/auth/token", {"api_key": kept["key"]}).status_code == 401
    assert odyssey_mock.journal.entries == ()
    assert post(odyssey_mock, "/auth/token", {"api_key": odyssey_mock.api_key}).status_code == 200
    assert len(odyssey_mock.journal.entries) == 1


def test_third(odyssey_mock):
    assert odyssey_mock.journal.entries == ()
    assert post(odyssey_mock, "/auth/token", {"api_key": "ody_of_the_application"}).status_code == 200
"""


def leftovers(pytester: pytest.Pytester, tests: str, mode: str) -> pytest.RunResult:
    pytester.makepyfile(tests)
    options = [option for option in OPTIONS if option not in {"-W", "error"}]
    return run_fork(pytester, *options, "-o", f"odyssey_leftovers={mode}")


def test_warnings_name_what_each_test_left(pytester: pytest.Pytester) -> None:
    result = leftovers(pytester, TESTS, "warning")
    result.assert_outcomes(passed=len(REPORTED), warnings=len(REPORTED))
    output = result.stdout.str()
    for test, text in REPORTED.items():
        assert re.search(rf"OdysseyLeftoverWarning: \S+::{test} left behind: {text}\n", output), (
            f"expected a warning that {test} left behind: {text}; got the output\n{output}"
        )


def test_errors_fail_the_teardown(pytester: pytest.Pytester) -> None:
    result = leftovers(pytester, TESTS, "error")
    result.assert_outcomes(passed=len(REPORTED), errors=len(REPORTED))
    output = result.stdout.str()
    for test, text in REPORTED.items():
        assert re.search(rf"^\S+::{test} left behind: {text}$", output, re.MULTILINE), (
            f"expected an error that {test} left behind: {text}; got the output\n{output}"
        )


def test_nothing_is_reported_if_ignored(pytester: pytest.Pytester) -> None:
    result = leftovers(pytester, TESTS, "ignore")
    result.assert_outcomes(passed=len(REPORTED))


def test_tidy_and_failed_tests_are_not_reported(pytester: pytest.Pytester) -> None:
    result = leftovers(pytester, TIDY, "error")
    result.assert_outcomes(passed=10, failed=1)


def test_unused_fault_of_all_tests_is_not_reported(pytester: pytest.Pytester) -> None:
    fault = '{"at": "whep.config", "do": "status", "status": 503}'
    pytester.makeini(f"[pytest]\nodyssey_faults =\n    {fault}\n")
    own = f"import pytest\n@pytest.mark.odyssey(faults=[{fault}])\ndef test_own(odyssey_mock): pass\n"
    result = leftovers(pytester, f"def test_it(odyssey_mock): pass\n{own}", "error")
    result.assert_outcomes(passed=2, errors=1)
    assert "::test_own left behind: the fault at whep.config" in result.stdout.str()


def test_unknown_mode_is_an_error(pytester: pytest.Pytester) -> None:
    result = leftovers(pytester, "def test_it(): pass", "loud")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "odyssey_leftovers: expected one of warning, error, ignore, got 'loud'" in result.stderr.str()


@pytest.mark.parametrize("interrupt", ["raise KeyboardInterrupt", 'pytest.exit("enough")'])
def test_interrupted_test_is_not_reported(pytester: pytest.Pytester, interrupt: str) -> None:
    fault = 'odyssey_mock.faults.add(at="whep.config", do="status", status=503)'
    test = f"import pytest\ndef test_it(odyssey_mock):\n    {fault}\n    {interrupt}\n"
    result = leftovers(pytester, test, "error")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "left behind" not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize("mode", ["warning", "error"])
def test_request_after_the_last_test_is_reported(pytester: pytest.Pytester, mode: str) -> None:
    test = """
import httpx
import pytest


@pytest.fixture(scope="module")
def cleanup(odyssey_url):
    keys = []
    yield keys
    httpx.post(f"{odyssey_url}/auth/token", json={"api_key": keys[0]}, trust_env=False)


def test_it(odyssey_api_key, cleanup):
    cleanup.append(odyssey_api_key)
"""
    result = leftovers(pytester, test, mode)
    result.assert_outcomes(passed=1, **{"warning": {"warnings": 1}, "error": {"errors": 1}}[mode])
    late = r"^.*POST /auth/token of \S+::test_it arrived after that test had ended, between two tests"
    assert re.search(late, result.stdout.str(), re.MULTILINE)
    assert "left behind" not in result.stdout.str()


def test_late_request_is_reported_and_not_in_journals(pytester: pytest.Pytester) -> None:
    result = leftovers(pytester, LATE, "warning")
    result.assert_outcomes(passed=3, warnings=1)
    late = r"{} of \S+::test_first arrived after that test had ended, during \S+::test_second"
    expected = "; ".join(late.format(request) for request in ("POST /sessions/request", "POST /auth/token"))
    expected += ": end the client with its test, or give it a key of its own"
    assert re.search(f"OdysseyLeftoverWarning: {expected}", result.stdout.str())


def test_tasks_in_folders_named_as_packages_are_reported(pytester: pytest.Pytester) -> None:
    tests = """
    import asyncio
    import pytest

    async def connect():
        await asyncio.Event().wait()

    @pytest.mark.asyncio
    async def test_task(odyssey_mock):
        pytest.kept = asyncio.create_task(connect())
        await asyncio.sleep(0)
    """
    for folder in ("odyssey_mock/tests", "odyssey_client/client"):
        path = pytester.mkdir(folder.split("/", maxsplit=1)[0]) / folder.split("/")[1]
        path.mkdir()
        (path / f"test_{path.name}.py").write_text(textwrap.dedent(tests))
    result = run_fork(pytester, *OPTIONS, "-o", "odyssey_leftovers=error")
    result.assert_outcomes(passed=2, errors=2)
    lines = [line for line in result.outlines if "left behind" in line]
    assert {line.rpartition("left behind: ")[2] for line in lines} == {
        "the task connect() is still running: await it or cancel it"
    }
