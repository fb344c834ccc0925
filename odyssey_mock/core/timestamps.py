"""Times as the REST API writes them."""

import datetime


def iso(seconds: float) -> str:
    """Write seconds since the epoch as RFC 3339 in UTC, to the millisecond: `2026-01-01T00:00:00.000Z`."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def month_begin(seconds: float) -> float:
    """When the calendar month (UTC) of an instant began; both in seconds since the epoch."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return datetime.datetime(moment.year, moment.month, 1, tzinfo=datetime.UTC).timestamp()


def next_month(seconds: float) -> str:
    """Write the first day of the month after that of an instant: `2026-02-01`."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    # Not a date of the standard library, which has none after the year 9999.
    year, month = divmod(moment.year * 12 + moment.month, 12)
    return f"{year}-{month + 1:02}-01"
