"""Tests of the URLs that the mock sends. They follow from a setting, the headers of trusted proxies, or the request."""

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import httpx
import pytest
import pytest_asyncio
from aiortc import RTCConfiguration, RTCPeerConnection
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send
from websockets.asyncio.client import connect

from odyssey_mock import MockOdyssey
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.url_parts import SERVICE_SEGMENTS, Authority, BaseUrl
from odyssey_mock.http.app import Service
from odyssey_mock.http.endpoint import SharedEndpoint
from odyssey_mock.http.public_urls import (
    IGNORED_KEPT,
    LONGEST_LIST,
    IgnoredHeaders,
    PublicUrls,
    base_url,
    ice_servers,
    parse_forwarded,
    read_forwarded,
    service_path,
)
from odyssey_mock.settings import Settings
from odyssey_mock.system_network import SystemNetwork
from tests.support.raw import RawPeer
from tests.support.recordings import remembered
from tests.support.simulations import URLS, job, script, submit
from tests.support.tls_contexts import NO_CERTIFICATES
from tests.support.whep import SDP, go_live

OWN = "http://mock.test:8400"
"""The address that the requests of `seen` state."""
LOCAL, PROXY, STRANGER = "127.0.0.1", "10.0.0.9", "192.0.2.7"
"""Addresses that send requests: this machine, a trusted proxy, and an address that is not trusted."""
TOKEN = "0123456789abcdef"
EXAMPLE = {"Forwarded": "proto=https;host=example.com", "X-Forwarded-Prefix": "/mock"}


@asynccontextmanager
async def reporting(
    sender: str,
    public_url: str | None = None,
    udp_addresses: Sequence[str] = (),
    trusted_proxies: Sequence[str] = ("10.0.0.0/8", "fd00::1"),
) -> AsyncIterator[httpx.AsyncClient]:
    """Yield an HTTP client whose requests come from `sender`. The responses contain the URLs of the application."""

    async def report(request: Request) -> JSONResponse:
        urls = {"url": base_url(request), "stun": ice_servers(request)[0]["urls"], "path": service_path(request.scope)}
        return JSONResponse({**urls, "host": request.headers["host"]})

    rule = Middleware(
        PublicUrls,
        public_url=public_url,
        trusted_proxies=trusted_proxies,
        stun_port=3478,
        udp_addresses=udp_addresses,
        ignored=lambda *_: None,
    )
    app = Starlette(routes=[Route("/report", report)], middleware=[rule])
    transport = httpx.ASGITransport(app, client=(sender, 50000))
    async with httpx.AsyncClient(transport=transport, base_url="http://10.0.0.5:8400") as http:
        yield http


