"""Tests of access to the control API: hosts, origins and the control token."""

import asyncio
import json
import logging
from collections.abc import Mapping

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from odyssey_mock import MockOdyssey
from odyssey_mock.core.url_parts import Authority, BaseUrl
from odyssey_mock.http.control_access import ControlPolicy, ControlRequest, needs_token, refusal
from tests.support.tls_contexts import NO_CERTIFICATES

LOCAL = BaseUrl("http", Authority("127.0.0.1", 8400))
PUBLIC = BaseUrl("https", Authority("example.com"), "/mock")
TOKEN = "0123456789abcdef"
FOREIGN = "https://evil.example"


def request(
    host: str | None = "127.0.0.1:8400",
    *,
    stated: BaseUrl | None = None,
    origin: str | None = None,
    site: str | None = None,
    senders: tuple[str, ...] = (),
    peer: str | None = "127.0.0.1",
    server: str | None = "127.0.0.1",
) -> ControlRequest:
    """Return a request as the mock receives it; without other values, from a program on this machine."""
    url = BaseUrl("http", Authority.read(host or "") or LOCAL.authority)
    return ControlRequest(
        host=host,
        url=url,
        stated=stated or url,
        origins=() if origin is None else (origin,),
        sites=() if site is None else (site,),
        senders=senders,
        peer=peer,
        server=server,
    )


PROXIED = ControlPolicy(public_url=PUBLIC)
NAMED = ControlPolicy(names=["mock.lan", "::2"])

