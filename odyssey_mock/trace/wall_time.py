"""Conversion of the times of a trace to dates."""

from odyssey_client.trace import TraceFileError
from odyssey_mock.core.timestamps import iso


def utc_time(seconds: float) -> str:
    """Return a time in seconds since the epoch in UTC, such as ``2026-02-02T02:40:00.123Z``.

    Raises:
        TraceFileError: the time is outside of the years 1 to 9999.
    """
    try:
        return iso(seconds)
    except (ValueError, OverflowError, OSError):
        raise TraceFileError(f"expected times in the years 1 to 9999, got {seconds:g} seconds after 1970") from None