async def reported(
    headers: Mapping[str, str],
    sender: str = LOCAL,
    *,
    public_url: str | None = None,
    udp_addresses: Sequence[str] = (),
    trusted_proxies: Sequence[str] = ("10.0.0.0/8", "fd00::1"),
    path: str = "/report",
) -> Mapping[str, str]:
    async with reporting(sender, public_url, udp_addresses, trusted_proxies) as http:
        response = await http.get(path, headers={"Host": "mock.test:8400", **headers})
    found: Mapping[str, str] = response.raise_for_status().json()
    return found


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, OWN),
        ({"Host": "mock.test"}, "http://mock.test"),
        ({"Host": "mock.test:80"}, "http://mock.test"),
        ({"Host": "[fd00::5]:8400"}, "http://[fd00::5]:8400"),
        # RFC 7239
        ({"Forwarded": "proto=https;host=example.com"}, "https://example.com"),
        ({"Forwarded": 'PROTO="https" ; Host="example.com:8443";ext=1'}, "https://example.com:8443"),
        ({"Forwarded": 'for="[2001:db8::1]:4711";by=_hidden;proto=https;host=a'}, "https://a"),
        ({"Forwarded": "host=example.com:8443;proto=http"}, "http://example.com:8443"),
        ({"Forwarded": 'host="ex\\ample.com"'}, "http://example.com"),
        ({"Forwarded": "proto=wss;host=a:443"}, "https://a"),
        ({"Forwarded": "proto=https"}, "https://mock.test:8400"),
        ({"Forwarded": "for=192.0.2.7"}, OWN),
        # Only the values of trusted proxies count: the last one, and those before it whose senders are trusted.
        ({"Forwarded": "host=evil.example;proto=https, host=a"}, "http://a"),
        ({"Forwarded": "for=192.0.2.9;host=evil.example, for=192.0.2.7;host=a"}, "http://a"),
        ({"Forwarded": 'for=192.0.2.7;host=a;proto=https, for="10.0.0.8:123";host=b'}, "https://a"),
        ({"Forwarded": 'for=x;host=c, for=y;proto=https, for="[fd00::1]";host=b'}, "https://b"),
        ({"Forwarded": "for=unknown;host=a, for=unknown"}, OWN),
        # X-Forwarded-*
        ({"X-Forwarded-Proto": "https", "X-Forwarded-Host": "example.com"}, "https://example.com"),
        ({"X-Forwarded-Host": "a:8443", "X-Forwarded-Port": "443"}, "http://a:8443"),
        ({"X-Forwarded-Host": "a", "X-Forwarded-Port": "8443", "X-Forwarded-Proto": "https"}, "https://a:8443"),
        ({"Host": "a", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443"}, "https://a"),
        # A port completes the host that is stated, or else replaces the port of `Host`
        ({"X-Forwarded-Port": "8443"}, "http://mock.test:8443"),
        ({"X-Forwarded-Port": "443", "X-Forwarded-Proto": "https"}, "https://mock.test"),
        ({"X-Forwarded-Port": "8443", "X-Forwarded-Host": "a b"}, "http://mock.test:8443"),
        ({"X-Forwarded-Prefix": "/mock/"}, f"{OWN}/mock"),
        ({"X-Forwarded-Prefix": "/mock/auth"}, f"{OWN}/mock/auth"),
        ({"X-Forwarded-Prefix": "/authors"}, f"{OWN}/authors"),
        ({"X-Forwarded-Host": "evil.example, a", "X-Forwarded-Proto": "https,http"}, "http://a"),
        (
            {
                "X-Forwarded-For": "192.0.2.9, 192.0.2.7, 10.0.0.8",
                "X-Forwarded-Host": "evil.example, a, b",
                "X-Forwarded-Prefix": "/evil, /outer, /inner",
            },
            "http://a/outer/inner",
        ),
        # Not every proxy appends to both lists: the last value is certainly that of the last proxy
        ({"X-Forwarded-For": "x, 192.0.2.7, 10.0.0.8", "X-Forwarded-Host": "evil.example, b"}, "http://b"),
        ({"X-Forwarded-For": "192.0.2.7, 10.0.0.8", "X-Forwarded-Host": "evil.example, c, b"}, "http://b"),
        ({"X-Forwarded-For": "192.0.2.7, 10.0.0.8", "X-Forwarded-Prefix": "/mock"}, f"{OWN}/mock"),
        # Scheme and host from one kind of headers
        ({"Forwarded": "host=evil;proto=http", "X-Forwarded-Host": "b", "X-Forwarded-Proto": "https"}, "https://b"),
        ({"Forwarded": "host=evil", "X-Forwarded-Proto": "https"}, "https://mock.test:8400"),
        ({"Forwarded": "host=evil;proto=https", "X-Forwarded-Port": "99"}, "http://mock.test:99"),
        ({"Forwarded": "host=a;proto=https", "X-Forwarded-For": "192.0.2.7"}, "https://a"),
        (EXAMPLE, "https://example.com/mock"),
    ],
    ids=str,
)
async def test_proxy_headers_state_the_clients_url(headers: Mapping[str, str], expected: str) -> None:
    found = await reported(headers)
    assert found["url"] == expected
    assert found["path"] == "/report"


