"""Tests that a command in a fork behaves as in a new interpreter (`tests/support/forks.py`)."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.fork_server import workers
from tests.support.forks import run_pytest, run_python, start_python
from tests.support.interrupts import interruptible
from tests.support.pages import ROOT

LIMIT_S = 60.0


@pytest.mark.parametrize(
    "arguments",
    [
        ("-c", "import os, sys; print(sys.argv, sys.path[0], sys.orig_argv, os.getcwd(), dict(os.environ))", "a", "b"),
        ("-c", "import tempfile; print(tempfile.gettempdir(), __name__)"),
        ("-c", "import sys; print(sys.stdin.read(), sys.stdout.encoding, sys.stdout.line_buffering)"),
        ("-c", "import sys; print(*((each.errors, each.encoding) for each in (sys.stdin, sys.stdout, sys.stderr)))"),
        ("-c", "import atexit, sys; atexit.register(print, 'at exit'); sys.exit(7)"),
        ("-c", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"),
        ("-c", "import threading; threading.Thread(target=print, args=('in a thread',)).start()"),
        ("-c", "import os; print(sorted(os.listdir('/proc/self/fd')), os.getpgrp() == os.getpid())"),
        ("-W", "error", "-c", "import sys, warnings; print(sys.warnoptions); warnings.warn('a warning')"),
        ("-m", "odyssey_client.cli", "--version"),
        ("-m", "odyssey_client.cli", "validate", "missing.json"),
    ],
    ids=lambda arguments: " ".join(arguments)[:60],
)
def test_fork_has_the_result_of_a_new_interpreter(arguments: tuple[str, ...], tmp_path: Path) -> None:
    options: dict[str, Any] = {"cwd": tmp_path, "env": {**os.environ, "TMPDIR": str(tmp_path)}}

    fork = run_python(*arguments, limit_s=LIMIT_S, **options)

    new = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
        timeout=LIMIT_S,
        **options,
    )
    assert (fork.returncode, fork.stdout) == (new.returncode, new.stdout)
    # A traceback in the fork also has the lines of the program that forked.
    assert fork.stderr.splitlines()[-1:] == new.stderr.splitlines()[-1:]


@pytest.mark.parametrize(("code", "status", "shown"), [("", 0, ""), ("3", 3, ""), ("'why'", 1, "why\n")])
def test_quick_end_has_the_status_of_the_interpreter(code: str, status: int, shown: str) -> None:
    program = (
        f"from tests.support.fork_server import run_and_end; run_and_end(['-c', \"import sys; sys.exit({code})\"])"
    )
    ended = run_python("-c", program, limit_s=LIMIT_S, cwd=ROOT)
    assert (ended.returncode, ended.stderr) == (status, shown)


WAITING = "import signal\nprint('ready', flush=True)\nsignal.pause()"


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signal_ends_the_fork(signum: signal.Signals) -> None:
    with interruptible(), start_python("-c", WAITING, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signum)
        assert process.wait(LIMIT_S) == -signum


def test_fork_ignores_the_signals_that_this_process_ignores() -> None:
    code = "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ignoring = run_python("-c", code, limit_s=LIMIT_S).stdout
    finally:
        signal.signal(signal.SIGINT, before)
    with interruptible():
        assert (ignoring, run_python("-c", code, limit_s=LIMIT_S).stdout) == ("True\n", "False\n")


@pytest.mark.parametrize("name", ["PYTHONIOENCODING", "PYTHONUNBUFFERED"])
def test_variables_of_standard_streams_have_an_effect(name: str) -> None:
    code = "import sys; print(*((each.encoding, each.write_through) for each in (sys.stdout, sys.stderr)))"
    environment = {**os.environ, name: "ascii"}

    fork = run_python("-c", code, limit_s=LIMIT_S, env=environment).stdout

    new = [sys.executable, "-c", code]
    assert fork == subprocess.run(new, env=environment, capture_output=True, text=True, check=True).stdout


def test_undecodable_variable_reaches_the_fork() -> None:
    environment = {**os.environb, b"ODD": b"h\xffst"}
    assert run_python("-c", "import os; print(os.environb[b'ODD'])", limit_s=LIMIT_S, env=environment).stdout == (
        "b'h\\xffst'\n"
    )


def test_session_leader_has_its_own_group() -> None:
    code = "import os; print(os.getsid(0) == os.getpgrp() == os.getpid())"
    assert run_python("-c", code, limit_s=LIMIT_S, start_new_session=True).stdout == "True\n"


def test_command_that_exceeds_its_limit_is_killed() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_python("-c", "import signal; signal.pause()", limit_s=0.1)
    assert run_python("-c", "print('next')", limit_s=LIMIT_S).stdout == "next\n"


def test_failed_start_leaves_the_next_one_possible(tmp_path: Path) -> None:
    assert run_python("-c", "pass", limit_s=LIMIT_S, cwd=tmp_path / "missing").returncode == 1
    assert run_python("-c", "print('next')", limit_s=LIMIT_S).stdout == "next\n"


def test_unsupported_options_are_rejected() -> None:
    with pytest.raises(ValueError, match="expected none of the options"):
        start_python("-c", "pass", preexec_fn=lambda: None)


WORKERS = """
import os, pathlib, sys
import pytest

