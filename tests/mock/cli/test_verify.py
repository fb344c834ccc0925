"""Tests of the command `odyssey-mock verify`: what it asks, what it writes, how it fails, and how it is stopped."""

import asyncio
import errno
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import click
import pytest
from click.testing import CliRunner, Result

from odyssey_client.trace import read_trace
from odyssey_mock.cli.app import main
from odyssey_mock.cli.verify import NAMES, CannotRunError, Files, _run
from odyssey_mock.sync import MockOdyssey as SyncMockOdyssey
from odyssey_mock.verification.program import Program
from odyssey_mock.verification.steps import STEPS
from tests.support.forks import start_python
from tests.support.interrupts import interruptible
from tests.support.polling import wait_until

COMMAND = ("-c", "from odyssey_mock.cli import main; main()", "verify", "--yes")


@pytest.fixture
def mock() -> Iterator[SyncMockOdyssey]:
    with SyncMockOdyssey() as running:
        yield running


def verify(*arguments: str, key: str = "ody_some_key", url: str = "http://127.0.0.1:9") -> Result:
    environment = {"ODYSSEY_API_KEY": key, "ODYSSEY_API_URL": url, "COLUMNS": "100"}
    return CliRunner().invoke(main, ["verify", *arguments], env=environment)


def last_line(result: Result) -> str:
    return result.stderr.splitlines()[-1]


def test_nothing_is_sent_without_consent(mock: SyncMockOdyssey) -> None:
    result = verify(key=mock.api_key, url=mock.url)
    assert result.exit_code == 2
    cost, error = result.stderr.splitlines()
    assert cost == (
        f"This uses your account at {mock.url}: 3 sessions, one after the other; at most 22 s of streams (usually less "
        "than half of it); a simulation job of 2 s, and one that is cancelled at once; a job with an invalid script, "
        "which is cancelled at once, if the service accepts one."
    )
    assert error == ("Error: expected a terminal to ask whether to begin, got none. Use --yes to begin without asking.")
    assert [entry for entry in mock.journal.entries if entry.kind == "rest"] == []


def test_reports_and_trace_are_written(mock: SyncMockOdyssey, tmp_path: Path) -> None:
    files = {name: tmp_path / "new" / f"report.{name}" for name in ("json", "html", "odytrace")}
    names = ("--json", str(files["json"]), "--html", str(files["html"]), "--trace", str(files["odytrace"]))
    result = verify("--yes", "--only", "authentication", *names, key=mock.api_key, url=mock.url)
    assert result.exit_code == 0, result.output
    confirmed = json.loads(files["json"].read_text())["counts"]["confirmed"]
    assert confirmed > 10
    sentence = f"All {confirmed} tested statements are confirmed, and nothing is new."
    assert sentence in result.stdout
    assert sentence in files["html"].read_text()
    assert result.stdout.splitlines()[-3:] == [f"wrote {path}" for path in files.values()]
    with read_trace(files["odytrace"]) as trace:
        assert {event.actor for event in trace.events} == {"authentication", "authentication 2"}


