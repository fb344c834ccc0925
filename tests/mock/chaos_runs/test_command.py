"""Tests of chaos runs of a command: verdict, settings and output of each run, and termination of hung commands."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from odyssey_mock import Settings
from odyssey_mock.chaos_runs.command import CommandChaos, CommandError
from odyssey_mock.chaos_runs.plan import ChaosPlanError
from odyssey_mock.chaos_runs.results import Verdict
from odyssey_mock.command_process import CannotStartError

ASK = """
import http.client, os, sys, urllib.parse
url = urllib.parse.urlsplit(os.environ["ODYSSEY_API_URL"])
def ask(path, method="GET"):
    connection = http.client.HTTPConnection(url.netloc)
    connection.request(method, path)
    response = connection.getresponse()
    return response.status, response.read()
"""
"""The first lines of each program: a function that sends a request to the mock and returns status and body."""

PING = "/ping/us-east-1"


def program(code: str) -> Sequence[str]:
    return (sys.executable, "-c", ASK + code)


def chaos(code: str, *only: str, time_limit: float | None = 20.0, settings: Settings | None = None) -> CommandChaos:
    return CommandChaos(
        command=program(code),
        only=only,
        time_limit=time_limit,
        settings=settings or Settings(),
        say=lambda _: None,
    )


async def verdicts(runs: CommandChaos) -> dict[str, tuple[Verdict, str]]:
    await runs.run()
    return {run.fault: (run.verdict, run.reason) for run in runs.report.runs}


async def test_exit_status_or_time_limit_decides_verdict() -> None:
    code = f"""
status, body = ask({PING!r})
assert status != 503, "no region"
if body == b"[]":
    import signal
    signal.pause()
"""
    runs = chaos(code, "rest.regions.ping:[sw]*", time_limit=5.0)
    assert await verdicts(runs) == {
        "rest.regions.ping: status 503, every time": ("failed", "exit status 1: AssertionError: no region"),
        "rest.regions.ping: wrong_shape, every time": ("hung", "did not end within 5 s"),
    }
    assert not runs.report.survived
    assert "AssertionError: no region" in runs.report.runs[0].output


async def test_survived_faults_have_passed() -> None:
    runs = chaos(f"ask({PING!r})", "rest.regions.ping:status", "rest.regions.ping:not_json")
    assert [verdict for verdict, _ in (await verdicts(runs)).values()] == ["passed", "passed"]
    assert runs.report.survived


async def test_fault_at_skipped_point_is_not_reached(tmp_path: Path) -> None:
    # The program requests the ping URL only in its first run, which has no fault.
    code = f"""
import pathlib
seen = pathlib.Path({str(tmp_path / "seen")!r})
if not seen.exists():
    ask({PING!r})
seen.touch()
"""
    runs = chaos(code, "rest.regions.ping:reset")
    assert await verdicts(runs) == {"rest.regions.ping: reset, every time": ("not reached", "(the fault did not act)")}


async def test_fault_stays_reached_after_reset_by_command() -> None:
    runs = chaos(f"ask({PING!r}); ask('/_mock/reset', 'POST')", "rest.regions.ping:status")
    assert [verdict for verdict, _ in (await verdicts(runs)).values()] == ["passed"]


async def test_command_failing_without_fault_is_rejected() -> None:
    runs = chaos("print('no config'); sys.exit(3)")
    with pytest.raises(CommandError, match=r"succeed without a fault, got exit status 3:\nno config$"):
        await runs.run()


async def test_unknown_command_is_rejected() -> None:
    runs = CommandChaos(command=["no-such-program"], say=lambda _: None)
    with pytest.raises(CannotStartError, match="cannot run 'no-such-program': expected the name of a program on PATH"):
        await runs.run()


async def test_command_that_sends_no_request_is_rejected() -> None:
    with pytest.raises(ChaosPlanError, match="reached no fault point"):
        await chaos("").run()


async def test_wrong_pattern_is_rejected_before_first_run() -> None:
    with pytest.raises(ChaosPlanError, match=r"the pattern 'regions\.\*' matches no fault point"):
        await chaos("sys.exit(1)", "regions.*").run()


async def test_output_does_not_contain_the_key() -> None:
    runs = chaos(
        f"status, _ = ask({PING!r}); print(os.environ['ODYSSEY_API_KEY']); sys.exit(status == 503)", "*:status"
    )
    await runs.run()
    (run,) = runs.report.runs
    assert (run.verdict, run.output) == ("failed", "***")


async def test_hung_command_is_killed_with_its_children() -> None:
    child = "import time; time.sleep(600)"
    code = f"""
import subprocess
if ask({PING!r})[0] == 503:
    subprocess.run([sys.executable, "-c", {child!r}, "child of the hung command"])
"""
    runs = chaos(code, "rest.regions.ping:status", time_limit=3.0)
    assert [verdict for verdict, _ in (await verdicts(runs)).values()] == ["hung"]
    assert not [
        each for each in psutil.process_iter(["cmdline"]) if "child of the hung command" in (each.info["cmdline"] or ())
    ]


async def test_hung_command_can_end_processes_of_other_groups() -> None:
    child = "import time; time.sleep(600)"
    code = f"""
import signal, subprocess
if ask({PING!r})[0] == 503:
    child = subprocess.Popen([sys.executable, "-c", {child!r}, "child with its own group"], start_new_session=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(child.kill() or "stopped"))
    print("waiting", flush=True)
    child.wait()
"""
    runs = chaos(code, "rest.regions.ping:status", time_limit=3.0)
    assert list((await verdicts(runs)).values()) == [("hung", "did not end within 3 s: waiting")]
    assert not [
        each for each in psutil.process_iter(["cmdline"]) if "child with its own group" in (each.info["cmdline"] or ())
    ]


async def test_command_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odyssey_mock.command_process.END_LIMIT", 0.1)
    code = f"""
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while ask({PING!r})[0] == 503:
    signal.pause()
"""
    runs = chaos(code, "rest.regions.ping:status", time_limit=2.5)
    assert list((await verdicts(runs)).values()) == [("hung", "did not end within 2.5 s")]


async def test_results_remain_after_cancellation() -> None:
    done = asyncio.Event()
    runs = chaos(f"ask({PING!r})", "rest.regions.ping")
    runs.say = lambda line: done.set() if line.startswith("[1/") else None
    running = asyncio.create_task(runs.run())
    await done.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (len(runs.report.runs), runs.report.planned) == (1, 7)


async def test_settings_apply_to_every_run() -> None:
    settings = Settings(faults=[{"at": "rest.regions.list", "do": "status", "status": 418}])
    code = f"assert ask('/regions')[0] == 418; ask({PING!r})"
    runs = chaos(code, "rest.regions.ping:status", settings=settings)
    assert [verdict for verdict, _ in (await verdicts(runs)).values()] == ["passed"]
