"""Error responses (`protocol.md` sections 2 and 5), and the mapping from the mock's errors to these responses.

Lower layers raise errors without HTTP statuses. `ANSWERS` maps each class of these errors to a response.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, override

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from odyssey_mock.accounts.errors import (
    AccountSuspendedError,
    InvalidKeyError,
    InvalidTokenError,
    MalformedKeyError,
    NoCapacityError,
    UsageCode,
    UsageLimitError,
)
from odyssey_mock.broadcasts.hls import NoPlaylistError
from odyssey_mock.broadcasts.monitors import NoRunningStreamError, TooManyMonitorsError
from odyssey_mock.broadcasts.registry import TooManySpectatorsError
from odyssey_mock.broadcasts.spectator import LateAnswerError, SpectatorGoneError
from odyssey_mock.core.clock import ClockEndError, ClockKindError
from odyssey_mock.core.picklable_error import PicklableError
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.fault import FaultError
from odyssey_mock.http.ascii_json import AsciiJSONResponse
from odyssey_mock.http.public_urls import service_path
from odyssey_mock.http.request_body import SlowBodyError, body_of
from odyssey_mock.http.usage_error_forms import DetailForm
from odyssey_mock.recordings.artifact_urls import UrlError
from odyssey_mock.recordings.frame_pictures import NoFrameError, TooManyPicturesError
from odyssey_mock.recordings.recordings import NoArtifactError
from odyssey_mock.rtc.sdp_fragment import MEDIA_TYPE as FRAGMENT
from odyssey_mock.rtc.sdp_fragment import FragmentError
from odyssey_mock.sessions.errors import SessionStateError
from odyssey_mock.sessions.registry import ConcurrentLimitError, NoStreamerError
from odyssey_mock.sessions.signaling_socket import CloseFrameError
from odyssey_mock.simulations.jobs import NotCancellableError, QueueFullError
from odyssey_mock.simulations.request import InvalidRequestError
from odyssey_mock.simulations.scripts import FAULT_LIMIT

if TYPE_CHECKING:
    from pydantic import BaseModel

SPECTATOR_RETRY = "5"
"""The `Retry-After` in seconds for a spectator that the mock has no capacity for; when it has some is not known."""

BILLING_URL = "https://platform.odyssey.ml/billing"


class ApiError(PicklableError):
    """An error response: a status and the `detail` of its body."""

    def __init__(self, status: int, detail: JSON, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """Create the response, in FastAPI's form: `{"detail": ...}`."""
        return AsciiJSONResponse({"detail": self.detail}, self.status, self.headers)


class BroadcastError(ApiError):
    """An error response in the form of the vendor's media server."""

    @override
    def response(self) -> Response:
        """Create the response: `{"status": "error", "error": ...}`."""
        return JSONResponse({"status": "error", "error": self.detail}, self.status, self.headers)


def unprocessable(loc: Sequence[str | int], message: str, kind: str) -> ApiError:
    """Create a 422 error for the value at `loc`, such as `("body", "api_key")`; `kind` is a pydantic error type."""
    return ApiError(422, [{"loc": [*loc], "msg": message, "type": kind}])


USAGE_ERRORS: Mapping[UsageCode, tuple[str, str]] = {
    "MONTHLY_LIMIT_REACHED": (
        "Monthly usage limit reached ({used_hours:g} of {limit_hours:g} hours); it resets on {reset_date}",
        "Upgrade your plan or wait for the reset",
    ),
    "CONCURRENT_LIMIT_REACHED": (
        "Maximum concurrent sessions ({limit}) reached",
        "Close another session, then try again",
    ),
    "STREAM_DURATION_EXCEEDED": (
        "Maximum stream duration ({max_duration_seconds:g} seconds) exceeded",
        "Start a new stream",
    ),
    "ACCOUNT_SUSPENDED": ("Account suspended: {reason}", "Contact support"),
    "RATE_LIMITED": ("Too many requests; retry in {retry_after_seconds:g} seconds", "Wait, then try again"),
}
"""Message and action of each usage error, by code; the message is formatted with the error's `details`."""


