"""Timestamps in the formats of the REST API."""

import calendar
import datetime

DAY = 86_400


def iso(seconds: float) -> str:
    """Format seconds since the epoch as RFC 3339 in UTC, with milliseconds: `2026-01-01T00:00:00.000Z`."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def month_begin(seconds: float) -> float:
    """Return the start of the calendar month (UTC) that contains `seconds`; both are seconds since the epoch."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return datetime.datetime(moment.year, moment.month, 1, tzinfo=datetime.UTC).timestamp()


def month_end(seconds: float) -> float:
    """Return the end of the calendar month (UTC) that contains `seconds`; both are seconds since the epoch."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    # Counted in days, because the end of December 9999 is later than the last `datetime`.
    return month_begin(seconds) + calendar.monthrange(moment.year, moment.month)[1] * DAY


def next_month(seconds: float) -> str:
    """Return the first day of the next calendar month (UTC), such as `2026-02-01`."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    # `datetime.date` ends with the year 9999, but the next month may be in the year 10000.
    year, month = divmod(moment.year * 12 + moment.month, 12)
    return f"{year}-{month + 1:02}-01"
