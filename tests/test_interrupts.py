"""Tests that `interruptible` lets subprocesses receive signals that the test process ignores."""

import signal
import subprocess
import sys

import pytest

from tests.support.interrupts import interruptible

CODE = (
    "import signal; print([name for name in ('SIGINT', 'SIGQUIT', 'SIGHUP') "
    "if signal.getsignal(getattr(signal, name)) is signal.SIG_IGN])"
)


def ignored_by_a_child() -> str:
    return subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows subprocesses do not inherit ignored signals")
def test_subprocess_receives_signals_that_parent_ignores() -> None:
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)}
    try:
        for signum in before:
            signal.signal(signum, signal.SIG_IGN)
        with interruptible():
            assert ignored_by_a_child() == "[]\n"
        assert ignored_by_a_child() == "['SIGINT', 'SIGQUIT', 'SIGHUP']\n", (
            "expected subprocesses to ignore SIGINT, SIGQUIT and SIGHUP again after the block, but they do not"
        )
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
