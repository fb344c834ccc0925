"""Tests of authorization and error responses."""

import httpx
import pytest

from odyssey_mock.accounts.errors import AccountError, InvalidTokenError, TokenExpiredError
from odyssey_mock.http.errors import ANSWERS, USAGE_ERRORS, ApiError, answer_to, usage_error


@pytest.mark.off_contract("the token is missing or unknown")
@pytest.mark.parametrize(
    ("authorization", "detail"),
    [
        (None, "Not authenticated"),
        ("", "Not authenticated"),
        ("Bearer", "Not authenticated"),
        ("Basic b2R5Og==", "Not authenticated"),
        ("Bearer made-up", "Invalid access token"),
    ],
)
async def test_missing_or_unknown_token_is_401(http: httpx.AsyncClient, authorization: str | None, detail: str) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    for method, path in (("GET", "/regions"), ("POST", "/sessions/request"), ("POST", "/sessions/token")):
        answer = await http.request(method, path, headers=headers, json={} if method == "POST" else None)
        assert (answer.status_code, answer.json()) == (401, {"detail": detail})
        assert answer.headers["www-authenticate"].startswith("Bearer")


DETAILS: dict[str, dict[str, str | float]] = {
    "MONTHLY_LIMIT_REACHED": {"used_hours": 9.5, "limit_hours": 10, "reset_date": "2026-02-01"},
    "CONCURRENT_LIMIT_REACHED": {"active_count": 5, "limit": 5},
    "STREAM_DURATION_EXCEEDED": {"max_duration_seconds": 150},
    "ACCOUNT_SUSPENDED": {"reason": "payment overdue"},
    "RATE_LIMITED": {"retry_after_seconds": 30},
}


@pytest.mark.parametrize("code", USAGE_ERRORS)
def test_usage_error_message_contains_its_details(code: str) -> None:
    error = usage_error(code, **DETAILS[code])  # type: ignore[arg-type]
    assert error.status == 429
    assert isinstance(error.detail, dict)
    assert error.detail["error"] == code
    assert error.detail["details"] == DETAILS[code]
    for name, value in DETAILS[code].items():
        if name != "active_count":
            assert f"{value:g}" if isinstance(value, float) else str(value) in str(error.detail["message"])


def test_string_form_of_usage_error_is_the_message() -> None:
    error = usage_error("CONCURRENT_LIMIT_REACHED", form="string", active_count=5, limit=5)
    assert error.detail == "Maximum concurrent sessions (5) reached"


def test_usage_error_accepts_a_custom_message() -> None:
    error = usage_error(
        "RATE_LIMITED", message="Too many jobs; wait {retry_after_seconds:g} s", retry_after_seconds=1.5
    )
    assert isinstance(error.detail, dict)
    assert error.detail["message"] == "Too many jobs; wait 1.5 s"
    assert error.headers == {"Retry-After": "2"}


def test_usage_error_with_missing_detail_raises_key_error() -> None:
    with pytest.raises(KeyError, match="limit"):
        usage_error("CONCURRENT_LIMIT_REACHED", active_count=5)


def test_api_error_text_has_status_and_detail() -> None:
    assert str(ApiError(503, "No streamer")) == "503: No streamer"


def test_every_account_error_has_a_response() -> None:
    assert {kind for kind in AccountError.__subclasses__() if kind not in ANSWERS} == set()


def test_subclass_uses_the_response_of_its_base() -> None:
    expired, invalid = answer_to(TokenExpiredError()), answer_to(InvalidTokenError())
    assert (expired.status, expired.headers) == (invalid.status, invalid.headers)
    assert (expired.detail, invalid.detail) == ("Access token expired", "Invalid access token")


def test_error_without_a_response_raises_key_error() -> None:
    with pytest.raises(KeyError):
        answer_to(LookupError("not in the table of responses"))