@pytest.mark.parametrize(
    "headers",
    [
        {"Forwarded": "host=user@evil.example"},
        {"Forwarded": 'host="a\\\\@evil"'},
        {"Forwarded": 'host="a b"'},
        {"Forwarded": "host=a/b;proto=gopher"},
        {"Forwarded": "host=a;host=b"},
        {"Forwarded": 'host="a'},
        {"Forwarded": 'host=a"b"'},
        {"Forwarded": "host"},
        {"Forwarded": ";,;,"},
        {"X-Forwarded-Host": "a\tb"},
        {"X-Forwarded-Host": "a:99999"},
        {"X-Forwarded-Host": "[::1"},
        {"X-Forwarded-Proto": "javascript"},
        {"X-Forwarded-Port": "0"},
        {"X-Forwarded-Prefix": "//evil.example"},
        {"X-Forwarded-Prefix": "/../admin"},
        {"X-Forwarded-Prefix": "mock"},
        {"X-Forwarded-Prefix": "/a?b"},
        {"X-Forwarded-Prefix": "/auth"},
        {"X-Forwarded-Prefix": "/_mock/mock"},
        {"Forwarded": f"ext={'a' * LONGEST_LIST};host=a"},
        {"X-Forwarded-Host": f"{'b,' * (LONGEST_LIST // 2)}a"},
    ],
    ids=lambda headers: str(headers)[:60],
)
async def test_invalid_proxy_headers_are_ignored(headers: Mapping[str, str]) -> None:
    assert (await reported(headers))["url"] == OWN


@pytest.mark.parametrize("host", ["user@evil.example", "a b", "a/b", "a:0", "", "[::1"])
async def test_invalid_host_is_replaced_by_the_listening_address(host: str) -> None:
    found = await reported({"Host": host})
    assert (found["url"], found["host"]) == ("http://10.0.0.5:8400", "10.0.0.5:8400")


@pytest.mark.parametrize(
    ("sender", "is_trusted"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.255.0.1", True),
        ("::ffff:10.0.0.9", True),
        ("fd00::1", True),
        ("fd00::2", False),
        ("192.0.2.7", False),
        ("::ffff:192.0.2.7", False),
        ("a-name", False),
    ],
)
async def test_only_trusted_senders_state_the_url(sender: str, is_trusted: bool) -> None:
    assert (await reported(EXAMPLE, sender))["url"] == ("https://example.com/mock" if is_trusted else OWN)


@pytest.mark.parametrize("sender", [LOCAL, PROXY, STRANGER])
async def test_public_url_takes_precedence(sender: str) -> None:
    found = await reported(EXAMPLE, sender, public_url="https://set.example:8443/a/b")
    assert (found["url"], found["host"]) == ("https://set.example:8443/a/b", "set.example:8443")


@pytest.mark.parametrize("path", ["/report", "/mock/report"])
@pytest.mark.parametrize("public_url", [None, "https://example.com/mock"])
async def test_path_may_begin_with_the_prefix(path: str, public_url: str | None) -> None:
    found = await reported(EXAMPLE, public_url=public_url, path=path)
    assert (found["url"], found["path"]) == ("https://example.com/mock", "/report")


async def test_unknown_prefix_is_not_removed() -> None:
    async with reporting(LOCAL) as http:
        assert (await http.get("/other/report", headers=EXAMPLE)).status_code == 404
        assert (await http.get("/mockery/report", headers=EXAMPLE)).status_code == 404


async def test_prefix_of_a_service_path_is_ignored(odyssey_mock: MockOdyssey) -> None:
    """With `X-Forwarded-Prefix: /auth`, `/auth/token` is the token route, not `/token` below the prefix."""
    routes = Service(odyssey_mock.backend, odyssey_mock.go_away).routes
    segments = {route.path.split("/")[1] for route in routes if isinstance(route, Route | Mount)}
    assert segments == {*SERVICE_SEGMENTS, ""}, "expected the segments of the service, and the redirect at /"
    for segment in SERVICE_SEGMENTS:
        found = await reported({"X-Forwarded-Prefix": f"/{segment}"})
        assert (found["url"], found["path"]) == (OWN, "/report")


