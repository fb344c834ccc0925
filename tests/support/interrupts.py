"""A context manager for starting subprocesses that react to SIGINT, even if the test suite runs in the background."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_IGNORED_BEHIND = ("SIGINT", "SIGQUIT", "SIGHUP")
"""Signals that a process ignores if a shell started it in the background, or `nohup` started it."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Let subprocesses that are started in the `with` block react to SIGINT, SIGQUIT and SIGHUP.

    A subprocess inherits ignored signals, but not signal handlers. For each of these signals that the test process
    ignores, the block therefore installs a handler that does nothing.
    """
    with ExitStack() as stack:
        for name in _IGNORED_BEHIND:
            signum = getattr(signal, name, None)  # some do not exist on Windows
            if signum is not None and signal.getsignal(signum) is signal.SIG_IGN:
                stack.callback(signal.signal, signum, signal.SIG_IGN)
                signal.signal(signum, lambda *_: None)
        yield
