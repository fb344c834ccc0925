"""Calls that are tried again: when that is safe, when it may help, and after which wait.

`RetryPolicy` decides and `retrying` obeys. Only calls that may be made twice belong here: those that read, cancelling a
job, and getting a token; never `simulate`, which would make a second job, nor asking for a session.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from odyssey_client.config import AdvancedConfig
from odyssey_client.errors import OdysseyApiError, OdysseyError, OdysseyUsageError, ServiceUnreachableError
from odyssey_client.platform import Clock

logger = logging.getLogger("odyssey_client")

_PASSING = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Which errors are worth another try, and how long to wait before it. Times in seconds.

    Attributes:
        maximum: How many tries there are after the first.
        initial_delay: The wait before the first of them.
        max_delay: The longest wait that the service has not asked for.
        multiplier: How much longer each wait is than the one before.
        max_retry_after: The longest wait that the service may ask for.
        uniform: Draws a number between two. A wait is by up to a half shorter by chance, so that clients that failed
            together do not come back together.
    """

    maximum: int
    initial_delay: float
    max_delay: float
    multiplier: float
    max_retry_after: float
    uniform: Callable[[float, float], float]

    @classmethod
    def of(cls, settings: AdvancedConfig, uniform: Callable[[float, float], float]) -> RetryPolicy:
        return cls(
            maximum=settings.request_max_retries,
            initial_delay=settings.initial_retry_delay_ms / 1000,
            max_delay=settings.max_retry_delay_ms / 1000,
            multiplier=settings.retry_backoff_multiplier,
            max_retry_after=settings.max_retry_after_s,
            uniform=uniform,
        )

    def delay(self, retry: int, retry_after: float | None = None) -> float:
        """The wait before retry number ``retry``, which counts from 0; no shorter than the service asks for."""
        delay = self.initial_delay
        for _ in range(retry):
            if delay >= self.max_delay:
                break
            delay *= self.multiplier
        delay = min(delay, self.max_delay)
        asked = min(retry_after or 0.0, self.max_retry_after)
        return max(self.uniform(delay / 2, delay), asked)

    def pause(self, error: OdysseyError, retry: int) -> float | None:
        """The wait before retry number ``retry`` after ``error``; None where the error is to be raised."""
        if retry >= self.maximum or not may_pass(error) or self.is_too_long(asked_wait(error)):
            return None
        return self.delay(retry, asked_wait(error))

    def is_too_long(self, wait: float | None) -> bool:
        """Whether the service asks for a longer wait than `max_retry_after`."""
        return wait is not None and wait > self.max_retry_after


def may_pass(error: OdysseyError) -> bool:
    """Whether the same call may work later: no answer; 502, 503 and 504; and 429 that says when."""
    match error:
        case ServiceUnreachableError():
            return error.retryable
        case OdysseyUsageError():
            return asked_wait(error) is not None
        case OdysseyApiError():
            return error.status in _PASSING
    return False


def asked_wait(error: OdysseyError) -> float | None:
    """How many seconds the service asks to wait; None where it does not say."""
    match error:
        case OdysseyUsageError():
            said = error.details.get("retry_after_seconds")
        case OdysseyApiError():
            said = error.retry_after_seconds
        case _:
            return None
    if isinstance(said, bool) or not isinstance(said, int | float) or said != said:  # noqa: PLR0124 - NaN
        return None
    return max(0.0, float(min(said, _LONGEST)))


async def retrying[T](attempt: Callable[[], Awaitable[T]], policy: RetryPolicy, clock: Clock) -> T:
    """Make ``attempt`` until it succeeds or ``policy`` gives up; it must be one that may be made twice.

    Raises:
        OdysseyError: what the last attempt raised, with a note that says after how many.
    """
    retry = 0
    while True:
        try:
            return await attempt()
        except OdysseyError as error:
            pause = policy.pause(error, retry)
            if pause is None:
                _explain(error, retry, policy)
                raise
            logger.debug("trying again in %.2f s (retry %d of %d), as %s", pause, retry + 1, policy.maximum, error)
        await clock.sleep(pause)
        retry += 1


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read ``Retry-After`` in seconds from now (RFC 9110 section 10.2.3); None where there is none that can be read.

    One in the form of a date counts from the answer's own ``Date``: this machine's clock may be off.
    """
    said = headers.get("Retry-After", "")
    if said.isascii() and said.isdigit() and len(said) < 10:
        return float(said)
    try:
        left = parsedate_to_datetime(said) - parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError, OverflowError):  # no dates, or one of them without a time zone
        return None
    return max(0.0, left.total_seconds())


def _explain(error: OdysseyError, retries: int, policy: RetryPolicy) -> None:
    notes: list[str] = []
    if retries:
        notes.append(f"Tried {retries + 1} times.")
    wait = asked_wait(error)
    if may_pass(error) and wait is not None and policy.is_too_long(wait):
        notes.append(
            f"Not tried again: the service asks to wait {wait:g} s, and AdvancedConfig(max_retry_after_s="
            f"{policy.max_retry_after:g}) allows no such wait."
        )
    for note in notes:
        # Calls that waited for the same access token raise the same error.
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)


_LONGEST = 1e15
"""JSON integers have no bound, and a float does."""