async def test_redirect_leads_to_the_clients_url() -> None:
    async with reporting(LOCAL) as http:
        response = await http.get("/report/?a=b", headers=EXAMPLE)
    assert (response.status_code, response.headers["location"]) == (307, "https://example.com/mock/report?a=b")


@pytest.mark.parametrize(
    ("headers", "sender", "public_url", "host"),
    [
        # Directly: the host that the client uses
        ({}, STRANGER, None, "mock.test"),
        ({"Host": "[fd00::5]:8400"}, STRANGER, None, "[fd00::5]"),
        ({}, LOCAL, None, "mock.test"),
        # A name or address of this machine: the address at which the request arrived
        ({"Host": "localhost:8400"}, LOCAL, None, "10.0.0.5"),
        ({"Host": "127.0.0.1:8400"}, "10.0.0.1", None, "10.0.0.5"),
        # A proxy on this machine
        (EXAMPLE, LOCAL, None, "example.com"),
        ({}, LOCAL, "https://example.com/mock", "example.com"),
        # A proxy on another machine: UDP does not pass through it
        (EXAMPLE, PROXY, None, "10.0.0.5"),
        ({}, STRANGER, "https://example.com/mock", "10.0.0.5"),
        # No trusted proxy
        (EXAMPLE, STRANGER, None, "mock.test"),
    ],
)
async def test_stun_host_is_reachable_for_the_client(
    headers: Mapping[str, str], sender: str, public_url: str | None, host: str
) -> None:
    assert (await reported(headers, sender, public_url=public_url))["stun"] == f"stun:{host}:3478"


@pytest.mark.parametrize(
    ("host", "advertised", "expected"),
    [
        ("192.0.2.9:8400", ["192.0.2.1", "192.0.2.9"], "192.0.2.9"),
        ("[2001:db8::9]:8400", ["192.0.2.1", "2001:db8::9"], "[2001:db8::9]"),
        ("mock.test:8400", ["192.0.2.1", "192.0.2.9"], "192.0.2.1"),
        ("localhost:8400", ["192.0.2.1", "192.0.2.9"], "192.0.2.1"),
        # Ports that a container publishes on the loopback address, and its own address for other containers
        ("127.0.0.1:8400", ["192.0.2.1", "127.0.0.1"], "127.0.0.1"),
        ("localhost:8400", ["192.0.2.1", "127.0.0.1"], "127.0.0.1"),
        ("mock:8400", ["127.0.0.1", "192.0.2.1"], "192.0.2.1"),
        ("mock:8400", ["127.0.0.1"], "127.0.0.1"),
        ("localhost:8400", ["::1", "192.0.2.1"], "[::1]"),
    ],
)
async def test_stun_host_is_an_advertised_address(host: str, advertised: Sequence[str], expected: str) -> None:
    assert (await reported({"Host": host}, udp_addresses=advertised))["stun"] == f"stun:{expected}:3478"


tokens = st.text("abcXYZ019!#$%&'*+-.^_`|~", min_size=1, max_size=5)
values = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=20)
names = st.sampled_from(["forwarded", *(f"x-forwarded-{name}" for name in ("for", "proto", "host", "port", "prefix"))])


def quoted(value: str) -> str:
    return '"{}"'.format(re.sub(r'(["\\])', r"\\\1", value))


elements_of = st.lists(
    st.dictionaries(tokens.map(str.lower), tokens | values, min_size=1, max_size=3), min_size=1, max_size=3
)
delimiters = st.sampled_from([(";", ","), (" ; ", " , "), (";;", ",,")])


@given(elements_of, delimiters, st.booleans(), st.sampled_from([str, str.upper]))
def test_forwarded_elements_survive_serialization(
    elements: list[dict[str, str]], delimiter: tuple[str, str], has_tokens: bool, spelled: Callable[[str], str]
) -> None:
    def pair(name: str, value: str) -> str:
        is_token = has_tokens and re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", value)
        return f"{spelled(name)}={value if is_token else quoted(value)}"

    header = delimiter[1].join(delimiter[0].join(pair(*each) for each in element.items()) for element in elements)
    assert parse_forwarded(header) == elements


