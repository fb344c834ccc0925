"""The log records of the process, while a recorder is active."""

from __future__ import annotations

import logging
import threading
import weakref
from typing import override

from odyssey_client.trace.described import error_text, shortened
from odyssey_client.trace.recorder import Recorder

_OWN = "odyssey_client.trace"
"""Logger of this package, whose records say that a trace could not be written."""


class _Handler(logging.Handler):
    """A handler of the root logger that records each record in all active recorders.

    It keeps no recorder alive.
    """

    def __init__(self) -> None:
        super().__init__()
        self.recorders: weakref.WeakSet[Recorder] = weakref.WeakSet()

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if (
            _is_only_handler(record.name)
            and logging.lastResort is not None
            and record.levelno >= logging.lastResort.level
        ):
            # Without this handler, Python would write the record to standard error.
            logging.lastResort.handle(record)
        if record.name.startswith(_OWN):
            return
        try:
            message = shortened(record.getMessage())
        except Exception:  # wrong arguments, or an object whose `__str__` raises an exception
            message = shortened(record.msg) if isinstance(record.msg, str) else type(record.msg).__name__
        error = record.exc_info[1] if record.exc_info else None
        data = {"level": record.levelname, "logger": record.name, "message": message}
        if error is not None:
            data["exception"] = error_text(error)
        for recorder in list(self.recorders):
            recorder.add("log", record.levelname, dict(data))


_handler = _Handler()
_lock = threading.Lock()


def record_logs(recorder: Recorder) -> None:
    """Record log records in ``recorder`` from now on, at the levels that the loggers have. More calls do nothing."""
    with _lock:
        _handler.recorders.add(recorder)
        if _handler not in logging.root.handlers:
            logging.root.addHandler(_handler)


def stop_recording_logs(recorder: Recorder) -> None:
    """No longer record log records in ``recorder``."""
    with _lock:
        _handler.recorders.discard(recorder)
        if not _handler.recorders:
            logging.root.removeHandler(_handler)


def _is_only_handler(name: str) -> bool:
    """Return whether no logger that handles records of the logger ``name`` has another handler."""
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        if any(each is not _handler for each in logger.handlers):
            return False
        logger = logger.parent if logger.propagate else None
    return True
