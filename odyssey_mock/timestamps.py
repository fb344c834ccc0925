"""Times as the REST API writes them."""

import datetime


def iso(seconds: float) -> str:
    """Write seconds since the epoch as RFC 3339 in UTC, to the millisecond: `2026-01-01T00:00:00.000Z`."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
