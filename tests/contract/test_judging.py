"""Tests that an autouse fixture in `tests/conftest.py` fails every test whose traffic breaks the contract."""

# pytester unloads modules that were first imported while it ran, but other modules keep references to them: httpx would
# map exceptions of an unloaded httpcore. So this file imports the modules that its tests use.
import httpcore  # noqa: F401
import pytest

import odyssey_mock.server  # noqa: F401

pytest_plugins = ["pytester"]

CONFTEST = "from tests.conftest import _on_contract, pytest_configure\n"

INI = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\naddopts = --strict-markers\n"

HEAD = """
import httpx
import pytest

async def misspelt(mock):
    async with httpx.AsyncClient(base_url=mock.url, trust_env=False) as http:
        await http.get("/region")

def misspeak(mock):
    mock.journal.record("channel", "hello", **{
        "from": "server", "channel": "streamerToClient", "message": {"type": "hello"},
    })
"""


def run(pytester: pytest.Pytester, test: str) -> pytest.RunResult:
    pytester.makeconftest(CONFTEST)
    pytester.makefile(".ini", pytest=INI)
    pytester.makepyfile(HEAD + test)
    return pytester.runpytest_inprocess("-p", "no:cacheprovider")


def test_deviating_client_fails_its_test(pytester: pytest.Pytester) -> None:
    result = run(pytester, "async def test_it(odyssey_mock): await misspelt(odyssey_mock)")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*#0 client: GET /region -> 404 at $: expected a route of openapi.json; got *"])


def test_off_contract_mark_excuses_the_client(pytester: pytest.Pytester) -> None:
    marked = '@pytest.mark.off_contract("a misspelt route")\n'
    result = run(pytester, marked + "async def test_it(odyssey_mock): await misspelt(odyssey_mock)")
    result.assert_outcomes(passed=1)


def test_off_contract_mark_does_not_excuse_the_mock(pytester: pytest.Pytester) -> None:
    marked = '@pytest.mark.off_contract("says nothing bad")\n'
    result = run(pytester, marked + "async def test_it(odyssey_mock): misspeak(odyssey_mock)")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*#0 server: data-channel message from the server at $.type: expected one of *"])


def test_traffic_of_fixture_teardown_is_checked(pytester: pytest.Pytester) -> None:
    fixture = """
@pytest.fixture
async def goodbye(odyssey_mock):
    yield
    await misspelt(odyssey_mock)

"""
    result = run(pytester, fixture + "async def test_it(goodbye): pass")
    result.assert_outcomes(passed=1, errors=1)


def test_tests_without_mock_are_not_checked(pytester: pytest.Pytester) -> None:
    run(pytester, "def test_it(): pass").assert_outcomes(passed=1)
