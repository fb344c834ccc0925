"""Tests of the key of `pytest --odyssey-live`: what is wrong with it, and that no output has it."""

import zipfile

# pytester unloads modules that were first imported while it ran. A mock that uses both copies of them fails.
import aiortc  # noqa: F401
import pytest

from odyssey_mock.sync import MockOdyssey
from tests.support.live_runs import KEY, LIVE
from tests.support.project import run_apart as run

pytest_plugins = ["pytester"]


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
            record_property("keys", [odyssey_api_key])
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
