"""The recorder of clients that were created without the argument ``trace``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `import odyssey_client` imports this module, and would become slower
    from odyssey_client.trace.recorder import Recorder

_default: Recorder | None = None


def record_by_default(recorder: Recorder | None) -> None:
    """Record all clients that are created from now on without the argument ``trace``, in any thread of this process.

    Clients that exist already are not affected. Log records are recorded at once. None ends both; clients that record
    already continue to record.
    """
    global _default  # noqa: PLW0603 - a setting of the process
    from odyssey_client.trace.log_records import record_logs, stop_recording_logs  # noqa: PLC0415 - see TYPE_CHECKING

    if _default is not None:
        stop_recording_logs(_default)
    _default = recorder
    if recorder is not None:
        record_logs(recorder)


def default_recorder() -> Recorder | None:
    """Return the recorder that `record_by_default` has set; None if there is none."""
    return _default
