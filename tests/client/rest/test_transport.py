"""Tests of the HTTP transport over real sockets: requests, responses, tokens and errors."""

import asyncio
import logging
import socket
from typing import Any

import pytest

from odyssey_client.errors import (
    OdysseyApiError,
    OdysseyAuthError,
    OdysseyConfigError,
    OdysseyConnectionError,
    ServiceUnreachableError,
    UnexpectedResponseError,
)
from odyssey_client.rest.transport import Transport

from .conftest import API_KEY, Answer, MakeTransport, Service


async def test_request_has_json_bearer_token_and_request_id(service: Service, transport: Transport) -> None:
    service.script["POST /things?limit=5"] = Answer(body={"ok": True})
    assert await transport.request("POST", "/things", json={"a": "é"}, params={"limit": 5}) == {"ok": True}
    asked = service.calls("POST /things?limit=5")[0]
    assert asked.body == {"a": "é"}
    assert asked.headers["authorization"] == "Bearer access-1"
    assert asked.headers["user-agent"].startswith("odyssey-testkit/")
    assert len(asked.headers["x-request-id"]) == 36
    assert service.calls("POST /auth/token")[0].body == {"api_key": API_KEY}


async def test_call_without_auth_sends_no_token(service: Service, make: MakeTransport) -> None:
    service.script["GET /open"] = Answer(body=[1])
    assert await make(api_key=None).request("GET", "/open", auth="none") == [1]
    assert "authorization" not in service.asked[0].headers


async def test_optional_token_is_sent_only_if_present(service: Service, transport: Transport) -> None:
    service.script["GET /open"] = Answer(body=1)
    await transport.request("GET", "/open", auth="optional")
    await transport.authenticate()
    await transport.request("GET", "/open", auth="optional")
    assert ["authorization" in asked.headers for asked in service.calls("GET /open")] == [False, True]


async def test_client_without_api_key_requests_no_token(service: Service, make: MakeTransport) -> None:
    with pytest.raises(OdysseyConfigError, match="api_key is required"):
        await make(api_key=None).request("GET", "/things")
    assert service.asked == []


async def test_empty_response_body_is_none(service: Service, transport: Transport) -> None:
    service.script["DELETE /thing"] = Answer(200, b"")
    assert await transport.request("DELETE", "/thing") is None


@pytest.mark.parametrize("body", [b"<html>", b"\xff\xfe\xff", b"[" * 50_000, b'{"a": 1', b"\0"])
async def test_success_without_json_raises_unexpected_response(
    body: bytes, service: Service, transport: Transport
) -> None:
    service.script["GET /thing"] = Answer(200, body, {"Content-Type": "text/html", "X-Request-Id": "r-7"})
    with pytest.raises(
        UnexpectedResponseError, match=r"GET /thing: HTTP 200 with a body that is not JSON \(text/html\)"
    ) as e:
        await transport.request("GET", "/thing")
    assert (e.value.expected, e.value.got, e.value.status, e.value.request_id) == ("JSON", "text/html", 200, "r-7")


async def test_error_has_status_detail_and_request_id(service: Service, transport: Transport) -> None:
    service.script["GET /thing"] = Answer(404, {"detail": "Thing not found"}, {"X-Request-Id": "r-8"})
    with pytest.raises(OdysseyApiError) as caught:
        await transport.request("GET", "/thing")
    error = caught.value
    assert str(error) == "GET /thing: HTTP 404 Not Found: Thing not found"
    assert (error.status, error.detail, error.request_id, error.retryable) == (404, "Thing not found", "r-8", False)


async def test_request_id_defaults_to_sent_one(service: Service, transport: Transport) -> None:
    service.script["GET /thing"] = Answer(500, {"detail": "x"})
    with pytest.raises(OdysseyApiError) as caught:
        await transport.request("GET", "/thing")
    assert caught.value.request_id == service.calls("GET /thing")[0].headers["x-request-id"]
    assert caught.value.retryable


async def test_rejected_token_is_renewed_once(service: Service, transport: Transport) -> None:
    service.script["POST /auth/token"] = [
        Answer(body={"access_token": f"access-{n}", "expires_in": 3600}) for n in (1, 2)
    ]
    service.script["GET /thing"] = [Answer(401, {"detail": "Token expired"}), Answer(body="here")]
    assert await transport.request("GET", "/thing") == "here"
    assert [asked.headers["authorization"] for asked in service.calls("GET /thing")] == [
        "Bearer access-1",
        "Bearer access-2",
    ]


async def test_token_rejected_twice_raises_auth_error(service: Service, transport: Transport) -> None:
    service.script["GET /thing"] = Answer(401, {"detail": "Unknown token access-1"})
    with pytest.raises(OdysseyAuthError, match="rejected the access token") as caught:
        await transport.request("GET", "/thing")
    assert len(service.calls("GET /thing")) == 2
    assert caught.value.detail == "Unknown token ***"


