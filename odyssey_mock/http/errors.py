"""Errors as clients read them (`protocol.md` section 2): FastAPI-shaped bodies, `{"detail": ...}`."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ValidationError
from starlette.requests import HTTPConnection, Request

from odyssey_mock.core.strict_json import JSON, read_json
from odyssey_mock.settings import UsageErrorForm

if TYPE_CHECKING:
    from odyssey_mock.accounts.accounts import Account
    from odyssey_mock.backend import Backend

type UsageCode = Literal[
    "MONTHLY_LIMIT_REACHED", "CONCURRENT_LIMIT_REACHED", "STREAM_DURATION_EXCEEDED", "ACCOUNT_SUSPENDED", "RATE_LIMITED"
]

BILLING_URL = "https://platform.odyssey.ml/billing"


class ApiError(Exception):
    """An answer other than the one asked for: a status, and what its body has under `detail`."""

    def __init__(self, status: int, detail: JSON, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


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


def backend_of(connection: HTTPConnection) -> "Backend":
    """Find the backend that a request or socket came to."""
    backend: Backend = connection.app.state.backend
    return backend


async def authorized(request: Request) -> "Account":
    """Find the account whose access token the request carries (RFC 6750), and name it in the journal.

    Raises:
        ApiError: 401, the token is missing, unknown or expired.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise ApiError(401, "Not authenticated", {"WWW-Authenticate": "Bearer"})
    account = backend_of(request).accounts.holder_of(token.strip())
    request.state.account = account.id
    return account
