"""What a plan lets an account do: the limits that differ from plan to plan (`protocol.md` section 7)."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Literal

from odyssey_mock.validation import COUNT, HOURS, POSITIVE, Rule, or_none

type Plan = Literal["free", "unlimited"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much one account may use. Times are seconds on the server's clock; None is no limit.

    The defaults are those of the vendor's free plan.
    """

    concurrent_sessions: int | None = 5
    """Sessions that one account may hold at once; one more is answered 429."""
    monthly_hours: float | None = None
    """Hours of video that one account may have made in a calendar month (UTC); with none left, new ones are 429."""
    queued_simulations: int | None = 10
    """Pending jobs that one account may have; one more is answered 429."""
    connection_duration: float | None = 3600.0
    """How long a connection may be; at the limit the client is told `duration_limit_reached`, and the session ends."""
    inactivity: float | None = 40.0
    """How long a connection may be without a stream and without a message of its client; then it is closed."""
    stream_duration: float | None = 150.0
    """How long a live stream may be; at the limit it ends, and its connection with it."""


PLANS: Mapping[Plan, Limits] = MappingProxyType(
    {
        "free": Limits(),
        "unlimited": Limits(
            concurrent_sessions=None,
            monthly_hours=None,
            queued_simulations=None,
            connection_duration=None,
            inactivity=None,
            stream_duration=None,
        ),
    }
)
"""The limits of each plan, by its name."""

LIMIT_NAMES = tuple(each.name for each in fields(Limits))

LIMIT_RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "concurrent_sessions": or_none(COUNT),
        "monthly_hours": or_none(HOURS),
        "queued_simulations": or_none(COUNT),
        "connection_duration": or_none(POSITIVE),
        "inactivity": or_none(POSITIVE),
        "stream_duration": or_none(POSITIVE),
    }
)
"""What each limit may be."""
