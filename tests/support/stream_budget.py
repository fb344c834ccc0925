"""What tests pass to a `StreamBudget`: a clock that the test sets, and an exception for denials."""

from typing import NoReturn


class Denied(BaseException):
    """A start was denied, with the reason."""


def deny(reason: str) -> NoReturn:
    raise Denied(reason)


class Time:
    """A clock that the test sets."""

    now = 100.0
