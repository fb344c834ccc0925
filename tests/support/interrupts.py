"""Processes that tests interrupt: they hear of it, however the suite was started."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_IGNORED_BEHIND = ("SIGINT", "SIGQUIT", "SIGHUP")
"""What a shell has jobs in the background ignore, and what `nohup` does."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Let processes that this one begins meanwhile do by default what signals do by default.

    A process inherits which signals are ignored, but no handlers: a handler here, which does nothing either, is enough.
    """
    with ExitStack() as stack:
        for name in _IGNORED_BEHIND:
            signum = getattr(signal, name, None)  # there are fewer on Windows
            if signum is not None and signal.getsignal(signum) is signal.SIG_IGN:
                stack.callback(signal.signal, signum, signal.SIG_IGN)
                signal.signal(signum, lambda *_: None)
        yield