async def test_concurrent_calls_share_one_token_renewal(service: Service, transport: Transport) -> None:
    async def thing(asked: Any) -> Answer:
        return Answer(body=1) if asked.headers["authorization"] == "Bearer access-2" else Answer(401, {"detail": "x"})

    service.script["POST /auth/token"] = [
        Answer(body={"access_token": f"access-{n}", "expires_in": 3600}) for n in (1, 2, 3)
    ]
    service.script["GET /thing"] = thing
    await transport.authenticate()
    assert await asyncio.gather(*(transport.request("GET", "/thing") for _ in range(10))) == [1] * 10
    assert len(service.calls("POST /auth/token")) == 2


async def test_timeout_error_names_url_limit_and_setting(service: Service, make: MakeTransport) -> None:
    service.script["GET /slow"] = Answer(until=asyncio.Event())
    with pytest.raises(ServiceUnreachableError, match=rf"{service.url}/slow .* within 0\.05 s.*request_timeout_s") as e:
        await make(request_timeout_s=0.05).request("GET", "/slow", auth="none")
    assert e.value.code == "request_timeout"
    assert e.value.retryable


async def test_call_can_set_its_own_timeout(service: Service, transport: Transport) -> None:
    service.script["GET /slow"] = Answer(until=asyncio.Event())
    with pytest.raises(ServiceUnreachableError, match=r"within 0\.02 s"):
        await transport.request("GET", "/slow", auth="none", timeout=0.02)


def unused_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    assert isinstance(port, int)
    return port


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_refused_connection_error_names_url(host: str, make: MakeTransport) -> None:
    url = f"http://{host}:{unused_port()}"
    with pytest.raises(ServiceUnreachableError, match=f"GET {url}/thing got no answer: .+ Check the URL") as caught:
        await make(api_url=url).request("GET", "/thing", auth="none")
    assert isinstance(caught.value, OdysseyConnectionError)
    assert caught.value.request_id


@pytest.mark.parametrize(
    "url", ["http://" + "a" * 70 + ".localhost", "http://.localhost", "http://a b", "http://xn--ü"]
)
async def test_invalid_host_raises_service_unreachable(url: str, make: MakeTransport) -> None:
    with pytest.raises(ServiceUnreachableError, match="got no answer"):
        await make(api_url=url).request("GET", "/thing", auth="none")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
    ],
)
async def test_invalid_or_truncated_http_raises_service_unreachable(
    raw: bytes, service: Service, transport: Transport
) -> None:
    service.script["GET /thing"] = Answer(raw=raw)
    with pytest.raises(ServiceUnreachableError, match="got no answer"):
        await transport.request("GET", "/thing", auth="none")


async def test_redirect_of_token_request_is_not_followed(service: Service, transport: Transport) -> None:
    service.script["POST /auth/token"] = Answer(307, b"", {"Location": f"{service.url}/elsewhere"})
    with pytest.raises(OdysseyApiError, match="HTTP 307 Temporary Redirect"):
        await transport.authenticate()
    assert service.calls("POST /elsewhere") == []


async def test_connections_are_kept_until_transport_is_closed(service: Service, transport: Transport) -> None:
    service.script["GET /thing"] = Answer(body=1)
    for _ in range(3):
        await transport.request("GET", "/thing")
    assert service.opened == 1
    await transport.aclose()
    await transport.aclose()
    assert await transport.request("GET", "/thing") == 1
    assert service.opened == 2


async def test_close_during_call_raises_service_unreachable(service: Service, transport: Transport) -> None:
    service.script["GET /slow"] = Answer(until=asyncio.Event())
    call = asyncio.create_task(transport.request("GET", "/slow"))
    await service.until_asked("GET /slow")
    await transport.aclose()
    with pytest.raises(ServiceUnreachableError):
        await call


async def test_log_has_request_id_and_no_secrets(
    service: Service, transport: Transport, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    service.script["GET /thing"] = Answer(body=1, headers={"X-Request-Id": "r-9"})
    await transport.request("GET", "/thing")
    assert "GET /thing: HTTP 200 in" in caplog.text
    assert "(request r-9)" in caplog.text
    assert API_KEY not in caplog.text
    assert "access-1" not in caplog.text


async def test_ping_accepts_2xx_and_sends_no_token(service: Service, transport: Transport) -> None:
    service.script["GET /ping"] = [Answer(204, b""), Answer(503, b"")]
    await transport.authenticate()
    assert await transport.ping(f"{service.url}/ping")
    assert not await transport.ping(f"{service.url}/ping")
    assert "authorization" not in service.calls("GET /ping")[0].headers