ACCEPTED: Mapping[str, tuple[ControlRequest, ControlPolicy]] = {
    "a program": (request(), ControlPolicy()),
    "localhost": (request("localhost:8400"), ControlPolicy()),
    "localhost in another case": (request("LocalHost"), ControlPolicy()),
    "an absolute name": (request("localhost.:8400"), ControlPolicy()),
    "a name below localhost": (request("mock.localhost:8400"), ControlPolicy()),
    "another loopback address": (request("127.8.9.1"), ControlPolicy()),
    "IPv6 loopback": (request("[::1]:8400"), ControlPolicy()),
    "IPv6 loopback in full": (request("[0:0:0:0:0:0:0:1]"), ControlPolicy()),
    "mapped loopback": (request("[::ffff:127.0.0.1]"), ControlPolicy()),
    "the address of the connection": (request("10.0.0.5:8400", server="10.0.0.5"), ControlPolicy()),
    "a mapped address of the connection": (request("10.0.0.5", server="::ffff:10.0.0.5"), ControlPolicy()),
    "a link-local address": (request("[fe80::5]:8400", server="fe80::5%eth0"), ControlPolicy()),
    "a configured name": (request("MOCK.lan:99"), NAMED),
    "a configured address": (request("[::2]"), NAMED),
    "the public host": (request("example.com"), PROXIED),
    "its own page": (request(origin="http://127.0.0.1:8400", site="same-origin"), ControlPolicy()),
    "its own page at localhost": (request("localhost:8400", origin="http://localhost:8400"), ControlPolicy()),
    "its own page at port 80": (request("localhost:80", origin="http://localhost"), ControlPolicy()),
    "a typed address": (request(site="none"), ControlPolicy()),
    "a page at the public URL": (request(origin="https://example.com"), PROXIED),
    "a page behind a proxy": (
        request(stated=PUBLIC, origin="https://example.com"),
        ControlPolicy(names=["example.com"]),
    ),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_known_host_and_own_origin_are_accepted(case: str) -> None:
    assert refusal(*ACCEPTED[case]) is None


REFUSED: Mapping[str, tuple[ControlRequest, ControlPolicy, str]] = {
    "no host": (request(None), ControlPolicy(), "in control_hosts, got none. "),
    "an invalid host": (request("a b"), ControlPolicy(), "got 'a b'"),
    "user information": (request("localhost@evil.example"), ControlPolicy(), "got 'localhost@evil.example'"),
    "another name": (request("evil.example:8400"), ControlPolicy(), "got 'evil.example:8400'"),
    "a name that begins like localhost": (request("localhost.evil.example"), ControlPolicy(), "the header Host"),
    "a name that ends like localhost": (request("evillocalhost"), ControlPolicy(), "the header Host"),
    "a short form of loopback": (request("127.1"), ControlPolicy(), "got '127.1'"),
    "a number": (request("2130706433"), ControlPolicy(), "got '2130706433'"),
    "all interfaces": (request("0.0.0.0:8400"), ControlPolicy(), "got '0.0.0.0:8400'"),
    "another address": (request("10.0.0.6", server="10.0.0.5"), ControlPolicy(), "got '10.0.0.6'"),
    "a subdomain of a configured name": (request("a.mock.lan"), NAMED, "got 'a.mock.lan'"),
    "an unknown host at a proxy": (
        request(stated=BaseUrl("http", Authority("evil.example"))),
        PROXIED,
        "expected the host that the proxy states to be localhost, an address",
    ),
    "a known host of a forged proxy": (request("evil.example", stated=LOCAL), ControlPolicy(), "got 'evil.example'"),
    "a foreign page": (request(origin=FOREIGN), ControlPolicy(), f"got '{FOREIGN}'"),
    "an opaque origin": (request(origin="null"), ControlPolicy(), "expected no Origin, or http://127.0.0.1:8400, got"),
    "an empty origin": (request(origin=""), ControlPolicy(), "got ''"),
    "another port": (request(origin="http://127.0.0.1:5173"), ControlPolicy(), "got 'http://127.0.0.1:5173'"),
    "another scheme": (request(origin="https://127.0.0.1:8400"), ControlPolicy(), "https://127.0.0.1:8400"),
    "another loopback name": (request(origin="http://localhost:8400"), ControlPolicy(), "http://localhost:8400"),
    "a path": (request(origin="http://127.0.0.1:8400/"), ControlPolicy(), "http://127.0.0.1:8400/"),
    "a foreign page at a proxy": (request(origin=FOREIGN), PROXIED, "public_url"),
    "a foreign request without origin": (request(site="cross-site"), ControlPolicy(), "got 'cross-site'"),
    "a page of another port": (request(site="same-site"), ControlPolicy(), "got 'same-site'"),
    "an unknown site": (request(site=""), ControlPolicy(), "got ''"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unknown_host_or_foreign_origin_is_refused(case: str) -> None:
    refused, policy, told = REFUSED[case]
    assert told in (refusal(refused, policy) or "(accepted)")


@pytest.mark.parametrize(
    ("asked", "policy", "expected"),
    [
        (request(), ControlPolicy(), False),
        (request("localhost:8400", peer="::1", server="::1"), ControlPolicy(), False),
        (request(peer="::ffff:127.0.0.1"), ControlPolicy(), False),
        (request(senders=("127.0.0.1", "[::1]:5173")), ControlPolicy(), False),
        (request(), ControlPolicy(public_url=BaseUrl("http", Authority("localhost", 5173))), False),
        # The mock listens on other addresses too: the connection may come through a proxy or a sidecar
        (request(), ControlPolicy(listens_on_loopback=False), True),
        (request("10.0.0.5", peer="10.0.0.9", server="10.0.0.5"), ControlPolicy(listens_on_loopback=False), True),
        # Through a proxy on this machine
        (request(), PROXIED, True),
        (request("example.com"), ControlPolicy(names=["example.com"]), True),
        (request(stated=PUBLIC), ControlPolicy(names=["example.com"]), True),
        (request(senders=("192.0.2.7",)), ControlPolicy(), True),
        (request(senders=("192.0.2.7", "127.0.0.1")), ControlPolicy(), True),
        (request(senders=("unknown",)), ControlPolicy(), True),
        # Unknown or other senders
        (request(peer="172.17.0.1"), ControlPolicy(), True),
        (request(peer=None), ControlPolicy(), True),
    ],
    ids=str,
)
def test_token_is_needed_unless_all_addresses_are_loopback(
    asked: ControlRequest, policy: ControlPolicy, expected: bool
) -> None:
    assert needs_token(asked, policy) is expected


hosts = st.one_of(
    st.sampled_from(["localhost", "127.0.0.1:8400", "mock.lan", "example.com", "evil.example"]),
    st.text(max_size=20),
    st.ip_addresses().map(str),
)
origins = st.one_of(
    st.sampled_from(["http://127.0.0.1:8400", "http://localhost", "https://example.com", "null", FOREIGN]),
    hosts.map("http://{}".format),
    st.text(max_size=20),
)
policies = st.sampled_from([ControlPolicy(), PROXIED, NAMED, ControlPolicy(listens_on_loopback=False)])


@given(hosts, origins, policies)
def test_accepted_origin_is_one_that_serves_the_mock(host: str, origin: str, policy: ControlPolicy) -> None:
    if refusal(request(host, origin=origin), policy) is None:
        assert origin.lower() in {f"http://{host}".lower().removesuffix(":80"), "https://example.com"}


@given(hosts, policies, st.lists(st.sampled_from(["localhost", "evil.example", "127.0.0.1"]), max_size=3))
def test_page_cannot_make_its_host_known(host: str, policy: ControlPolicy, stated: list[str]) -> None:
    """A page can add the headers of a proxy to its requests. They accept no host that is refused without them."""
    plain = refusal(request(host), policy)
    for each in stated:
        if plain is not None:
            assert refusal(request(host, stated=BaseUrl("http", Authority(each))), policy) is not None


HEADERS: Mapping[str, Mapping[str, str]] = {
    "foreign origin": {"Origin": FOREIGN},
    "opaque origin": {"Origin": "null"},
    "cross-site": {"Sec-Fetch-Site": "cross-site"},
    "foreign host": {"Host": "evil.example"},
    "foreign host with the headers of a proxy": {"Host": "evil.example", "X-Forwarded-Host": "localhost"},
    "foreign host at a proxy": {"X-Forwarded-Host": "evil.example"},
}


@pytest.mark.parametrize("case", HEADERS)
async def test_refused_request_changes_and_shows_nothing(
    case: str, http: httpx.AsyncClient, odyssey_mock: MockOdyssey
) -> None:
    fault = json.dumps({"at": "server", "do": "away", "seconds": 600})
    added = await http.post("/_mock/faults", content=fault, headers={"Content-Type": "text/plain", **HEADERS[case]})
    shown = await http.get("/_mock/journal", headers=HEADERS[case])
    asked = {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Private-Network": "true"}
    preflight = await http.options("/_mock/faults", headers={**asked, **HEADERS[case]})
    assert [each.status_code for each in (added, shown, preflight)] == [403, 403, 403]
    assert [list(each.json()) for each in (added, shown)] == [["detail"], ["detail"]]
    assert list(odyssey_mock.faults) == []
    sent = {name for each in (added, shown, preflight) for name in each.headers}
    assert [name for name in sent if name.startswith("access-control-")] == []


async def test_own_page_gets_no_cors_headers(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    answer = await http.get("/_mock/state", headers={"Origin": odyssey_mock.url, "Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 200
    assert [name for name in answer.headers if name.startswith("access-control-")] == []


async def test_repeated_origin_header_is_refused(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    answer = await http.get("/_mock/state", headers=[("Origin", odyssey_mock.url), ("Origin", FOREIGN)])
    assert answer.status_code == 403


async def test_refusal_does_not_wait_for_the_body(odyssey_mock: MockOdyssey) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(odyssey_mock.url).port)
    writer.write(b"POST /_mock/faults HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 1000000\r\n\r\n")
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 403")
    writer.close()
    await writer.wait_closed()


async def test_websocket_of_a_foreign_page_is_refused(
    odyssey_mock: MockOdyssey, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(odyssey_mock.url.replace("http", "ws") + "/_mock/console", origin=Origin(FOREIGN), proxy=None)
    assert refused.value.response.status_code == 403
    assert [each.getMessage() for each in caplog.records if each.name == "odyssey_mock.http"] == []


@pytest.mark.parametrize("prefix", ["", "/mock"])
async def test_path_prefix_does_not_bypass_the_check(prefix: str) -> None:
    async with (
        MockOdyssey(public_url="http://localhost:5173/mock") as mock,
        httpx.AsyncClient(base_url=mock.listening_url, trust_env=False, verify=NO_CERTIFICATES) as http,
    ):
        path = f"{prefix}/_mock/state"
        assert (await http.get(path)).status_code == 200
        refused = await http.get(path, headers={"Origin": FOREIGN})
        assert (refused.status_code, refused.headers.get("access-control-allow-origin")) == (403, None)


@pytest.mark.odyssey(control_hosts=["mock.lan"])
async def test_configured_host_needs_the_token(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    assert (await http.get("/_mock/state", headers={"Host": "mock.lan"})).status_code == 401
    headers = {"Host": "mock.lan", "Authorization": f"Bearer {odyssey_mock.control_token}"}
    assert (await http.get("/_mock/state", headers=headers)).status_code == 200


async def test_exposed_mock_needs_its_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with (
        MockOdyssey(host="0.0.0.0", control_token=TOKEN) as mock,
        httpx.AsyncClient(base_url=mock.url, trust_env=False, verify=NO_CERTIFICATES) as http,
    ):
        refused = await http.get("/_mock/state")
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert refused.json()["detail"].startswith("the control API needs the control token, because other machines")
        wrong = await http.get("/_mock/state", headers={"Authorization": f"Bearer {TOKEN[:-1]}"})
        assert (wrong.status_code, "got another" in wrong.text, TOKEN[:-1] in wrong.text) == (401, True, False)
        assert (await http.post("/_mock/reset", params={"token": "\u00e9"})).status_code == 401
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert (await http.get("/_mock/state", headers=bearer)).status_code == 200
        for path in ("state", "journal", "settings", "faults", "clock"):
            assert (await http.get(f"/_mock/{path}", params={"token": TOKEN})).status_code == 200, path
        assert (await http.get("/_mock/health")).status_code == 200
        assert (await http.get("/_mock/health", headers={"Host": "evil.example"})).status_code == 403
        settings = (await http.get("/_mock/settings", headers=bearer)).json()["settings"]
        assert settings["control_token"]["value"] == "***"
        logs = [each.getMessage() for each in caplog.records if not each.name.startswith(("httpx", "httpcore"))]
        assert TOKEN not in mock.journal.to_jsonl() + "".join(logs) + repr(mock.settings)


@pytest.mark.parametrize(("listening", "status"), [("0.0.0.0", 200), ("127.0.0.1", 403)])
async def test_listening_address_of_all_interfaces_is_known(listening: str, status: int) -> None:
    async with (
        MockOdyssey(host=listening, control_token=TOKEN) as mock,
        httpx.AsyncClient(base_url=mock.url, trust_env=False, verify=NO_CERTIFICATES) as http,
    ):
        headers = {"Host": "0.0.0.0:8400", "Authorization": f"Bearer {TOKEN}"}
        assert (await http.get("/_mock/state", headers=headers)).status_code == status


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded"])
@pytest.mark.parametrize(("sender", "status"), [("127.0.0.1", 200), ("192.0.2.7", 401), ("", 401)])
async def test_sender_at_a_proxy_decides_about_the_token(
    http: httpx.AsyncClient, header: str, sender: str, status: int
) -> None:
    value = f"for={sender}" if header == "Forwarded" and sender else sender
    assert (await http.get("/_mock/state", headers={header: value})).status_code == status


async def test_generated_token_is_random_and_stable() -> None:
    async with MockOdyssey() as one, MockOdyssey() as other:
        assert one.control_token == one.control_token != other.control_token
        assert len(one.control_token) == 24


async def test_used_token_leaves_ids_of_a_seed() -> None:
    async with MockOdyssey(seed=7) as one, MockOdyssey(seed=7) as other:
        assert other.control_token != one.api_key
        assert one.backend.entropy.uuid() == other.backend.entropy.uuid()
