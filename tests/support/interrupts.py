"""Makes subprocesses receive interrupts, even if the suite runs in the background."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_IGNORED_BEHIND = ("SIGINT", "SIGQUIT", "SIGHUP")
"""Signals that shells ignore for background jobs, and that `nohup` ignores."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Let subprocesses that the block starts react to signals by default.

    A subprocess inherits which signals are ignored, but no handlers. So during the block, the test process has
    a handler that does nothing for each signal that it otherwise ignores.
    """
    with ExitStack() as stack:
        for name in _IGNORED_BEHIND:
            signum = getattr(signal, name, None)  # some do not exist on Windows
            if signum is not None and signal.getsignal(signum) is signal.SIG_IGN:
                stack.callback(signal.signal, signum, signal.SIG_IGN)
                signal.signal(signum, lambda *_: None)
        yield