@pytest.mark.parametrize("number", range(4))
def test_worker(number):
    with open("seen", "a") as seen:
        print(os.environ["PYTEST_XDIST_WORKER"], os.getppid() == int(os.environ["CONTROLLER"]),
              "odyssey_mock.sim.run" in sys.modules, os.environ["GREETING"], os.getcwd(), file=seen)
    if number == 0 and not pathlib.Path("crashed").exists():
        pathlib.Path("crashed").touch()
        os._exit(9)
"""
"""Tests that print what they find in their worker. The first one crashes its worker."""

VARIABLES = """
import os

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        os.environ |= {"CONTROLLER": str(os.getpid()), "GREETING": "hello"}
"""


@pytest.mark.skipif(sys.platform != "linux", reason="commands run in forks only on Linux")
def test_workers_of_pytest_are_forks(tmp_path: Path) -> None:
    (tmp_path / "test_workers.py").write_text(WORKERS)
    (tmp_path / "conftest.py").write_text(VARIABLES)

    ran = run_pytest("-n2", folder=tmp_path, environment=os.environ, limit_s=LIMIT_S)

    assert "1 failed, 3 passed" in ran.stdout, f"expected one worker to crash, got:\n{ran.stdout}{ran.stderr}"
    seen = {line.split()[0]: line.split()[1:] for line in (tmp_path / "seen").read_text().splitlines()}
    assert set(seen) > {"gw2"}, f"expected a worker in place of the crashed one, got the workers {set(seen)}"
    # The last worker is a new interpreter, which has not imported the modules.
    expected = {name: ["True", str(name != "gw2"), "hello", str(tmp_path)] for name in seen}
    assert seen == expected


def test_arguments_without_a_number_of_workers_have_none() -> None:
    found = [workers(arguments) for arguments in (("-q", "a.py"), ("-n", "auto"), ("-n0",), ("-q", "-n", "3", "a.py"))]
    assert found == [0, 0, 0, 3]


DRAWING = """
from hypothesis import given, settings
from hypothesis import strategies as st

@settings(max_examples=5, derandomize=False)  # Hypothesis draws the same examples where the environment is that of CI
@given(st.text(min_size=10))
def test_text(text):
    print(ascii(text))
"""


def drawn(folder: Path) -> str:
    """Run a test with random texts in a folder; return the texts."""
    (folder / "test_text.py").write_text(DRAWING)
    ran = run_pytest("-s", "-q", "test_text.py", folder=folder, environment=os.environ, limit_s=LIMIT_S)
    assert ran.returncode == 0, f"expected the test to pass, got:\n{ran.stdout}{ran.stderr}"
    return ran.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="commands run in forks only on Linux")
def test_fork_stores_no_tables_of_hypothesis(tmp_path: Path) -> None:
    drawn(tmp_path)
    created = [name for name in ("constants", "unicode_data") if (tmp_path / ".hypothesis" / name).exists()]
    assert created == [], f"expected the fork to have the tables already, got a fork that created {created}"


def test_forks_draw_different_random_examples(tmp_path: Path) -> None:
    assert drawn(tmp_path).splitlines()[:5] != drawn(tmp_path).splitlines()[:5]
