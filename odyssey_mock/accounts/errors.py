"""Errors of accounts, keys and tokens. `http/errors.py` maps them to responses."""

from collections.abc import Mapping
from typing import Literal

from odyssey_mock.core.picklable_error import PicklableError
from odyssey_mock.core.timestamps import next_month

type UsageCode = Literal[
    "MONTHLY_LIMIT_REACHED", "CONCURRENT_LIMIT_REACHED", "STREAM_DURATION_EXCEEDED", "ACCOUNT_SUSPENDED", "RATE_LIMITED"
]
"""The vendor's codes of usage errors (`protocol.md` section 2)."""


class AccountError(PicklableError):
    """Base class of the errors with which the server rejects an API key, an access token or a request of an account."""


class MalformedKeyError(AccountError):
    """An API key is malformed. The message states the expected form."""


class InvalidKeyError(AccountError):
    """An API key does not belong to any account."""

    def __init__(self) -> None:
        super().__init__("Invalid API key")


class AccountSuspendedError(AccountError):
    """The account of an API key is suspended."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Account suspended: {reason}")


class InvalidTokenError(AccountError):
    """An access token is unknown."""

    def __init__(self, message: str = "Invalid access token") -> None:
        super().__init__(message)


class TokenExpiredError(InvalidTokenError):
    """An access token has expired."""

    def __init__(self) -> None:
        super().__init__("Access token expired")


class NoCapacityError(AccountError):
    """No streamer is free for the account."""

    def __init__(self) -> None:
        super().__init__("No streamer is free; retry in a second")


class UsageLimitError(AccountError):
    """A usage limit of the account is reached.

    Attributes:
        code: the vendor's error code for the limit, such as `MONTHLY_LIMIT_REACHED`.
        details: the values that `protocol.md` section 2 lists for the code.
    """

    def __init__(self, code: UsageCode, details: Mapping[str, str | float]) -> None:
        super().__init__(f"{code}: {dict(details)}")
        self.code: UsageCode = code
        self.details = details


def monthly_limit_error(now: float, *, used: float, limit: float) -> UsageLimitError:
    """Create the error for an account that has used all its hours of this month; `now` is the server's time."""
    details: dict[str, str | float] = {
        "used_hours": round(used, 4),
        "limit_hours": limit,
        "reset_date": next_month(now),
    }
    return UsageLimitError("MONTHLY_LIMIT_REACHED", details)
