"""Errors as clients read them (`protocol.md` sections 2 and 5): the answers, and which error of the mock gets which.

Below this package nothing knows of HTTP: what cannot be done is raised there as an error of that package. `ANSWERS`
says what each of them is on the wire.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, override

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

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
from odyssey_mock.broadcasts.spectator import SpectatorGoneError
from odyssey_mock.core.picklable_error import PicklableError
from odyssey_mock.core.strict_json import JSON, read_json
from odyssey_mock.faults.fault import FaultError
from odyssey_mock.recordings.artifact_urls import UrlError
from odyssey_mock.recordings.recordings import NoArtifactError
from odyssey_mock.rtc.sdp_fragment import MEDIA_TYPE as FRAGMENT
from odyssey_mock.rtc.sdp_fragment import FragmentError
from odyssey_mock.sessions.registry import ConcurrentLimitError, NoStreamerError
from odyssey_mock.settings import UsageErrorForm
from odyssey_mock.simulations.jobs import NotCancellableError, QueueFullError
from odyssey_mock.simulations.request import InvalidRequestError

BILLING_URL = "https://platform.odyssey.ml/billing"


class ApiError(PicklableError):
    """An answer other than the one asked for: a status, and what its body has under `detail`."""

    def __init__(self, status: int, detail: JSON, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """Make the answer: FastAPI-shaped, `{"detail": ...}`."""
        # In ASCII: what it repeats may have lone surrogates in it, which JSON can escape and UTF-8 cannot encode.
        return Response(json.dumps({"detail": self.detail}), self.status, self.headers, media_type="application/json")


class BroadcastError(ApiError):
    """An answer other than the one asked for, in the form that the vendor's media server has for it."""

    @override
    def response(self) -> Response:
        """Make the answer: `{"status": "error", "error": ...}`."""
        return JSONResponse({"status": "error", "error": self.detail}, self.status, self.headers)


def unprocessable(loc: Sequence[str | int], message: str, kind: str) -> ApiError:
    """422 for one place of the request, `loc`, such as `("body", "api_key")`; `kind` as pydantic names it."""
    return ApiError(422, [{"loc": [*loc], "msg": message, "type": kind}])


USAGE_ERRORS: Mapping[UsageCode, tuple[str, str]] = {
    "MONTHLY_LIMIT_REACHED": (
        "Monthly usage limit reached ({used_hours:g} of {limit_hours:g} hours); it resets on {reset_date}",
        "Upgrade your plan or wait for the reset",
    ),
    "CONCURRENT_LIMIT_REACHED": (
        "Maximum concurrent sessions ({limit}) reached",
        "Close another session and try again",
    ),
    "STREAM_DURATION_EXCEEDED": (
        "Maximum stream duration ({max_duration_seconds:g} seconds) exceeded",
        "Start a new stream",
    ),
    "ACCOUNT_SUSPENDED": ("Account suspended: {reason}", "Contact support"),
    "RATE_LIMITED": ("Too many requests; try again in {retry_after_seconds:g} seconds", "Wait, then try again"),
}
"""Message and action of each usage error, by code; the message's fields are the keys of its `details`."""


def usage_error(
    code: UsageCode, *, form: UsageErrorForm = "object", message: str | None = None, **details: str | float
) -> ApiError:
    """429 for a limit of the account; `details` as `protocol.md` section 2 lists them for the code.

    `message` says more of the cause than that of the code does, with the same fields.

    Raises:
        KeyError: a detail of the code is missing.
    """
    usual, action = USAGE_ERRORS[code]
    text = (message or usual).format_map(details)
    # Whole seconds (RFC 9110 section 10.2.3), and none too early.
    headers = {"Retry-After": f"{math.ceil(float(details['retry_after_seconds']))}"} if code == "RATE_LIMITED" else {}
    if form == "string":
        return ApiError(429, text, headers)
    body: JSON = {"error": code, "message": text, "action": action, "action_url": BILLING_URL, "details": details}
    return ApiError(429, body, headers)


def _queue_full(full: QueueFullError, form: UsageErrorForm) -> ApiError:
    return usage_error(
        "RATE_LIMITED",
        form=form,
        message=f"{full.queued} simulations are queued, and an account may have {full.limit}; "
        "try again in {retry_after_seconds:g} seconds",
        retry_after_seconds=full.retry_after_seconds,
    )


type _Answer = Callable[[Any, UsageErrorForm], ApiError]  # Any: each takes errors of its own type

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
        FaultError: lambda error, _: unprocessable(["body"], str(error), "value_error"),
        SpectatorGoneError: lambda error, _: BroadcastError(
            404, f"the spectator was ended before it was answered: {error}"
        ),
        FragmentError: lambda error, _: BroadcastError(400, f"expected {FRAGMENT} (RFC 8840): {error}"),
        NoPlaylistError: lambda error, _: BroadcastError(404, f"there is no playlist: {error}"),
    }
)
"""What each error that is raised below HTTP is on the wire, its subclasses included."""


def answer_to(error: Exception, form: UsageErrorForm = "object") -> ApiError:
    """Say what an error is on the wire; `form`: of usage errors.

    Raises:
        KeyError: there is no answer to it: it is a defect.
    """
    if isinstance(error, ApiError):
        return error
    kind = next((kind for kind in type(error).__mro__ if kind in ANSWERS), type(error))
    return ANSWERS[kind](error, form)


def exception_handlers(form: UsageErrorForm) -> dict[type[Exception], ExceptionHandler]:
    """Make what Starlette turns errors into answers with; `form`: of usage errors."""

    async def answer(_request: object, error: Exception) -> Response:
        return answer_to(error, form).response()

    return {HTTPException: _http_exception, **dict.fromkeys((ApiError, *ANSWERS), answer)}


async def _http_exception(_request: object, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


async def parse[M: BaseModel](model: type[M], request: Request) -> M:
    """Read the body of the request as a `model`.

    Raises:
        ApiError: 422, with an entry for each thing that is wrong.
    """
    return validate(model, await read_body(request), "body")


async def read_body(request: Request) -> JSON:
    """Read the body of the request as JSON.

    Raises:
        ApiError: 422, there is none, or none that is JSON.
    """
    body = await request.body()
    if not body:
        raise unprocessable(["body"], "Field required", "missing")
    try:
        return read_json(body)
    except ValueError as error:
        place: list[str | int] = ["body", error.pos] if isinstance(error, json.JSONDecodeError) else ["body"]
        raise unprocessable(place, f"JSON decode error: {error}", "json_invalid") from error


def validate[M: BaseModel](model: type[M], value: object, source: Literal["body", "query"]) -> M:
    """Read `value` as a `model`; `source` is where it came from, as errors name it.

    Raises:
        ApiError: 422, with an entry for each thing that is wrong.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        # Without the input: it may be a secret.
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise ApiError(
            422, [{"loc": [source, *each["loc"]], "msg": each["msg"], "type": each["type"]} for each in found]
        ) from error
