"""Property tests: any bodies and headers of WHEP requests to a broadcast."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from odyssey_mock import MockOdyssey
from tests.support.hostile import examples, mutated, unharmed
from tests.support.raw import RawPeer, raw_peer
from tests.support.tls_contexts import NO_CERTIFICATES
from tests.support.whep import FRAGMENT, SDP, Live, RawSpectator, go_live

pytestmark = [
    pytest.mark.off_contract("the spectator sends any bytes"),
    pytest.mark.odyssey(portrait_size=(88, 160), fps=10, plan="unlimited", spectator_handshake=10**6),
]
REUSED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

OFFER = (
    "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=rtcp-mux\r\na=recvonly\r\n"
    "a=rtpmap:96 VP8/90000\r\na=ice-ufrag:Oyef\r\na=ice-pwd:gKkcSxZJ9oTZQ0VqXXb2iGUs\r\n"
    f"a=fingerprint:sha-256 {':'.join(['7B'] * 32)}\r\na=setup:actpass\r\n"
).encode()


@pytest_asyncio.fixture
async def host(odyssey_mock: MockOdyssey) -> AsyncIterator[RawPeer]:
    async with raw_peer(odyssey_mock) as peer:
        yield peer


@pytest_asyncio.fixture
async def broadcast(odyssey_mock: MockOdyssey, host: RawPeer) -> AsyncIterator[Live]:
    """Yield a live broadcast, and watch it at the end of the test."""
    live = await go_live(odyssey_mock, host)
    yield live
    async with RawSpectator(live) as spectator:
        await spectator.frame()


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as client:
        yield client


@given(st.just(OFFER) | mutated(OFFER, most=3) | st.binary(max_size=60))
@settings(REUSED, max_examples=examples(20))
@example(b"")
@example(b"\xff")
@example(OFFER * 2)
@example(OFFER.replace(b"m=video 9", b"m=video 99999"))
@example(OFFER.replace(b"mid:0", b"mid:\x00"))
async def test_any_offer_is_answered_or_rejected(
    broadcast: Live, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    with unharmed(broadcast.mock, caplog):
        response = await http.post(broadcast.whep, params={"token": broadcast.token}, headers=SDP, content=body)
        assert response.status_code in {201, 400}
        if response.status_code == 201:
            url = broadcast.mock.url + response.headers["Location"]
            assert (await http.delete(url)).status_code == 200


@given(
    mutated(
        b"a=ice-ufrag:Oyef\r\na=ice-pwd:gKkcSxZJ9oTZQ0VqXXb2iGUs\r\nm=video 9 RTP/AVP 0\r\na=mid:0\r\n"
        b"a=candidate:1 1 udp 2130706431 127.0.0.1 50000 typ host\r\na=end-of-candidates\r\n"
    )
    | st.binary(max_size=60),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).map(str.strip) | st.just("*"),
)
@settings(REUSED, max_examples=examples(20))
@example(b"m=video 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 127.0.0.1 70000 typ host\r\n", "*")
@example(b"m=video 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 127.0.0.1 -1 typ host\r\n", "*")
@example(b"m=video 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 9 tcp 1 ::1%lo 5 typ host\r\n", "*")
async def test_any_fragment_is_applied_or_rejected(
    spectator: RawSpectator, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, body: bytes, match: str
) -> None:
    with unharmed(spectator.broadcast.mock, caplog):
        headers = {**FRAGMENT, "If-Match": match}
        response = await http.patch(spectator.resource, headers=headers, content=body)
        assert response.status_code in {204, 400, 412, 422}


@pytest_asyncio.fixture
async def spectator(broadcast: Live) -> AsyncIterator[RawSpectator]:
    """Yield a spectator that has sent its offer. At the end of the test, it connects and receives a frame."""
    async with RawSpectator(broadcast, connects=False) as waiting:
        yield waiting
        await waiting.connect()
        await waiting.frame()


@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40).map(str.strip)
            for name in ("Content-Type", "Accept", "Authorization", "If-Match", "Expect", "Content-Encoding")
        },
    ),
    st.sampled_from(["POST", "PATCH", "DELETE", "GET", "HEAD", "PUT", "X"]),
    st.sampled_from(["", "/x", "/%00", "/%ff/x", "?token=", "?token=%ff&token=x"]),
)
@settings(REUSED, max_examples=examples(20))
async def test_any_headers_get_a_documented_status(
    broadcast: Live,
    http: httpx.AsyncClient,
    caplog: pytest.LogCaptureFixture,
    headers: dict[str, str],
    method: str,
    more: str,
) -> None:
    with unharmed(broadcast.mock, caplog):
        response = await http.request(method, broadcast.whep + more, headers=headers, content=b"v=0\r\n")
        # 417: an expectation that the server does not know.
        assert response.status_code in {200, 204, 400, 401, 404, 405, 406, 412, 415, 417}
