"""Tests of access tokens: messages for rejected keys, renewal before expiry, and callers that share a renewal."""

import asyncio

import pytest

from odyssey_client.errors import OdysseyApiError, OdysseyAuthError, ServiceUnreachableError, UnexpectedResponseError
from odyssey_client.rest.auth import AccessToken, Token
from odyssey_client.rest.transport import Transport

from .conftest import API_KEY, Answer, Service, VirtualClock

TOKEN = "POST /auth/token"
MALFORMED_HINT = "check that the key was copied whole, without quotes"


@pytest.mark.parametrize(
    ("status", "detail", "message", "code"),
    [
        (401, "Invalid API key", "Invalid API key", "invalid_api_key"),
        (401, {"any": "thing"}, "Invalid API key", "invalid_api_key"),
        (403, "Account suspended", "API key access denied", "api_key_access_denied"),
        (403, None, "API key access denied", "api_key_access_denied"),
        (
            422,
            [{"loc": ["body", "api_key"], "msg": "String should match pattern", "type": "string_pattern_mismatch"}],
            f"Invalid API key format (body.api_key: String should match pattern): {MALFORMED_HINT}",
            "invalid_api_key_format",
        ),
    ],
)
async def test_rejected_key_raises_vendor_message(
    status: int, detail: object, message: str, code: str, service: Service, transport: Transport
) -> None:
    service.script[TOKEN] = Answer(status, {"detail": detail})
    with pytest.raises(OdysseyAuthError) as caught:
        await transport.authenticate()
    error = caught.value
    assert (str(error), error.code, error.status, error.detail) == (message, code, status, detail)
    assert error.request_id
    assert not error.retryable


async def test_denied_key_error_has_reason_note(service: Service, transport: Transport) -> None:
    service.script[TOKEN] = Answer(403, {"detail": "Account suspended"})
    with pytest.raises(OdysseyAuthError) as caught:
        await transport.authenticate()
    assert caught.value.__notes__ == ["The service says: Account suspended"]


async def test_key_in_error_response_is_masked(service: Service, transport: Transport) -> None:
    faults = [{"loc": ["body", "api_key"], "msg": f"{API_KEY} is bad", "input": {"api_key": API_KEY}}]
    service.script[TOKEN] = Answer(422, {"detail": faults})
    with pytest.raises(OdysseyAuthError, match=r"\*\*\* is bad") as caught:
        await transport.authenticate()
    assert API_KEY not in f"{caught.value} {caught.value.detail!r}"


async def test_other_error_status_raises_api_error(service: Service, transport: Transport) -> None:
    service.script[TOKEN] = Answer(503, {"detail": "Restarting"})
    with pytest.raises(OdysseyApiError, match="HTTP 503 Service Unavailable: Restarting"):
        await transport.authenticate()


@pytest.mark.parametrize(
    ("answer", "path", "expected", "got"),
    [
        ([], "", "a JSON object", "an array"),
        (None, "", "a JSON object", "nothing or null"),
        ({"expires_in": 1}, "access_token", "a non-empty string", "nothing or null"),
        ({"access_token": 5, "expires_in": 1}, "access_token", "a non-empty string", "a number"),
        ({"access_token": "a\nb", "expires_in": 1}, "access_token", "printable ASCII without spaces", "a string"),
        ({"access_token": "s3cret", "expires_in": "soon"}, "expires_in", "a number, 0 or more", "a string"),
        ({"access_token": "s3cret", "expires_in": True}, "expires_in", "a number, 0 or more", "a boolean"),
        ({"access_token": "s3cret"}, "expires_in", "a number, 0 or more", "nothing or null"),
    ],
)
async def test_malformed_response_error_names_path_and_kinds(
    answer: object, path: str, expected: str, got: str, service: Service, transport: Transport
) -> None:
    service.script[TOKEN] = Answer(body=answer)
    with pytest.raises(UnexpectedResponseError, match="POST /auth/token") as caught:
        await transport.authenticate()
    assert (caught.value.path, caught.value.expected, caught.value.got) == (path, expected, got)
    assert expected in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(("lifetime", "good_for"), [(3600, 3540), (100, 50), (0, 0)])
async def test_token_is_renewed_minute_before_expiry(
    lifetime: int, good_for: int, service: Service, transport: Transport, clock: VirtualClock
) -> None:
    service.script[TOKEN] = Answer(body={"access_token": "a", "expires_in": lifetime})
    await transport.authenticate()
    if good_for:
        clock.now += good_for - 1
        await transport.authenticate()
        assert len(service.calls(TOKEN)) == 1
        clock.now += 1
    await transport.authenticate()
    assert len(service.calls(TOKEN)) == 2


class Renewals:
    """A fake of the function that requests a new access token. Each call waits until the test sets `go`."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.go = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.fail: Exception | None = None

    async def __call__(self) -> Token:
        self.begun += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            await self.may_end.wait()
            raise
        if self.fail is not None:
            raise self.fail
        return Token(f"access-{self.begun}", 3600)


async def waiting(token: AccessToken, number: int) -> list[asyncio.Task[str]]:
    waiters = [asyncio.create_task(token.get()) for _ in range(number)]
    await turns()
    return waiters


async def turns(number: int = 5) -> None:
    for _ in range(number):
        await VirtualClock().sleep(0)


async def test_concurrent_callers_share_one_renewal() -> None:
    renew = Renewals()
    waiters = await waiting(AccessToken(renew, VirtualClock()), 5)
    renew.go.set()
    assert await asyncio.gather(*waiters) == ["access-1"] * 5
    assert renew.begun == 1


async def test_failed_renewal_fails_all_waiting_callers() -> None:
    renew = Renewals()
    token = AccessToken(renew, VirtualClock())
    waiters = await waiting(token, 3)
    renew.fail = ServiceUnreachableError("gone")
    renew.go.set()
    assert [str(e) for e in await asyncio.gather(*waiters, return_exceptions=True)] == ["gone"] * 3
    renew.fail = None
    assert await token.get() == "access-2"


async def test_cancelled_caller_does_not_cancel_shared_renewal() -> None:
    renew = Renewals()
    first, second, third = await waiting(AccessToken(renew, VirtualClock()), 3)
    first.cancel()
    await turns()
    assert first.cancelled()
    third.cancel()
    renew.go.set()
    assert await second == "access-1"
    assert renew.cancelled == 0


async def test_renewal_without_callers_is_cancelled() -> None:
    before = asyncio.all_tasks()
    renew = Renewals()
    token = AccessToken(renew, VirtualClock())
    waiters = await waiting(token, 2)
    for waiter in waiters:
        waiter.cancel()
    await asyncio.wait(waiters)
    assert renew.cancelled == 1
    assert asyncio.all_tasks() == before
    renew.go.set()
    assert await token.get() == "access-2"


async def test_caller_after_cancelled_renewal_starts_another() -> None:
    renew = Renewals()
    token = AccessToken(renew, VirtualClock())
    (first,) = await waiting(token, 1)
    renew.may_end.clear()
    first.cancel()
    await turns()
    assert renew.cancelled == 1
    (second,) = await waiting(token, 1)
    renew.go.set()
    assert await second == "access-2"
    renew.may_end.set()
    await asyncio.wait([first])
    assert first.cancelled()


async def test_discarding_old_token_keeps_newer_token() -> None:
    renew = Renewals()
    renew.go.set()
    token = AccessToken(renew, VirtualClock())
    old = await token.get()
    token.discard(old)
    new = await token.get()
    token.discard(old)
    assert token.current == new == "access-2"


def test_token_value_is_not_in_repr() -> None:
    assert "s3cret" not in repr(Token("s3cret", 60))