def test_places_of_files_are_checked_first(mock: SyncMockOdyssey, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "report.json"
    result = verify("--yes", "--json", str(place), key=mock.api_key, url=mock.url)
    assert (result.exit_code, result.stdout) == (2, "")
    assert last_line(result) == (
        f"Error: cannot write {place}: expected {tmp_path / 'file'} to be a folder that you may write to"
    )
    assert [entry for entry in mock.journal.entries if entry.kind == "rest"] == []


def test_failed_file_does_not_lose_others(mock: SyncMockOdyssey, tmp_path: Path) -> None:
    files = {name: tmp_path / f"report.{name}" for name in ("json", "html", "odytrace")}
    names = ("--json", str(files["json"]), "--html", str(files["html"]), "--trace", str(files["odytrace"]))
    (tmp_path / "report.odytrace" / "a folder").mkdir(parents=True)
    written = Files(files["odytrace"], files["json"], files["html"])
    with pytest.raises(CannotRunError, match=r"report\.odytrace"):
        written.check()
    files["odytrace"].joinpath("a folder").rmdir()
    files["odytrace"].rmdir()

    def failing(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("odyssey_mock.verification.trace_file.write_run", failing)
        result = verify("--yes", "--only", "authentication", *names, key=mock.api_key, url=mock.url)
    assert result.exit_code == 2
    assert last_line(result) == f"Error: cannot write {files['odytrace']}: No space left on device"
    assert result.stdout.splitlines()[-2:] == [f"wrote {files[name]}" for name in ("json", "html")]
    assert json.loads(files["json"].read_text())["counts"]["confirmed"] > 10


@pytest.mark.parametrize("method", ["is_dir", "exists"])
def test_folder_that_cannot_be_read_is_explained(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, method, denied)
    place = tmp_path / "report.odytrace"
    with pytest.raises(CannotRunError) as caught:
        Files(place, None, None).check()
    assert caught.value.message == f"cannot write {place}: Permission denied"


def test_file_that_cannot_be_written_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = tmp_path / "report.json"
    report.write_text("an earlier report")
    monkeypatch.setattr(os, "access", lambda path, mode: path != report)  # root may write every file
    with pytest.raises(CannotRunError) as caught:
        Files(tmp_path / "run.odytrace", report, None).check()
    assert caught.value.message == f"cannot write {report}: expected a file that you may write to"


def test_failed_trace_does_not_lose_reports(mock: SyncMockOdyssey, tmp_path: Path) -> None:
    def failing(*_: object) -> None:
        raise ValueError(f"not expected: {mock.api_key}")

    names = ("--json", str(tmp_path / "it.json"), "--trace", str(tmp_path / "it.odytrace"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("odyssey_mock.verification.trace_file.write_run", failing)
        result = verify("--yes", "--only", "authentication", *names, key=mock.api_key, url=mock.url)
    assert result.exit_code == 2
    assert last_line(result) == "Error: the trace could not be made: ValueError: not expected: ***"
    assert [path.name for path in tmp_path.iterdir()] == ["it.json"]


def test_files_are_written_although_nothing_reads_the_report(
    mock: SyncMockOdyssey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("odyssey_mock.cli.verify._show", broken)
    names = ("--json", str(tmp_path / "it.json"), "--trace", str(tmp_path / "it.odytrace"))
    verify("--yes", "--only", "authentication", *names, key=mock.api_key, url=mock.url)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it.json", "it.odytrace"]


def test_interrupted_question_is_exit_code_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> bool:
        raise click.Abort

    monkeypatch.setattr("click.confirm", interrupted)
    monkeypatch.setattr("odyssey_mock.cli.verify._is_terminal", lambda: True)
    assert verify().exit_code == 130


def test_difference_is_exit_code_1(tmp_path: Path) -> None:
    with SyncMockOdyssey(access_token_lifetime=1800) as mock:
        arguments = ("--yes", "--only", "authentication", "--trace", str(tmp_path / "it.odytrace"))
        result = verify(*arguments, key=mock.api_key, url=mock.url)
    assert result.exit_code == 1
    assert "expected 3600, got 1800 (POST /auth/token -> 200)" in result.stdout
    assert "Of the tested statements and schemas: 2 contradicted, " in result.stdout


def test_options_name_every_step() -> None:
    assert tuple(STEPS) == NAMES


def test_selected_steps_without_cost_say_so(mock: SyncMockOdyssey) -> None:
    result = verify("--only", "rest", key=mock.api_key, url=mock.url)
    assert result.stderr.splitlines()[0].endswith(
        ": no session; no stream; no simulation job; a job with an invalid script, which is cancelled at once, if the "
        "service accepts one."
    )


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (
            "ody_invalid_x",
            """rejected the API key in ODYSSEY_API_KEY (HTTP 401): Invalid API key.
            Check the key, and that it belongs to this service.""",
        ),
        (
            "ody_suspended_x",
            """refused the account of the API key in ODYSSEY_API_KEY (HTTP 403): Account suspended: payment overdue.
            Use the key of another account, or ask the vendor.""",
        ),
    ],
)
def test_refused_key_is_explained(key: str, message: str, mock: SyncMockOdyssey) -> None:
    result = verify("--yes", key=key, url=mock.url)
    assert (result.exit_code, result.stdout) == (2, "")
    assert last_line(result) == f"Error: the service at {mock.url} {' '.join(message.split())}"
    assert key not in result.stderr


def test_unreachable_service_is_explained() -> None:
    url = "http://127.0.0.1:9"
    result = verify("--yes", url=url)
    assert (result.exit_code, result.stdout) == (2, "")
    assert last_line(result).startswith(f"Error: POST {url}/auth/token got no answer: ")
    assert last_line(result).endswith("Check the URL, the network, and that the service is running.")


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        ((), {"key": " "}, "Error: expected an API key in the environment variable ODYSSEY_API_KEY, got none. Set it."),
        (
            ("--api-url", "service"),
            {},
            "Error: Odyssey: api_url must look like https://host or http://host:port, got 'service'",
        ),
    ],
)
def test_invalid_argument_is_explained(
    arguments: tuple[str, ...], environment: Mapping[str, str], message: str
) -> None:
    result = verify("--yes", *arguments, **environment)
    assert (result.exit_code, result.stdout) == (2, "")
    assert last_line(result).startswith(message)


def test_missing_extra_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odyssey_mock.cli.extras.VERIFY_MODULES", ("a_package_that_is_not_installed",))
    result = verify("--yes")
    assert result.exit_code == 2
    assert (
        last_line(result)
        == "Error: odyssey-mock verify requires the extra `verify`: pip install 'odyssey-testkit[verify]'"
    )


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_ends_session_and_cancels_job(signum: signal.Signals, mock: SyncMockOdyssey, tmp_path: Path) -> None:
    mock.faults.add(at="job.dispatched", do="stall")
    environment = {**os.environ, "ODYSSEY_API_KEY": mock.api_key, "ODYSSEY_API_URL": mock.url}
    with interruptible():
        process = start_python(*COMMAND, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        wait_until(lambda: bool(mock.streams) and bool(mock.jobs))
        process.send_signal(signum)
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (130, "")
    assert stderr.splitlines()[-1] == "Interrupted. The session and the job were asked to end, if there were any."
    wait_until(lambda: not mock.sessions)
    assert {str(job.status) for job in mock.jobs.values()} == {"cancelled"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_does_not_stop_the_end(signum: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []

    class Ending:
        async def run(self) -> None:
            told = asyncio.Event()

            def echo(text: str, **_: object) -> None:
                happened.append(text)
                told.set()

            monkeypatch.setattr("click.echo", echo)
            os.kill(os.getpid(), signum)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                os.kill(os.getpid(), signum)
                await told.wait()
                happened.append("ended")
                raise

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(_run(cast("Program", Ending())))
    assert happened == ["The session and the job are being ended. This takes some seconds.", "ended"]
