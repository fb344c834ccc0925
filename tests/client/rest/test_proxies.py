"""Tests of the proxies that the environment defines, which HTTP and WebSocket connections share."""

import os
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import WebSocketException
from websockets.http11 import Request, Response

from odyssey_client import SystemNetwork
from odyssey_client.rest.proxies import EnvironmentProxyError, environment_proxy
from tests.support.proxy_server import proxying
from tests.support.tls_server import certified

PROXY = "http://proxy.example:3128"
ELSEWHERE = "192.0.2.7"
"""An address that belongs to no machine (RFC 5737), so that only a proxy can connect to it."""

NAMES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "WS_PROXY", "WSS_PROXY", "SOCKS_PROXY"]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("variables", "http", "https"),
    [
        ({}, None, None),
        ({"HTTP_PROXY": PROXY}, PROXY, None),
        ({"HTTPS_PROXY": PROXY}, None, PROXY),
        ({"ALL_PROXY": PROXY}, PROXY, PROXY),
        ({"all_proxy": "http://other.example:1", "HTTP_PROXY": PROXY}, PROXY, "http://other.example:1"),
        ({"http_proxy": "", "HTTP_PROXY": PROXY}, None, None),
        ({"WS_PROXY": PROXY, "WSS_PROXY": PROXY}, None, None),
        ({"SOCKS_PROXY": "socks5://proxy.example:1080"}, None, None),
        ({"ALL_PROXY": "proxy.example:3128"}, PROXY, PROXY),
        ({"HTTP_PROXY": " proxy.example:3128 "}, PROXY, None),
        ({"ALL_PROXY": "HTTP://Proxy.Example:3128/"}, PROXY, PROXY),
        ({"HTTP_PROXY": "proxy.example"}, "http://proxy.example:80", None),
        ({"HTTP_PROXY": "https://proxy.example"}, "https://proxy.example:443", None),
        ({"ALL_PROXY": "socks5h://proxy.example"}, *["socks5h://proxy.example:1080"] * 2),
        ({"HTTP_PROXY": "http://[fd00::9]:3128"}, "http://[fd00::9]:3128", None),
        ({"HTTP_PROXY": "http://bücher.example:1"}, "http://xn--bcher-kva.example:1", None),
        ({"HTTP_PROXY": "http://me@proxy.example:1"}, "http://me:@proxy.example:1", None),
        ({"HTTP_PROXY": "me:p%40ss@proxy.example:1"}, "http://me:p%40ss@proxy.example:1", None),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "api.example"}, None, None),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "other.example, .EXAMPLE"}, None, None),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "*"}, None, None),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "api.example:443"}, PROXY, None),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "api.example:80"}, None, PROXY),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "pi.example"}, PROXY, PROXY),
    ],
    ids=str,
)
def test_environment_defines_proxy_of_url(
    variables: Mapping[str, str], http: str | None, https: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert [environment_proxy(f"{scheme}://api.example/a") for scheme in ("http", "ws")] == [http, http]
    assert [environment_proxy(f"{scheme}://api.example/a") for scheme in ("https", "wss")] == [https, https]


@pytest.mark.parametrize("listed", ["2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:8400"])
def test_no_proxy_lists_ipv6_addresses(listed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", listed)

    assert environment_proxy("ws://[2001:db8::1]:8400/client") is None
    assert environment_proxy("ws://[2001:db8::2]:8400/client") == PROXY


@pytest.mark.parametrize("host", ["127.0.0.1:8400", "localhost", "[::1]:8400", "mock.localhost"])
def test_loopback_has_no_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", PROXY)

    assert [environment_proxy(f"{scheme}://{host}/") for scheme in ("http", "https", "ws", "wss")] == [None] * 4


hosts = st.sampled_from(["api.example", "api.example:8400", "192.0.2.7", "[2001:db8::1]", "localhost:8400"])
values = st.sampled_from(["", "*", "proxy.example", PROXY, "socks5://proxy.example", "https://proxy.example:1"])


@given(hosts, st.dictionaries(st.sampled_from([*NAMES, *map(str.lower, NAMES)]), values | hosts))
def test_http_and_websocket_have_the_same_proxy(host: str, variables: Mapping[str, str]) -> None:
    with patch.dict(os.environ, variables):
        assert environment_proxy(f"ws://{host}/") == environment_proxy(f"http://{host}/")
        assert environment_proxy(f"wss://{host}/") == environment_proxy(f"https://{host}/")


@pytest.mark.parametrize(
    ("proxy", "message"),
    [
        ("socks://me:secret@proxy.example:1080", "expected one of the schemes .* got 'socks'"),
        ("nonsense://me:secret@proxy.example", "got 'nonsense'"),
        ("me:se://secret@proxy.example:3128", "got 'me'"),
        ("http://", "got a URL of another form"),
        ("http://proxy.example:port", "got a URL of another form"),
        ("proxy.example:65536", "got a URL of another form"),
        ("http://proxy.example/path", "got a URL of another form"),
        ("http://me:1/secret@proxy.example:3128", "special characters of user and password percent-encoded"),
        ("http://me:secret#1@proxy.example:3128", "special characters of user and password percent-encoded"),
        ("http://me:secret%ff@proxy.example:3128", "special characters of user and password percent-encoded"),
        ("http://me:secret@[fd00::9:3128", "got a URL of another form"),
        ("http://me:secret@" + "a" * 64 + ".example", "got a URL of another form"),
    ],
)
async def test_unusable_proxy_is_reported_without_secret(
    proxy: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(EnvironmentProxyError, match=message) as decided:
        SystemNetwork().proxy("https://api.example/")
    with pytest.raises(httpx.UnsupportedProtocol) as over_http:
        await get("https://api.example/")
    with pytest.raises(WebSocketException) as over_websocket:
        SystemNetwork().websocket("wss://api.example/")

    assert str(over_http.value) == str(over_websocket.value) == str(decided.value)
    assert "secret" not in str(decided.value)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_socks_proxy_needs_packages(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setitem(sys.modules, "python_socks", None)
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://me:secret@proxy.example")

    with pytest.raises(httpx.UnsupportedProtocol, match=r"pip install socksio") as over_http:
        await get("https://api.example/")
    with pytest.raises(WebSocketException, match=r"pip install python-socks") as over_websocket:
        SystemNetwork().websocket("wss://api.example/")

    assert "secret" not in f"{over_http.value} {over_websocket.value}"


@pytest.mark.parametrize("proxy_scheme", ["", "http://me:p%40ss@", "https://me:p%40ss@"])
@pytest.mark.parametrize("is_secure", [False, True])
async def test_http_and_websocket_connect_through_proxy(
    proxy_scheme: str, is_secure: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_server, of_proxy = tmp_path / "server", tmp_path / "proxy"
    of_server.mkdir()
    of_proxy.mkdir()
    server_tls, proxy_tls = certified(of_server, ELSEWHERE), certified(of_proxy, "127.0.0.1")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes((of_server / "certificate.pem").read_bytes() + (of_proxy / "certificate.pem").read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))

    async with (
        echoing(server_tls if is_secure else None) as target,
        proxying(target, proxy_tls if proxy_scheme.startswith("https") else None) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY" if is_secure else "HTTP_PROXY", f"{proxy_scheme}127.0.0.1:{proxy.port}")
        answer = await get(f"{'https' if is_secure else 'http'}://{ELSEWHERE}/page")
        async with SystemNetwork().websocket(f"{'wss' if is_secure else 'ws'}://{ELSEWHERE}/client") as socket:
            await socket.send("hello")
            echo = await socket.recv()

    assert (answer, echo) == ("/page", "hello")
    if is_secure:
        assert proxy.requests == [f"CONNECT {ELSEWHERE}:443"] * 2
    else:
        assert proxy.requests == [f"GET http://{ELSEWHERE}/page", f"CONNECT {ELSEWHERE}:80"]
    assert proxy.credentials == ({"Basic bWU6cEBzcw=="} if "@" in proxy_scheme else set())


async def test_environment_is_read_for_each_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        echoing() as target,
        proxying(target) as proxy,
        httpx.AsyncClient(transport=SystemNetwork().http_transport()) as client,
    ):
        await client.get(f"http://127.0.0.1:{target}/direct")
        monkeypatch.setenv("ALL_PROXY", f"127.0.0.1:{proxy.port}")
        await client.get(f"http://127.0.0.1:{target}/direct")
        await client.get(f"http://{ELSEWHERE}/through")
        monkeypatch.setenv("NO_PROXY", f"{ELSEWHERE}:80")
        assert SystemNetwork().proxy(f"ws://{ELSEWHERE}/") is None

    assert proxy.requests == [f"GET http://{ELSEWHERE}/through"]


@asynccontextmanager
async def echoing(tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Run a server that echoes WebSocket messages, and answers HTTP requests with their path; yield its port."""

    def respond(connection: ServerConnection, request: Request) -> Response | None:
        return None if "Upgrade" in request.headers else connection.respond(HTTPStatus.OK, request.path)

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(echo, "127.0.0.1", 0, process_request=respond, ssl=tls) as server:
        yield next(iter(server.sockets)).getsockname()[1]


async def get(url: str) -> str:
    """Return the body of the response to a GET request that the client's network sends."""
    async with httpx.AsyncClient(transport=SystemNetwork().http_transport()) as client:
        return (await client.get(url)).text
