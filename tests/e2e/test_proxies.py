"""Tests of live sessions through the proxy that the environment defines."""

import pytest

from odyssey_client import AdvancedConfig, ClientCredentials, Odyssey, ServiceUnreachableError, SignalingError
from odyssey_mock import MockOdyssey
from tests.support.proxy_server import proxying

HOST = "service.example"
"""A host that does not exist (RFC 2606), so that only the proxy can connect to it."""

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.odyssey(portrait_size=(176, 320))
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
async def test_live_session_uses_one_proxy(
    odyssey_mock: MockOdyssey, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(odyssey_mock.url.rpartition(":")[2])
    async with proxying(port) as proxy:
        monkeypatch.setenv(variable, f"127.0.0.1:{proxy.port}")
        async with Odyssey(odyssey_mock.api_key, api_url=f"http://{HOST}") as client:
            await client.connect()
            await client.start_stream("A cat")
            await anext(client.frames())

    assert f"POST http://{HOST}/auth/token" in proxy.requests
    assert f"CONNECT {HOST}:80" in proxy.requests


@pytest.mark.parametrize("proxy", ["socks://me:secret@proxy.example:1080", "http://me:secret/1@proxy.example"])
async def test_unusable_proxy_is_reported_by_connect(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    settings = AdvancedConfig(max_retries=0, telemetry=False)
    credentials = ClientCredentials("session", f"ws://{HOST}", "token", 60)

    async with Odyssey("ody_key", api_url=f"http://{HOST}", advanced=settings) as client:
        with pytest.raises(ServiceUnreachableError, match="the environment's proxy cannot be used") as over_http:
            await client.connect()
    async with Odyssey.keyless(advanced=settings) as client:
        with pytest.raises(SignalingError, match="the environment's proxy cannot be used") as over_websocket:
            await client.connect_with_credentials(credentials)

    assert not over_http.value.retryable
    assert "secret" not in f"{over_http.value} {over_websocket.value}"
