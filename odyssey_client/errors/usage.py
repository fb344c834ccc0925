"""Limits of the account (HTTP 429), one class for each code (protocol.md section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from odyssey_client.errors.base import OdysseyError

if TYPE_CHECKING:
    from odyssey_client.models import JSON


class OdysseyUsageError(OdysseyError):
    """A limit of the account stands in the way (HTTP 429, protocol.md section 2).

    Attributes:
        action: What the service suggests to do about it, for people.
        action_url: Where to do it.
        details: Numbers behind the limit; the subclasses give those they know as typed properties.
    """

    default_code = "USAGE_LIMIT"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        action: str | None = None,
        action_url: str | None = None,
        details: Mapping[str, JSON] | None = None,
        status: int | None = 429,
        detail: JSON = None,
        request_id: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message, code=code, status=status, detail=detail, request_id=request_id, retryable=retryable)
        self.action = action
        self.action_url = action_url
        self.details: dict[str, JSON] = dict(details or {})

    def _number(self, name: str) -> float | None:
        value = self.details.get(name)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def _text(self, name: str) -> str | None:
        value = self.details.get(name)
        return value if isinstance(value, str) else None


class MonthlyLimitReachedError(OdysseyUsageError):
    """The hours of this month are used up."""

    default_code = "MONTHLY_LIMIT_REACHED"

    @property
    def used_hours(self) -> float | None:
        return self._number("used_hours")

    @property
    def limit_hours(self) -> float | None:
        return self._number("limit_hours")

    @property
    def reset_date(self) -> str | None:
        """The ISO date on which the count starts anew."""
        return self._text("reset_date")


class ConcurrentLimitReachedError(OdysseyUsageError):
    """As many sessions are open as the account may have: ``Maximum concurrent sessions (N) reached``."""

    default_code = "CONCURRENT_LIMIT_REACHED"
    default_retryable = True

    @property
    def active_count(self) -> float | None:
        return self._number("active_count")

    @property
    def limit(self) -> float | None:
        return self._number("limit")


class StreamDurationExceededError(OdysseyUsageError):
    """A stream would last, or has lasted, longer than the account allows."""

    default_code = "STREAM_DURATION_EXCEEDED"

    @property
    def max_duration_seconds(self) -> float | None:
        return self._number("max_duration_seconds")


class AccountSuspendedError(OdysseyUsageError):
    """The account is suspended."""

    default_code = "ACCOUNT_SUSPENDED"

    @property
    def reason(self) -> str | None:
        return self._text("reason")


class RateLimitError(OdysseyUsageError):
    """Too many requests in too short a time."""

    default_code = "RATE_LIMITED"
    default_retryable = True

    @property
    def retry_after_seconds(self) -> float | None:
        """How long to wait before the next call, in seconds."""
        return self._number("retry_after_seconds")
