"""From an HTTP answer with an error status to the error to raise.

Nothing about the body is taken for granted: a proxy's HTML, a string where an object belongs or no body at all each
give a readable error of the right class. A secret that the service repeats is blanked out first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from odyssey_client.errors import (
    USAGE_ERRORS,
    ConcurrentLimitReachedError,
    OdysseyApiError,
    OdysseyAuthError,
    OdysseyError,
    OdysseyUsageError,
    RateLimitError,
    excerpt,
)
from odyssey_client.models import JSON

BLANK = "***"

_MAXIMUM_DEPTH = 16
_RETRYABLE = frozenset({408, 425, 500, 502, 503, 504})
_CONCURRENT_SESSIONS = re.compile(r"Maximum concurrent sessions \((\d{1,9})\) reached")


@dataclass(frozen=True, slots=True)
class Failure:
    """An HTTP answer that is no success.

    Attributes:
        call: What was asked, such as ``POST /sessions/request``.
        status: The HTTP status.
        detail: The body's ``detail`` if it has one, else the body, as JSON or text; without secrets.
        request_id: The id of the call.
        retry_after: The ``Retry-After`` header in seconds, if it had one of that form.
    """

    call: str
    status: int
    detail: JSON
    request_id: str
    retry_after: float | None = None

    def error(self) -> OdysseyError:
        """Make the error that stands for this answer."""
        return _BY_STATUS.get(self.status, _other)(self)


def detail_of(body: JSON, secrets: Collection[str]) -> JSON:
    """Return what the body of an error says (FastAPI's ``{"detail": ...}``, else all of it), secrets blanked out."""
    detail = body["detail"] if isinstance(body, dict) and "detail" in body else body
    return blanked(detail, [secret for secret in secrets if secret])


def blanked(value: JSON, secrets: Collection[str], *, depth: int = 0) -> JSON:
    """Return ``value`` with ``secrets`` replaced in all strings and keys, and cut off where it nests too deep."""
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, BLANK)
        return value
    if isinstance(value, list | dict) and depth >= _MAXIMUM_DEPTH:
        return "…"
    if isinstance(value, list):
        return [blanked(item, secrets, depth=depth + 1) for item in value]
    if isinstance(value, dict):
        return {str(blanked(key, secrets)): blanked(item, secrets, depth=depth + 1) for key, item in value.items()}
    return value


def readable(detail: JSON) -> str:
    """Put the detail of an error into one line; FastAPI's list of faults becomes ``body.field: message; ...``."""
    if isinstance(detail, list):
        return excerpt("; ".join(_fault(item) for item in detail[:5]))
    if isinstance(detail, dict):
        message = detail.get("message")
        return excerpt(message) if isinstance(message, str) and message else excerpt(str(detail))
    return "" if detail is None else excerpt(str(detail))


def _fault(item: JSON) -> str:
    if not isinstance(item, dict) or not isinstance(item.get("msg"), str):
        return str(item)
    location = item.get("loc")
    path = ".".join(str(part) for part in location) if isinstance(location, list) else ""
    return f"{path}: {item['msg']}" if path else str(item["msg"])


def _unauthorized(failure: Failure) -> OdysseyError:
    return OdysseyAuthError(
        f"{failure.call}: the service does not accept the access token that it gave for this API key",
        status=failure.status,
        detail=failure.detail,
        request_id=failure.request_id,
    )


def _usage(failure: Failure) -> OdysseyError:
    """Read a 429: an object, the plain string of services before 1.1, or whatever a proxy said."""
    said: Mapping[str, JSON] = failure.detail if isinstance(failure.detail, dict) else {"message": failure.detail}
    code, message, details = _text(said.get("error")), _text(said.get("message")), said.get("details")
    numbers = dict(details) if isinstance(details, dict) else {}
    concurrent = _CONCURRENT_SESSIONS.search(message or "")
    if concurrent:
        numbers.setdefault("limit", int(concurrent[1]))
    if failure.retry_after is not None:
        numbers.setdefault("retry_after_seconds", failure.retry_after)
    if code is None:
        code = _code_without_one(is_concurrent=concurrent is not None, says_when="retry_after_seconds" in numbers)
    kind = USAGE_ERRORS.get(code or "", OdysseyUsageError)
    limit = numbers.get("limit")
    if kind is ConcurrentLimitReachedError and type(limit) is int:
        message = f"Maximum concurrent sessions ({excerpt(str(limit))}) reached"  # the seed's words, whatever came
    return kind(
        message or f"{failure.call}: a usage limit is reached (HTTP 429)",
        code=code,
        action=_text(said.get("action")),
        action_url=_text(said.get("action_url")),
        details=numbers,
        detail=failure.detail,
        request_id=failure.request_id,
    )


def _code_without_one(*, is_concurrent: bool, says_when: bool) -> str | None:
    if is_concurrent:
        return ConcurrentLimitReachedError.default_code
    return RateLimitError.default_code if says_when else None


def _other(failure: Failure) -> OdysseyError:
    said = readable(failure.detail)
    error = OdysseyApiError(
        f"{failure.call}: HTTP {failure.status}{_phrase(failure.status)}{f': {said}' if said else ''}",
        status=failure.status,
        detail=failure.detail,
        request_id=failure.request_id,
        retryable=failure.status in _RETRYABLE,
    )
    error.retry_after_seconds = failure.retry_after
    return error


_BY_STATUS: Mapping[int, Callable[[Failure], OdysseyError]] = {401: _unauthorized, 429: _usage}


def _text(value: JSON) -> str | None:
    return excerpt(value) or None if isinstance(value, str) else None


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:  # not a status with a name
        return ""
