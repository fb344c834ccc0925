"""`StderrLines`, which prints lines on stderr from a thread, so that a reader of stderr never delays the mock."""

import os
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

LINE_LIMIT = 1000
"""Maximum number of lines that wait to be printed. Further lines are left out, and counted."""
CLOSE_LIMIT = 1.0
"""Maximum number of seconds that the end of the context waits until all lines are printed."""


def write_to_stderr(data: bytes) -> None:
    """Write to the file descriptor of stderr, without `sys.stderr`.

    A thread that waits in a method of `sys.stderr` holds a lock, which the interpreter needs when it exits.

    Raises:
        OSError: stderr is closed, or its reader has gone.
    """
    while data:
        data = data[os.write(2, data) :]


class StderrLines:
    """Prints lines in the order in which `print` was called; a context manager.

    `print` returns at once. If no process reads stderr, lines are left out. If stderr is closed, nothing more is
    printed.
    """

    def __init__(self, write: Callable[[bytes], None] = write_to_stderr) -> None:
        self._write = write
        self._lines: deque[str] = deque()
        self._left_out = 0
        self._is_closing = False
        self._is_broken = False
        self._changed = threading.Condition()
        # A write that never returns must not prevent the process from ending.
        self._thread = threading.Thread(target=self._run, name="lines for stderr", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(CLOSE_LIMIT)

    def print(self, line: str) -> None:
        """Print a line as soon as stderr accepts it; leave it out if `LINE_LIMIT` lines are waiting already."""
        with self._changed:
            if self._is_broken:
                return
            if len(self._lines) >= LINE_LIMIT:
                self._left_out += 1
                return
            self._lines.append(line)
            self._changed.notify()

    def _run(self) -> None:
        while (line := self._next()) is not None:
            try:
                self._write(f"{line}\n".encode(errors="backslashreplace"))
            except OSError:
                # The reader of stderr has gone, so no message can reach it. The journal still has all entries.
                with self._changed:
                    self._is_broken = True
                    self._lines.clear()
                return

    def _next(self) -> str | None:
        """Wait for the next line and return it; return None if the context has ended and all lines were returned."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._left_out or self._is_closing)
            if self._lines:
                return self._lines.popleft()
            left_out, self._left_out = self._left_out, 0
            return f"({left_out} lines left out, because stderr was not read in time)" if left_out else None
