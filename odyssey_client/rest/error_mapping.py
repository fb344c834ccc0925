"""Conversion of HTTP error responses to exceptions.

The body may be HTML of a proxy, JSON of any shape, or empty; the message of the exception is readable in every case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from odyssey_client.errors import (
    ConcurrentLimitReachedError,
    OdysseyApiError,
    OdysseyError,
    OdysseyUsageError,
    RateLimitError,
    ScriptError,
    ScriptFault,
    excerpt,
)
from odyssey_client.models import JSON
from odyssey_client.service_errors import Row, Source, row

_CONCURRENT_SESSIONS = re.compile(r"Maximum concurrent sessions \((\d{1,9})\) reached")


@dataclass(frozen=True, slots=True)
class Failure:
    """An HTTP response with an error status.

    Attributes:
        call: The method and path, such as ``POST /sessions/request``.
        status: The HTTP status.
        detail: The body's ``detail`` field if it has one, else the body, as JSON or text. Only the error redacts it.
        request_id: The id of the request.
        retry_after: The ``Retry-After`` header in seconds; None if it is missing or invalid.
        route: The call as service_errors.py lists it, such as ``GET /simulation-jobs/{job_id}``; if empty, ``call``.
        names: Values of the placeholders in the messages of service_errors.py, such as ``job_id``.
        source: Where the service reported the error; `Source.WHEP` for a response to a spectator.
    """

    call: str
    status: int
    detail: JSON
    request_id: str
    retry_after: float | None = None
    route: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    source: Source = Source.REST

    def error(self) -> OdysseyError:
        """Return the exception that service_errors.py defines for this response."""
        found = row(self.source, self.status, self.route or self.call)
        make = next((make for kind, make in _MAKERS.items() if issubclass(found.kind, kind)), _plain)
        return make(self, found)


def detail_of(body: JSON) -> JSON:
    """Return the ``detail`` field of an error body, or the whole body if it has none. It is not redacted."""
    return body["detail"] if isinstance(body, dict) and "detail" in body else body


def readable(detail: JSON) -> str:
    """Format the detail of an error as one line; FastAPI's list of errors becomes ``body.field: message; ...``."""
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


def _plain(failure: Failure, found: Row) -> OdysseyError:
    error = found.kind(
        _message(failure, found),
        code=found.code,
        status=failure.status,
        detail=failure.detail,
        request_id=failure.request_id,
        retryable=found.retryable,
    )
    if isinstance(error, OdysseyApiError):
        error.retry_after_seconds = failure.retry_after
    if found.note and (note := _filled(found.note, failure).strip()):
        # The vendor fixes the message word for word (protocol.md section 9), so the reason goes into a note.
        error.add_note(note)
    return error


def _message(failure: Failure, found: Row) -> str:
    if found.text:
        return _filled(found.text, failure)
    said = readable(failure.detail)
    return f"{failure.call}: HTTP {failure.status}{_phrase(failure.status)}{f': {said}' if said else ''}"


def _filled(text: str, failure: Failure) -> str:
    why = readable(failure.detail)
    shown = {name: excerpt(value, 100) for name, value in failure.names.items()}
    return text.format(
        **shown,
        call=failure.call,
        why=f" ({why})" if why else "",
        says=f" The service says: {why}" if why else "",
    )


def _usage(failure: Failure, _: Row) -> OdysseyError:
    """Return the error for a 429 response.

    The detail is an object, a string (as clients of the 1.0 series expect), or a body from a proxy.
    """
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
    found = row(Source.USAGE, code or "")
    if not issubclass(found.kind, OdysseyUsageError):
        raise TypeError(f"service_errors.py: expected an OdysseyUsageError for a 429, got {found.kind.__name__}")
    limit = numbers.get("limit")
    if found.text and type(limit) is int:
        message = found.text.format(limit=excerpt(str(limit)))  # the vendor fixes this message
    return found.kind(
        message or f"{failure.call}: a usage limit is reached (HTTP 429)",
        code=code,
        action=_text(said.get("action")),
        action_url=_text(said.get("action_url")),
        details=numbers,
        detail=failure.detail,
        request_id=failure.request_id,
        retryable=found.retryable,
    )


def _code_without_one(*, is_concurrent: bool, says_when: bool) -> str | None:
    if is_concurrent:
        return ConcurrentLimitReachedError.default_code
    return RateLimitError.default_code if says_when else None


def _script(failure: Failure, _: Row) -> OdysseyError:
    """Return the error for a 422 response to the creation of a job.

    The detail is FastAPI's list of errors, or any other JSON.
    """
    items = failure.detail if isinstance(failure.detail, list) else []
    faults = [_script_fault(item) for item in items if isinstance(item, dict) and isinstance(item.get("msg"), str)]
    if not faults:
        faults = [ScriptFault("the request", readable(failure.detail) or "the service rejected it (HTTP 422)", "")]
    return ScriptError(faults, status=failure.status, detail=failure.detail, request_id=failure.request_id)


def _script_fault(item: Mapping[str, JSON]) -> ScriptFault:
    location = item.get("loc")
    steps = location if isinstance(location, list) else []
    path = _script_path(steps[1:] if steps[:1] == ["body"] else steps)
    return ScriptFault(path or "the request", excerpt(str(item["msg"]).removeprefix(f"{path}: ")), "")


def _script_path(steps: list[JSON]) -> str:
    """Format ``["scripts", 1, 3, "interact", "prompt"]`` as ``scripts[1][3].interact.prompt``."""
    path = "".join(f"[{step}]" if type(step) is int else f".{excerpt(str(step), 40)}" for step in steps)
    return path.removeprefix(".")


_MAKERS: Mapping[type[OdysseyError], Callable[[Failure, Row], OdysseyError]] = {
    OdysseyUsageError: _usage,
    ScriptError: _script,
}
"""Converters for error classes with additional attributes."""


def _text(value: JSON) -> str | None:
    return excerpt(value) or None if isinstance(value, str) else None


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:  # a status without a standard phrase
        return ""
