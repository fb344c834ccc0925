"""Tests of `odyssey-mock explore` when it is stopped early: output, results file and worker processes."""

import errno
import json
import os
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import psutil
import pytest
from click.testing import CliRunner

from odyssey_mock.cli.app import main
from odyssey_mock.explore.commands import Tools
from odyssey_mock.explore.outcome import SeedRecord
from odyssey_mock.explore.results_file import Results
from tests.support.explore.commanded import CODE, COMMIT, explore
from tests.support.explore.scenarios import draw
from tests.support.forks import start_python
from tests.support.interrupts import interruptible

LIMIT = 60.0

pytestmark = pytest.mark.usefixtures("of_one_version")


@contextmanager
def running(*options: str) -> Iterator[subprocess.Popen[str]]:
    """Start the command in its own process group, yield the process, and kill the group at the end.

    The runs of seed 20 and all later seeds hang.
    """
    code = (
        "from odyssey_mock.cli.explore import explore\n"
        "from odyssey_mock.explore import code_version\n"
        "from odyssey_mock.explore.commands import Tools\n"
        "from tests.support.explore.scenarios import draw, hangs, shrink\n"
        "if __name__ == '__main__':\n"
        f"    code_version.commit, code_version.fingerprint = lambda: {COMMIT!r}, lambda: {CODE!r}\n"
        "    explore(obj=Tools(draw, hangs, shrink))\n"
    )
    with interruptible():
        process = start_python(
            *("-c", code, *options),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            cwd=Path(__file__).parents[3],
        )
    with process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def until_twenty_are_played(process: subprocess.Popen[str]) -> str:
    """Read the progress output up to the line that reports 20 seeds; return it. All later runs hang."""
    assert process.stderr is not None
    read = ""
    for line in process.stderr:
        read += line
        if line.startswith("20 of "):
            return read
    raise AssertionError(f"expected a line with 20 seeds before the end of the output, got: {read}")


def output_of_all(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Return what is left of the output, once the process and all its workers have ended.

    The workers share the pipes of the process, which close when the last of them has ended. `psutil` would also wait
    for zombies, which remain in a container whose first process does not reap orphans.
    """
    try:
        return process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"expected the process and its workers to end within {LIMIT:g} s") from None


def test_interrupt_keeps_results_and_ends_all_processes(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with running("--seeds", "80", "--workers", "2", "--results", str(path)) as process:
        until_twenty_are_played(process)
        children = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)  # Ctrl-C in a terminal signals all processes of the group
        stdout, stderr = output_of_all(process)
        assert process.returncode == 130
        assert [line for line in stdout.splitlines() if line.startswith("FAILED")] == [
            f"FAILED seed 3, light, commit {COMMIT}, and 2 other seeds",
            f"FAILED seed 5, light, commit {COMMIT}, and 1 other seed",
        ]
        assert "\n20 light seeds: 5 failed, " in stdout
        assert stderr == (
            f"interrupted: seeds not run: 60; the results so far are in {path}: repeat the command to continue\n"
        )
    assert len(children) >= 2
    assert "20 light seeds (20 from earlier runs)" in explore("--seeds", "20", "--results", str(path)).stdout


def test_workers_end_with_their_main_process() -> None:
    """Even in the middle of a run that does not end."""
    with running("--seeds", "80", "--workers", "2") as process:
        until_twenty_are_played(process)
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()  # only the main process, and Python then runs no `finally` block
        assert process.wait(LIMIT) == -signal.SIGTERM
        output_of_all(process)
    assert len(children) >= 2


def test_failures_are_printed_if_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.jsonl"
    add = Results.add

    def full(self: Results, records: Iterable[SeedRecord]) -> None:
        records = tuple(records)
        if records[0].seeds.start >= 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        add(self, records)

    monkeypatch.setattr(Results, "add", full)
    ran = explore("--seeds", "80", "--workers", "1", "--results", str(path))
    assert ran.exit_code == 2
    assert f"FAILED seed 3, light, commit {COMMIT}, and 2 other seeds\n" in ran.stdout
    assert "\n20 light seeds: 5 failed, " in ran.stdout
    assert ran.stderr.endswith(
        "Error: cannot run more seeds or store their results: [Errno 28] No space left on device\n"
        f"seeds not run: 60; the results so far are in {path}: repeat the command to continue\n"
    )
    assert len(json.loads(path.read_text().splitlines()[1])["held"]) == 2


def test_killed_run_can_be_continued(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with running("--seeds", "80", "--workers", "2", "--results", str(path)) as process:
        until_twenty_are_played(process)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(LIMIT)
    with path.open("a") as file:
        file.write('{"held": [20, 29], "st')
    ran = explore("--seeds", "80", "--workers", "1", "--results", str(path))
    assert "\n80 light seeds (20 from earlier runs): " in ran.stdout
    assert ran.stdout.rstrip().endswith(" s)")


@pytest.mark.parametrize("options", [["--seed", "3"], ["--seed", "3", "--shrink"], ["--seeds", "2", "--workers", "1"]])
def test_interrupted_command_exits_with_130(options: list[str]) -> None:
    def interrupted(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    tools = Tools(draw, interrupted, interrupted)
    ran = CliRunner().invoke(main, ["explore", *options], obj=tools, catch_exceptions=False)
    assert ran.exit_code == 130
    assert ran.stderr.splitlines()[-1].startswith("interrupted")