@pytest.mark.parametrize(
    "text",
    [
        "a=b," + " " * 10**5 + "x",
        "a=b;" + " \t" * 10**5 + "=",
        "a" * 10**5,
        'a="' + "\\a" * 10**5,
        "a=" + "b" * 10**5 + '"',
        "a=b" + " ;" * 10**5 + "x",
    ],
    ids=lambda text: f"{text[:6]}...{text[-1]}",
)
@pytest.mark.timeout(30)  # with a search that is not linear: several minutes
def test_malformed_header_takes_linear_time(text: str) -> None:
    assert parse_forwarded(text) == ()


@given(st.lists(st.tuples(names, values | st.from_regex(r"[a-z/:@.,;=\"\\]*"))), st.sets(values))
def test_any_headers_result_in_a_valid_url(pairs: list[tuple[str, str]], trusted: set[str]) -> None:
    headers = Headers(raw=[(name.encode(), value.encode("latin-1", "replace")) for name, value in pairs])
    url = read_forwarded(headers, BaseUrl("http", Authority("mock.test", 8400)), trusted.__contains__)
    assert BaseUrl.read(str(url)) is not None, str(url)


@pytest.mark.parametrize("is_removed", [True, False], ids=["prefix removed", "prefix kept"])
@pytest.mark.parametrize("is_setting", [True, False], ids=["public_url", "headers"])
async def test_every_url_of_the_mock_follows_the_rule(is_setting: bool, is_removed: bool) -> None:
    base = "https://example.com/mock"
    public_url, headers = (base, {}) if is_setting else (None, EXAMPLE)
    async with (
        MockOdyssey(
            public_url=public_url, control_hosts=["example.com"], clock="manual", portrait_size=(176, 320), fps=2
        ) as mock,
        httpx.AsyncClient(
            base_url=mock.listening_url + ("" if is_removed else "/mock"),
            headers=headers,
            trust_env=False,
            verify=NO_CERTIFICATES,
        ) as http,
    ):
        assert mock.url == (base if is_setting else mock.listening_url)
        answer = await http.post("/auth/token", json={"api_key": mock.api_key})
        http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        session = (await http.post("/sessions/request", json={})).json()
        assert session["signalling_url"] == f"wss://example.com/mock/signaling/{session['streamer_id']}"
        assert (await http.get("/_mock/health")).json()["url"] == base
        for region in (await http.get("/regions")).json()["regions"]:
            assert region["ping_url"] == f"{base}/ping/{region['id']}"
        job_id = await submit(http, script(1))
        await mock.advance(60)
        (simulated,) = (await job(http, job_id))["streams"]
        recording = (await http.get(f"/recordings/{remembered(mock)}")).json()
        for files in (simulated, recording):
            for name in URLS:
                assert files[name].startswith(f"{base}/artifacts/{files['stream_id']}/")
                assert (await http.get(files[name].removeprefix(base))).status_code == 200
        stun = {"iceServers": [{"urls": f"stun:example.com:{mock.backend.stun_port}"}]}
        assert (await http.get(f"/signaling/{session['streamer_id']}/config")).json() == stun
        assert (await http.get("/config")).json() == stun
        async with host_of(http, session, headers) as host:
            live = await go_live(mock, host)
            path = f"/broadcast/{live.stream_id}"
            assert live.ready["webrtc_url"] == base + path
            assert live.ready["broadcast_url"] == f"{base}{path}/hls/index.m3u8?token={live.token}"
            spectator = await http.post(
                f"{path}/whep", params={"token": live.token}, content=await offer(), headers=SDP
            )
            assert spectator.headers["Location"].startswith(f"/mock{path}/whep/")
            link = f'<stun:example.com:{mock.backend.stun_port}>; rel="ice-server"'
            assert spectator.headers["Link"] == link
            resource = spectator.headers["Location"].removeprefix("/mock")
            assert [(await http.options(each)).headers["Link"] for each in (f"{path}/whep", resource)] == [link, link]
            assert (await http.delete(resource)).status_code == 200
            of_api = mock.broadcasts[live.stream_id]
            assert of_api.webrtc_url == mock.url + path
            assert of_api.hls_url == f"{mock.url}{path}/hls/index.m3u8?token={live.token}"


