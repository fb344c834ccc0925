"""The trace of a failed test: its file, the section in the report, the options, and annotations."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from odyssey_client.trace import read_trace
from odyssey_mock.testing.traced_tests import file_name
from tests.support.project import OPTIONS, run_apart, run_fork

pytest_plugins = ["pytester"]

FAILING_TESTS = (Path(__file__).parent / "examples" / "failing_tests.py").read_text(encoding="utf-8")
PASSING = """
    def test_passing(odyssey_sync_client):
        odyssey_sync_client.connect()
"""
FAILING = """
    def test_failing(odyssey_mock, odyssey_sync_client):
        odyssey_sync_client.connect()
        assert odyssey_mock.api_key == "another"
"""


def traces(pytester: pytest.Pytester, directory: str = "odyssey-traces") -> list[Path]:
    return sorted((pytester.path / directory).glob("*"))


def sections(result: pytest.RunResult) -> Mapping[str, str]:
    """Return the section about the trace by the name of the test."""
    parts = re.split(r"-+ odyssey trace -+\n", result.stdout.str())[1:]
    named = {}
    for part in parts:
        text = re.split(r"\n(?=[_=]{5}|/)", part)[0]
        named[re.findall(r"(test_[a-z_]+)-[0-9a-f]{6}\.odytrace", text)[0]] = text
    return named


@pytest.fixture
def failed(pytester: pytest.Pytester) -> pytest.RunResult:
    """Run six tests that fail, each in another way."""
    return run_apart(pytester, FAILING_TESTS, "--tb=line")


def test_each_failed_test_leaves_a_trace(failed: pytest.RunResult, pytester: pytest.Pytester) -> None:
    failed.assert_outcomes(failed=5, errors=1)
    found = {}
    for path in traces(pytester):
        with read_trace(path) as trace:
            failure = trace.manifest.failure
            assert failure is not None
            assert failure.source is not None
            line = trace.sources[0].text.splitlines()[failure.source.line - 1].strip()
            test = trace.manifest.title.partition("::")[2]
            found[test] = (trace.manifest.outcome, failure.phase, failure.type, line, trace.manifest.time)

    interact = 'await client.interact("Pet the cat")'
    assert found == {
        "test_assertion": ("failed", "call", "AssertionError", 'assert applied == "Pet the dog"', "real"),
        "test_hang": ("failed", "call", "TimeoutError", "async with asyncio.timeout(1):", "real"),
        "test_fault": ("failed", "call", "QueueTimeoutError", "await client.connect()", "real"),
        "test_lost_connection": ("failed", "call", "ConnectionClosedError", "await interacting", "real"),
        "test_failing_fixture": (
            "error",
            "setup",
            "InvalidStateError",
            'odyssey_sync_client.interact("There is no stream yet")',
            "real",
        ),
        "test_simulated": ("failed", "call", "OperationTimeoutError", interact, "virtual"),
    }
    shown = sections(failed)
    assert re.search(
        r"pending calls:\n  client 1: interact, since \d.*, waiting for update_acknowledged, called at "
        r".*\.py:\d+ in test_hang",
        shown["test_hang"],
    )
    assert "the last 10 events before the failure:" in shown["test_fault"]
    assert "fault rest.sessions.request" in shown["test_fault"]
    assert "seed: 0" in shown["test_simulated"]
    assert "to see it: odyssey-mock trace show odyssey-traces" in shown["test_assertion"]


def test_trace_has_client_and_server_and_phases(pytester: pytest.Pytester) -> None:
    run_apart(pytester, FAILING)
    (path,) = traces(pytester)
    with read_trace(path) as trace:
        phases = [event for event in trace.events if event.lane == "test"]
        (connect,) = [event for event in trace.events if event.lane == "call"]
        sides = {event.side for event in trace.events if event.lane == "http"}

    assert [(event.name, event.is_pending) for event in phases] == [("setup", False), ("call", False)]
    assert "AssertionError" in str(phases[1].error)
    assert sides == {"client", "server"}
    assert connect.name == "connect"
    assert connect.source is not None
    assert connect.source.function == "test_failing"


def test_passed_test_leaves_no_trace(pytester: pytest.Pytester) -> None:
    run_apart(pytester, PASSING).assert_outcomes(passed=1)

    assert traces(pytester) == []


def test_always_writes_traces_of_passed_tests_too(pytester: pytest.Pytester) -> None:
    tests = """
    import pytest

    def test_live(odyssey_sync_client):
        odyssey_sync_client.connect()

    @pytest.mark.odyssey_sim(seeds=2)
    async def test_simulated(odyssey_sim):
        await odyssey_sim.client().connect()
    """
    run_apart(pytester, tests, "--odyssey-trace=always").assert_outcomes(passed=2)
    written = {}
    for path in traces(pytester):
        with read_trace(path) as trace:
            written[trace.manifest.title.partition("::")[2]] = (trace.manifest.outcome, trace.manifest.seed)

    assert written == {"test_live": ("passed", None), "test_simulated": ("passed", 1)}


@pytest.mark.parametrize("options", [["--odyssey-trace=off"], ["-o", "odyssey_trace=off"]])
def test_off_writes_no_trace(pytester: pytest.Pytester, options: list[str]) -> None:
    result = run_apart(pytester, FAILING, *options)

    assert traces(pytester) == []
    result.stdout.no_fnmatch_line("*odyssey trace*")


def test_unknown_mode_is_refused(pytester: pytest.Pytester) -> None:
    result = run_apart(pytester, FAILING, "-o", "odyssey_trace=sometimes")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*odyssey_trace: expected one of off, on-failure, always, got 'sometimes'"])


def test_directory_can_be_chosen(pytester: pytest.Pytester) -> None:
    run_apart(pytester, FAILING, "--odyssey-trace-dir=out/traces")

    assert len(traces(pytester, "out/traces")) == 1


def test_unwritable_trace_changes_no_outcome(pytester: pytest.Pytester) -> None:
    (pytester.path / "odyssey-traces").write_text("a file, and no directory")
    result = run_apart(pytester, FAILING)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["the trace could not be written: FileExistsError: *"])
    result.stdout.fnmatch_lines(["the last 10 events before the failure:"])


def test_trace_that_cannot_be_read_changes_no_outcome(pytester: pytest.Pytester) -> None:
    result = run_apart(
        pytester,
        """
        from odyssey_client.trace import default_recorder

        def broken():
            raise RuntimeError("the data is broken, and the key is ody_aZ8kLq3MxT0v")

        def test_failing(odyssey_mock):
            default_recorder().add("note", "one", broken)
            assert False
        """,
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["the trace could not be written: RuntimeError: the data is broken*[*][*][*]"])


def test_exception_without_a_message_stays_the_failure(pytester: pytest.Pytester) -> None:
    result = run_apart(
        pytester,
        """
        import pytest

        class UnprintableError(Exception):
            def __str__(self):
                raise RuntimeError("an exception without a message")

        def test_live(odyssey_mock):
            odyssey_mock.advance(1)
            raise UnprintableError

        @pytest.mark.odyssey_sim
        async def test_simulated(odyssey_sim):
            raise UnprintableError
        """,
    )

    result.assert_outcomes(failed=2)
    found = {}
    for path in traces(pytester):
        with read_trace(path) as trace:
            assert trace.manifest.failure is not None
            found[trace.manifest.title.partition("::")[2]] = trace.manifest.failure.type
    assert found == {"test_live": "UnprintableError", "test_simulated": "UnprintableError"}


def test_working_directory_of_a_test_does_not_matter(pytester: pytest.Pytester) -> None:
    result = run_apart(
        pytester,
        """
        def test_changed(odyssey_mock, tmp_path, monkeypatch):
            odyssey_mock.advance(1)
            monkeypatch.chdir(tmp_path)
            assert False

        def test_deleted(odyssey_mock, tmp_path, monkeypatch):
            odyssey_mock.advance(1)
            (tmp_path / "gone").mkdir()
            monkeypatch.chdir(tmp_path / "gone")
            (tmp_path / "gone").rmdir()
            assert False
        """,
        "--odyssey-trace-dir=out",
    )

    result.assert_outcomes(failed=2)
    assert len(traces(pytester, "out")) == 2


def test_log_records_after_a_new_configuration_of_logging(pytester: pytest.Pytester) -> None:
    run_apart(
        pytester,
        """
        import logging

        def test_first(odyssey_mock):
            logging.basicConfig(force=True)

        def test_second(odyssey_mock):
            logging.getLogger("an.application").warning("a warning")
            assert False
        """,
    )
    (path,) = traces(pytester)
    with read_trace(path) as trace:
        assert "a warning" in [event.data["message"] for event in trace.events if event.lane == "log"]


def test_test_without_mock_and_client_has_no_trace(pytester: pytest.Pytester) -> None:
    run_apart(pytester, "def test_nothing():\n    assert False").assert_outcomes(failed=1)

    assert traces(pytester) == []


def test_events_of_the_previous_test_are_absent(pytester: pytest.Pytester) -> None:
    run_apart(pytester, PASSING + FAILING.replace("odyssey_sync_client.connect()", "odyssey_mock.advance(1)"))
    (path,) = traces(pytester)
    with read_trace(path) as trace:
        lanes = {event.lane for event in trace.events}
    # The client of the previous test may be collected now, which calls disconnect().
    assert lanes - {"call"} == {"test", "clock"}


def test_failing_example_alone_is_in_the_trace(pytester: pytest.Pytester) -> None:
    run_apart(
        pytester,
        """
        import httpx
        from hypothesis import given, settings, strategies as st

        @settings(max_examples=20, database=None, deadline=None)
        @given(status=st.integers(0, 3))
        def test_given(odyssey_mock, status):
            httpx.get(f"{odyssey_mock.url}/example/{status}")
            assert status < 2
        """,
    ).assert_outcomes(failed=1)
    (path,) = traces(pytester)
    with read_trace(path) as trace:
        requests = [event.data["url"] for event in trace.events if event.lane == "http"]

    assert requests == ["/example/2"]


def test_mock_in_the_test_is_recorded(pytester: pytest.Pytester) -> None:
    run_apart(
        pytester,
        """
        import pytest
        from odyssey_client import Odyssey
        from odyssey_mock import MockOdyssey

        @pytest.mark.asyncio
        async def test_own_mock():
            async with MockOdyssey() as mock, Odyssey(mock.api_key, api_url=mock.url) as client:
                await client.connect()
                assert False
        """,
    )
    (path,) = traces(pytester)
    with read_trace(path) as trace:
        lanes = {(event.lane, event.side) for event in trace.events}

    assert {("http", "client"), ("http", "server"), ("state", "server"), ("call", "client")} <= lanes


def test_parallel_workers_write_their_traces(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_one=FAILING, test_two=FAILING)
    run_fork(pytester, *OPTIONS, "-n", "2").assert_outcomes(failed=2)

    assert len(traces(pytester)) == 2


def test_failing_lines_are_annotated_on_github(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    pytester.makepyfile(test_one=FAILING)
    result = run_fork(pytester, *OPTIONS, "-n", "1")

    result.stdout.fnmatch_lines(
        ["::error file=test_one.py,line=3,title=test_one.py%3A%3Atest_failing::AssertionError: *%0A*trace: odyssey-*"]
    )


def test_no_secret_is_in_report_or_trace(pytester: pytest.Pytester) -> None:
    result = run_apart(
        pytester,
        """
        import json, pathlib

        import pytest

        @pytest.mark.parametrize("key", ["ody_aZ8kLq3MxT0v"])
        def test_secret(odyssey_mock, odyssey_sync_client, key):
            odyssey_sync_client.connect()
            pathlib.Path("key.json").write_text(json.dumps(odyssey_mock.api_key))
            raise ValueError(f"the key is {odyssey_mock.api_key}")
        """,
    )
    key = json.loads((pytester.path / "key.json").read_text())
    (path,) = traces(pytester)
    with read_trace(path) as trace:
        for secret in (key, "ody_aZ8kLq3MxT0v"):
            assert secret not in repr((path.name, trace.manifest, trace.events, trace.sources))
    section = result.stdout.str().partition("- odyssey trace -")[2].partition("short test summary")[0]
    assert "pending" in section
    assert key not in section


@pytest.mark.parametrize(
    ("nodeid", "beginning"),
    [
        ("tests/test_a.py::test_b", "tests-test_a.py-test_b-"),
        ("test_a.py::test_b[x/../y]", "test_a.py-test_b-x-..-y-"),
        ("test_a.py::test_" + "b" * 300, "test_a.py-test_bbb"),
        ("test_a.py::test_ü\ud800", "test_a.py-test_-"),
    ],
)
def test_file_names_are_short_and_plain(nodeid: str, beginning: str) -> None:
    name = file_name(nodeid, shown=nodeid)

    assert name.startswith(beginning)
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,140}\.odytrace", name)
    assert name != file_name(nodeid + "x", shown=nodeid)