def usage_error(
    code: UsageCode, *, form: DetailForm = "object", message: str | None = None, **details: str | float
) -> ApiError:
    """Create a 429 error for a limit of the account. `protocol.md` section 2 lists the `details` for each `code`.

    `message` is used instead of the message in `USAGE_ERRORS`, and is formatted with the same `details`.

    Raises:
        KeyError: a required detail is missing.
    """
    usual, action = USAGE_ERRORS[code]
    text = (message or usual).format_map(details)
    # Whole seconds (RFC 9110 section 10.2.3), rounded up so that clients do not retry too early.
    headers = {"Retry-After": f"{math.ceil(float(details['retry_after_seconds']))}"} if code == "RATE_LIMITED" else {}
    if form == "string":
        return ApiError(429, text, headers)
    body: JSON = {"error": code, "message": text, "action": action, "action_url": BILLING_URL, "details": details}
    return ApiError(429, body, headers)


def _queue_full(full: QueueFullError, form: DetailForm) -> ApiError:
    return usage_error(
        "RATE_LIMITED",
        form=form,
        message=f"Simulations queued by this account: {full.queued}, limit: {full.limit}; "
        "retry in {retry_after_seconds:g} seconds",
        retry_after_seconds=full.retry_after_seconds,
    )


type _Answer = Callable[[Any, DetailForm], ApiError]  # Any: each takes its own type of error

