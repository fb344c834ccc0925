"""Makes subprocesses receive interrupts, even if the suite runs in the background."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_IGNORED_BEHIND = ("SIGINT", "SIGQUIT", "SIGHUP")
"""Signals that shells ignore for background jobs, and that `nohup` ignores."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Give subprocesses started in the block the default signal actions.

    A subprocess inherits ignored signals but not handlers. So the test process handles signals that it ignored, with a
    handler that does nothing.
    """
    with ExitStack() as stack:
        for name in _IGNORED_BEHIND:
            signum = getattr(signal, name, None)  # some do not exist on Windows
            if signum is not None and signal.getsignal(signum) is signal.SIG_IGN:
                stack.callback(signal.signal, signum, signal.SIG_IGN)
                signal.signal(signum, lambda *_: None)
        yield