async def offer() -> str:
    """Return a complete SDP offer of a peer that is already closed, so that it never connects."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        peer.addTransceiver("video", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        return str(peer.localDescription.sdp)
    finally:
        await peer.close()


@asynccontextmanager
async def host_of(
    http: httpx.AsyncClient, session: Mapping[str, str], headers: Mapping[str, str]
) -> AsyncIterator[RawPeer]:
    """Connect to the signaling socket of `session` at the address of `http`, and yield the peer."""
    token = (await http.post("/sessions/token", json={"session_id": session["session_id"]})).json()["session_token"]
    path = f"/signaling/{session['streamer_id']}/client/{session['session_id']}?token={token}"
    url = f"{http.base_url}".rstrip("/").replace("http", "ws", 1) + path
    async with connect(url, proxy=None, additional_headers=headers) as socket, RawPeer(socket) as peer:
        yield peer


async def test_journal_omits_the_prefix(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    await http.get("/mock/ping/us-east-1", headers=EXAMPLE)
    (entry,) = odyssey_mock.journal.find("rest")
    assert (entry.data["path"], entry.data["route"]) == ("/ping/us-east-1", "/ping/{region}")


# Senders that are not trusted


@pytest_asyncio.fixture
async def strangers_mock() -> AsyncIterator[MockOdyssey]:
    """Run a mock whose clock stands still, and that takes every request for one of `STRANGER`."""

    def around(app: ASGIApp) -> ASGIApp:
        async def from_a_stranger(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "client": (STRANGER, 50000)}, receive, send)

        return from_a_stranger

    async with (
        SharedEndpoint(SystemNetwork(), "127.0.0.1", 0, around) as endpoint,
        MockOdyssey(plan="unlimited", clock="manual", control_token=TOKEN, endpoint=endpoint) as mock,
    ):
        yield mock


@pytest_asyncio.fixture
async def stranger(strangers_mock: MockOdyssey) -> AsyncIterator[httpx.AsyncClient]:
    """Yield an authorized HTTP client of `strangers_mock`."""
    async with httpx.AsyncClient(base_url=strangers_mock.url, trust_env=False, verify=NO_CERTIFICATES) as http:
        answer = await http.post("/auth/token", json={"api_key": strangers_mock.api_key})
        http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield http


async def all_urls(http: httpx.AsyncClient, paths: Sequence[str], headers: Sequence[tuple[str, str]]) -> list[object]:
    """Request every route that returns URLs, with `headers`; return the parts of the responses that may contain one."""
    raw = [(b"accept", b"text/html"), *((name.encode(), value.encode("latin-1")) for name, value in headers)]
    found: list[object] = []
    for path in paths:
        method = "OPTIONS" if path.endswith("/whep") else "GET"
        response = await http.request(method, path, headers=raw, params={"token": TOKEN} if "_mock" in path else None)
        part = {"/_mock/overview": "url", "/openapi.json": "servers"}.get(path)
        body = response.text if part is None else response.json()[part]
        found.append((path, response.status_code, body, response.headers.get("location"), response.headers.get("link")))
    session = (await http.post("/sessions/request", json={}, headers=raw)).json()
    found.append(session["signalling_url"].removesuffix(session["streamer_id"]))
    return found


forged = st.sampled_from(
    ["forged.example", "https", "/forged", "99", "for=127.0.0.1;host=forged.example;proto=https", "127.0.0.1, 10.0.0.9"]
)


@pytest.fixture
def plain() -> list[object]:
    """Return a list for what `all_urls` returns without headers, which is the same for all examples."""
    return []


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(headers=st.lists(st.tuples(names, forged | values.map(str.strip)), min_size=1, max_size=6))
@example(headers=[(name, "forged.example") for name in ("forwarded", "x-forwarded-host", "x-forwarded-prefix")])
async def test_untrusted_headers_change_no_url(
    strangers_mock: MockOdyssey, stranger: httpx.AsyncClient, plain: list[object], headers: list[tuple[str, str]]
) -> None:
    stream = next(iter(strangers_mock.streams), None) or remembered(strangers_mock)
    paths = [
        *("/regions", "/config", "/openapi.json", "/", f"/recordings/{stream}", "/stream-recordings"),
        *("/_mock/health", "/_mock/overview", "/_mock/console", f"/broadcast/{stream}/whep"),
    ]
    plain += [] if plain else await all_urls(stranger, paths, [])
    assert await all_urls(stranger, paths, headers) == plain
    assert strangers_mock.url in str(plain)


async def test_ignored_header_is_reported_once_per_sender(
    strangers_mock: MockOdyssey, stranger: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        await stranger.get("/regions", headers={**EXAMPLE, "X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"})
    why = (
        "192.0.2.7 is no trusted proxy; if it is a proxy of yours, start the mock with --trusted-proxy 192.0.2.7 (the "
        "setting trusted_proxies)"
    )
    entries = strangers_mock.journal.find("note", "header ignored")
    assert [(each.data["sender"], each.data["header"], each.why) for each in entries] == [
        (STRANGER, "forwarded", why),
        (STRANGER, "x-forwarded-prefix", why),
    ]
    assert caplog.messages == [
        f"the header forwarded of 192.0.2.7 was ignored: {why}",
        f"the header x-forwarded-prefix of 192.0.2.7 was ignored: {why}",
    ]
    assert "example.com" not in caplog.text


@pytest.mark.parametrize(
    ("sender", "public_url"), [(LOCAL, None), (PROXY, None), (STRANGER, "https://set.example")], ids=str
)
async def test_header_without_effect_on_trust_is_not_reported(sender: str, public_url: str | None) -> None:
    ignored: list[tuple[str, str]] = []
    app = PublicUrls(
        Starlette(),
        public_url=public_url,
        trusted_proxies=["10.0.0.0/8"],
        stun_port=3478,
        ignored=lambda *given: ignored.append(given),
    )
    transport = httpx.ASGITransport(app, client=(sender, 50000))
    async with httpx.AsyncClient(transport=transport, base_url=OWN) as http:
        await http.get("/", headers=EXAMPLE)
    assert ignored == []


async def test_ignored_header_is_reported_again_after_reset(
    strangers_mock: MockOdyssey, stranger: httpx.AsyncClient
) -> None:
    for _ in range(2):
        await stranger.get("/regions", headers={"X-Forwarded-Host": "example.com"})
        entries = strangers_mock.journal.find("note", "header ignored")
        assert [each.data["header"] for each in entries] == ["x-forwarded-host"]
        await strangers_mock.reset()


@pytest.mark.parametrize(
    ("sender", "advised"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::2%eth0", "fe80::2%eth0"),
        ("fd00::2", "fd00::2"),
    ],
)
async def test_advised_address_makes_the_sender_trusted(sender: str, advised: str) -> None:
    journal = Journal(lambda: 0.0, 1000)
    IgnoredHeaders(journal).report(sender, "forwarded")
    (entry,) = journal.find("note", "header ignored")
    assert entry.data["sender"] == advised
    assert f"start the mock with --trusted-proxy {advised} " in str(entry.data["why"])
    (setting,) = Settings(trusted_proxies=[advised]).trusted_proxies
    found = await reported(EXAMPLE, sender, trusted_proxies=[setting])
    assert found["url"] == "https://example.com/mock"


def test_number_of_reports_is_bounded() -> None:
    journal = Journal(lambda: 0.0, 1000)
    headers = IgnoredHeaders(journal)
    for number in range(10 * IGNORED_KEPT):
        headers.report(f"sender-{number}", "forwarded")
    assert len(journal.find("note", "header ignored")) == IGNORED_KEPT
