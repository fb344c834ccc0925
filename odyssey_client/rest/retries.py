"""Retries of HTTP calls: which errors are retried, and after which delay.

`RetryPolicy` contains the rules, and `retrying` repeats a call according to them. Use `retrying` only for calls that
are safe to repeat: calls that read, that cancel a job, or that request a token. Repeating `simulate` or a session
request could create a second job or session.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from odyssey_client.config import AdvancedConfig
from odyssey_client.errors import OdysseyApiError, OdysseyError, OdysseyUsageError, ServiceUnreachableError
from odyssey_client.platform import Clock
from odyssey_client.redaction import get_logger

logger = get_logger("odyssey_client")

_PASSING = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Rules for retries: which errors are retried, and after which delay. Times are in seconds.

    Attributes:
        maximum: The maximum number of retries.
        initial_delay: The delay before the first retry.
        max_delay: The longest delay, unless the service asks for a longer one.
        multiplier: The factor by which the delay grows from retry to retry.
        max_retry_after: The longest delay that the service may ask for.
        uniform: Returns a random number between two bounds. Each delay is shortened at random, by half at most, so
            that clients that failed together do not retry together.
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
        """Return the delay before retry number ``retry``, counted from 0.

        The delay is at least the shorter of ``retry_after`` and `max_retry_after`.
        """
        delay = self.initial_delay
        for _ in range(retry):
            if delay >= self.max_delay:
                break
            delay *= self.multiplier
        delay = min(delay, self.max_delay)
        asked = min(retry_after or 0.0, self.max_retry_after)
        return max(self.uniform(delay / 2, delay), asked)

    def pause(self, error: OdysseyError, retry: int) -> float | None:
        """Return the delay before retry number ``retry``, counted from 0; None if ``error`` must not be retried."""
        if retry >= self.maximum or not may_pass(error) or self.is_too_long(asked_wait(error)):
            return None
        return self.delay(retry, asked_wait(error))

    def is_too_long(self, wait: float | None) -> bool:
        """Return whether ``wait``, which the service asks for, is longer than `max_retry_after`."""
        return wait is not None and wait > self.max_retry_after


def may_pass(error: OdysseyError) -> bool:
    """Return whether ``error`` may be temporary: no response, 502, 503, 504, or a 429 with a time to wait."""
    match error:
        case ServiceUnreachableError():
            return error.retryable
        case OdysseyUsageError():
            return asked_wait(error) is not None
        case OdysseyApiError():
            return error.status in _PASSING
    return False


def asked_wait(error: OdysseyError) -> float | None:
    """Return the number of seconds that the service asks to wait; None if it states no time."""
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
    """Repeat ``attempt``, which must be safe to repeat, until it succeeds or ``policy`` allows no more retries.

    Raises:
        OdysseyError: the last attempt failed. A note on the error gives the number of attempts.
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
            logger.debug("retrying in %.2f s (retry %d of %d): %s", pause, retry + 1, policy.maximum, error)
        await clock.sleep(pause)
        retry += 1


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return ``Retry-After`` in seconds from now (RFC 9110 section 10.2.3); None if it is missing or invalid.

    A date is compared with the ``Date`` of the response, because the local clock may be wrong.
    """
    said = headers.get("Retry-After", "")
    if said.isascii() and said.isdigit() and len(said) < 10:
        return float(said)
    try:
        left = parsedate_to_datetime(said) - parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError, OverflowError):  # no valid dates, or one without a time zone
        return None
    return max(0.0, left.total_seconds())


def _explain(error: OdysseyError, retries: int, policy: RetryPolicy) -> None:
    notes: list[str] = []
    if retries:
        notes.append(f"Tried {retries + 1} times.")
    wait = asked_wait(error)
    if may_pass(error) and wait is not None and policy.is_too_long(wait):
        notes.append(
            f"Not retried: the service asks to wait {wait:g} s, longer than the limit of {policy.max_retry_after:g} s "
            "(AdvancedConfig.max_retry_after_s)."
        )
    for note in notes:
        # Calls that wait for the same access token raise the same error object: it may have the note already.
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)


_LONGEST = 1e15
"""Longest wait that `asked_wait` returns, in seconds. An integer in JSON can be too large for a float."""