ANSWERS: Mapping[type[Exception], _Answer] = MappingProxyType(
    {
        MalformedKeyError: lambda error, _: unprocessable(["body", "api_key"], str(error), "string_pattern_mismatch"),
        InvalidKeyError: lambda error, _: ApiError(401, str(error)),
        AccountSuspendedError: lambda error, _: ApiError(403, str(error)),
        InvalidTokenError: lambda error, _: ApiError(
            401, str(error), {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        ),
        UsageLimitError: lambda error, form: usage_error(error.code, form=form, **error.details),
        ConcurrentLimitError: lambda error, form: usage_error(
            "CONCURRENT_LIMIT_REACHED", form=form, active_count=error.active, limit=error.limit
        ),
        NoCapacityError: lambda error, _: ApiError(503, str(error)),
        NoStreamerError: lambda _, __: ApiError(503, str(NoCapacityError())),
        InvalidRequestError: lambda error, _: ApiError(422, error.faults),
        QueueFullError: _queue_full,
        NotCancellableError: lambda error, _: ApiError(400, f"Cannot cancel a job that is {error.status}"),
        UrlError: lambda error, _: ApiError(403, str(error)),
        NoArtifactError: lambda error, _: ApiError(404, f"Artifact not found: {error}"),
        ClockKindError: lambda error, _: ApiError(409, str(error)),
        ClockEndError: lambda error, _: ApiError(409, str(error)),
        FaultError: lambda error, _: unprocessable(["body", *error.loc], str(error), "value_error"),
        SpectatorGoneError: lambda error, _: BroadcastError(
            404, f"the connection was closed before the SDP answer was sent: {error}"
        ),
        SlowBodyError: lambda error, _: ApiError(408, str(error), {"Connection": "close"}),
        TooManySpectatorsError: lambda error, _: BroadcastError(503, str(error), {"Retry-After": SPECTATOR_RETRY}),
        LateAnswerError: lambda error, _: BroadcastError(
            503, f"the connection was closed, because {error}; try again later", {"Retry-After": SPECTATOR_RETRY}
        ),
        SessionStateError: lambda error, _: ApiError(409, str(error)),
        CloseFrameError: lambda error, _: unprocessable(["body", error.field], str(error), "value_error"),
        NoFrameError: lambda error, _: ApiError(404, str(error)),
        TooManyPicturesError: lambda error, _: ApiError(503, str(error), {"Retry-After": "1"}),
        NoRunningStreamError: lambda error, _: ApiError(404, str(error)),
        TooManyMonitorsError: lambda error, _: ApiError(503, str(error), {"Retry-After": SPECTATOR_RETRY}),
        FragmentError: lambda error, _: BroadcastError(400, f"invalid {FRAGMENT} (RFC 8840): {error}"),
        NoPlaylistError: lambda error, _: BroadcastError(404, f"no playlist: {error}"),
    }
)
"""For each error class of lower layers, the function that creates the response; also used for its subclasses."""
_EXPECTED = tuple(ANSWERS)


def answer_to(error: Exception, form: DetailForm = "object") -> ApiError:
    """Return the response to an error; `form` states whether the `detail` of usage errors is an object or a string.

    Raises:
        KeyError: `ANSWERS` has no response for the class of the error, which is a bug in the mock.
    """
    if isinstance(error, ApiError):
        return error
    kind = next((kind for kind in type(error).__mro__ if kind in ANSWERS), type(error))
    return ANSWERS[kind](error, form)


@dataclass(frozen=True, slots=True)
class ErrorResponses:
    """Creates the responses to errors.

    Attributes:
        form_for: function that returns the form of the `detail` of usage errors in the response to a request.
    """

    form_for: Callable[[HTTPConnection], DetailForm]

    def response_to(self, request: HTTPConnection, error: Exception) -> Response | None:
        """Return the response to an error, and note its cause; return None if the error is a bug in the mock."""
        if isinstance(error, HTTPException):
            return _http_exception(request, error)
        if isinstance(error, ApiError):
            answer = error
        elif isinstance(error, _EXPECTED):
            answer = answer_to(error, self.form_for(request))
        else:
            return None
        note_cause(request.scope, "; ".join(getattr(error, "__notes__", ())) or _text(answer.detail))
        return answer.response()


def note_cause(scope: Scope, why: str) -> None:
    """Note why a request gets an unusual response; the journal entry of the request shows all causes, in order."""
    known = scope.setdefault("state", {})
    known["why"] = f"{known['why']}; {why}" if "why" in known else why


def _text(detail: JSON) -> str:
    """Return the `detail` of an error response as one sentence."""
    match detail:
        case {"message": str(message)}:
            return message
        case list():
            return "; ".join(
                f"{'.'.join(map(str, each.get('loc', ())))}: {each.get('msg')}"
                for each in detail
                if isinstance(each, dict)
            )
        case _:
            return str(detail)


def _http_exception(request: HTTPConnection, error: HTTPException) -> Response:
    method, path = request.scope["method"], service_path(request.scope)
    allowed = (error.headers or {}).get("Allow")
    if allowed is not None:
        note_cause(request.scope, f"{path} has no method {method}; expected {allowed}")
    elif error.status_code == HTTPStatus.NOT_FOUND:
        note_cause(request.scope, f"the service has no route {method} {path}")
    else:
        note_cause(request.scope, str(error.detail))
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


async def parse[M: BaseModel](model: type[M], request: Request) -> M:
    """Parse the body of the request as a `model`.

    Raises:
        ApiError: 422, with one entry for each invalid value.
    """
    return validate(model, await read_body(request), "body")


async def read_body(request: Request, *, unique: bool = False) -> JSON:
    """Parse the body of the request as JSON; for `unique`, see `read_json`.

    Raises:
        ApiError: 422, the body is missing or is not JSON; 413, it is larger than the limit of its route.
    """
    body = body_of(request)
    if not await body.read():
        raise unprocessable(["body"], "Field required", "missing")
    try:
        return await body.json(unique=unique)
    except ValueError as error:
        place: list[str | int] = ["body", error.pos] if isinstance(error, json.JSONDecodeError) else ["body"]
        raise unprocessable(place, f"JSON decode error: {error}", "json_invalid") from error


def validate[M: BaseModel](model: type[M], value: object, source: Literal["body", "query"]) -> M:
    """Validate `value` as a `model`; `source` is the first element of `loc` in each error.

    Raises:
        ApiError: 422, with one entry for each of the first invalid values.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - only requests with values to validate need pydantic

    try:
        return model.model_validate(value)
    except ValidationError as error:
        # Leave out the input, because it may be a secret.
        found = error.errors(include_url=False, include_context=False, include_input=False)
        listed: list[JSON] = [
            {"loc": [source, *each["loc"]], "msg": each["msg"], "type": each["type"]} for each in found[:FAULT_LIMIT]
        ]
        if len(found) > FAULT_LIMIT:
            more = f"and {len(found) - FAULT_LIMIT} more"
            listed.append({"loc": [source], "msg": more, "type": "too_many_errors"})
        raise ApiError(422, listed) from error
