"""Tests of WHEP over raw HTTP: all statuses and headers, and the CORS headers for browsers."""

import asyncio
import re

import httpx
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from odyssey_mock import MockOdyssey
from odyssey_mock.settings import ChangeableSettings
from tests.support.leftovers import nothing_left
from tests.support.raw import LIMIT, raw_peer
from tests.support.whep import FRAGMENT, SDP, Frameless, Live, RawSpectator, frameless, go_live, live

pytestmark = pytest.mark.odyssey(portrait_size=(176, 320))

CANDIDATE = "candidate:1 1 udp 2130706431 127.0.0.1 9 typ host"


async def offer() -> str:
    """Return a complete SDP offer of a peer that is already closed, so that it never connects."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        peer.addTransceiver("video", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        return str(peer.localDescription.sdp)
    finally:
        await peer.close()


async def post(
    http: httpx.AsyncClient, broadcast: Live | Frameless, content: str | bytes, **headers: str
) -> httpx.Response:
    return await http.post(
        broadcast.whep,
        params={"token": broadcast.token},
        content=content,
        headers={**SDP, **{name.replace("_", "-"): value for name, value in headers.items()}},
    )


async def test_offer_gets_a_complete_whep_response(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    async with live(odyssey_mock) as broadcast:
        answer = await post(http, broadcast, await offer())
        assert answer.status_code == 201
        assert answer.headers["Content-Type"].partition(";")[0] == "application/sdp"
        assert answer.text.startswith("v=0\r\n")
        assert "a=sendonly" in answer.text
        assert re.fullmatch(r'"[^"]+"', answer.headers["ETag"])
        assert answer.headers["ID"]
        assert answer.headers["Accept-Patch"] == FRAGMENT["Content-Type"]
        assert re.fullmatch(r'<stun:[^>]+>; rel="ice-server"', answer.headers["Link"])
        resource = answer.headers["Location"]
        assert re.fullmatch(rf"/broadcast/{broadcast.stream_id}/whep/[\w-]{{16,}}", resource)
        assert (await http.delete(resource)).status_code == 200
        assert (await http.delete(resource)).status_code == 404
        config = (await http.get("/config")).json()
        assert config == {"iceServers": [{"urls": answer.headers["Link"].split(">")[0].removeprefix("<")}]}
        assert broadcast.token not in str([entry.data for entry in odyssey_mock.journal.entries])


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ({"token": "right"}, {}, 201),
        ({}, {"Authorization": "Bearer right"}, 201),
        ({}, {"Authorization": "bearer  right"}, 201),
        ({"token": "right"}, {"Authorization": "Bearer wrong"}, 201),
        ({"token": "wrong"}, {"Authorization": "Bearer right"}, 401),
        ({"token": ""}, {}, 401),
        ({"token": "right "}, {}, 401),
        ({"token": "ümlaut"}, {}, 401),
        ({}, {}, 401),
        ({}, {"Authorization": "Basic right"}, 401),
    ],
)
@pytest.mark.off_contract("invalid tokens")
async def test_valid_token_is_required_in_query_or_header(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, query: dict[str, str], headers: dict[str, str], status: int
) -> None:
    broadcast = frameless(odyssey_mock)
    answer = await http.post(
        broadcast.whep,
        params={name: value.replace("right", broadcast.token) for name, value in query.items()},
        headers={**SDP, **{name: value.replace("right", broadcast.token) for name, value in headers.items()}},
        content=await offer(),
    )
    assert answer.status_code == status
    if status == 401:
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json()["status"] == "error"
        assert not odyssey_mock.broadcasts[broadcast.stream_id].spectators
    assert broadcast.token not in str([entry.data for entry in odyssey_mock.journal.entries])


@pytest.mark.off_contract("a token of another stream")
async def test_token_is_valid_while_its_stream_runs(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    async with live(odyssey_mock) as one, live(odyssey_mock) as other:
        described = await offer()
        for url, token, status in (
            (one.whep, other.token, 401),
            (f"{odyssey_mock.url}/broadcast/no-such-stream/whep", one.token, 404),
        ):
            answer = await http.post(url, params={"token": token}, headers=SDP, content=described)
            assert (answer.status_code, answer.json()["status"]) == (status, "error")
        await one.end()
        assert (await post(http, one, described)).status_code == 404
        wrong = await http.post(one.whep, params={"token": "wrong"}, headers=SDP, content=described)
        assert wrong.status_code == 404, (
            f"expected 404 (stream has ended) even with a wrong token, got {wrong.status_code}"
        )
        assert (await post(http, other, described)).status_code == 201


@pytest.mark.parametrize(
    ("headers", "status", "field"),
    [
        ({"Content_Type": "application/json"}, 415, "Accept-Post"),
        ({"Content_Type": ""}, 415, "Accept-Post"),
        ({"Content_Type": "application/sdp; charset=utf-8"}, 201, None),
        ({"Content_Type": "APPLICATION/SDP"}, 201, None),
        ({"Accept": "application/json"}, 406, None),
        ({"Accept": "application/sdp;q=0, */*"}, 406, None),
        ({"Accept": "application/*;q=0.000"}, 406, None),
        ({"Accept": "text/html, application/*;q=0.5"}, 201, None),
        ({"Accept": "*/*;q=0, application/sdp"}, 201, None),
        ({"Accept": ""}, 201, None),
    ],
)
@pytest.mark.off_contract("other media types")
async def test_media_types_are_negotiated(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, headers: dict[str, str], status: int, field: str | None
) -> None:
    broadcast = frameless(odyssey_mock)
    answer = await post(http, broadcast, await offer(), **headers)
    assert answer.status_code == status, f"expected status {status}, got {answer.status_code}: {answer.text}"
    if field is not None:
        assert answer.headers[field] == "application/sdp"


@pytest.mark.parametrize("level", ["", "a=recvonly\r\n"], ids=["no direction", "direction of the session"])
async def test_offer_without_direction_line_is_answered(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, level: str
) -> None:
    described = (await offer()).replace("a=recvonly\r\n", "").replace("t=0 0\r\n", f"t=0 0\r\n{level}")
    broadcast = frameless(odyssey_mock)
    answer = await post(http, broadcast, described)
    assert answer.status_code == 201, f"expected status 201, got {answer.status_code}: {answer.text}"
    assert "a=sendonly" in answer.text


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        (ChangeableSettings(broadcast_spectators=1), "the broadcast has no capacity"),
        (ChangeableSettings(spectators=1), "the server has no capacity"),
    ],
)
async def test_spectators_are_limited(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, limit: ChangeableSettings, reason: str
) -> None:
    odyssey_mock.change_settings(**limit)
    broadcast = frameless(odyssey_mock)
    first = await post(http, broadcast, await offer())
    assert first.status_code == 201
    refused = await post(http, broadcast, await offer())
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert refused.json()["error"].startswith(reason)
    why = odyssey_mock.journal.find("rest", "POST /broadcast/{stream_id}/whep")[-1].data["why"]
    assert why.endswith(f"(setting `{next(iter(limit))}`: 1)")
    assert (await http.delete(first.headers["Location"])).status_code == 200
    assert (await post(http, broadcast, await offer())).status_code == 201, "expected a free place after a DELETE"


WITHOUT_FINGERPRINT = re.compile(r"a=fingerprint:.*\r\n")


async def offer_of(kind: str) -> str:
    match kind:
        case "nothing":
            return ""
        case "nonsense":
            return "v=0\r\nnonsense a=fingerprint:"
        case "no fingerprint":
            return WITHOUT_FINGERPRINT.sub("", await offer())
        case "sends only":
            return (await offer()).replace("a=recvonly", "a=sendonly")
        case "one mid for two sections":
            both = await offer_of("video and audio")
            return both.replace("a=mid:1", "a=mid:0")
        case "sections twice":
            both = await offer_of("video and audio")
            return both + both[both.index("m=video") :]
        case "invalid port":
            return re.sub(r" \d+ typ host", " 65536 typ host", await offer())
        case "too many candidates":
            many = "".join(f"a={CANDIDATE.replace(' 9 ', f' {port} ')}\r\n" for port in range(1, 102))
            return (await offer()).replace("a=ice-ufrag", many + "a=ice-ufrag")
        case "no common codec":
            return re.sub(r"(H264|VP8)/90000", "AV1/90000", await offer())
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        if kind == "video and audio":
            peer.addTransceiver("video", direction="recvonly")
        peer.addTransceiver("audio", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        return str(peer.localDescription.sdp)
    finally:
        await peer.close()


@pytest.mark.parametrize(
    "kind",
    [
        "nothing",
        "nonsense",
        "no fingerprint",
        "sends only",
        "no common codec",
        "audio alone",
        "one mid for two sections",
        "sections twice",
        "invalid port",
        "too many candidates",
    ],
)
@pytest.mark.off_contract("unusable offers")
async def test_unusable_offer_is_rejected_with_a_reason(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, kind: str
) -> None:
    described = await offer_of(kind)
    broadcast = frameless(odyssey_mock)
    await http.get("/config")
    async with nothing_left():
        answer = await post(http, broadcast, described)
        assert answer.status_code == 400, f"expected 400 (unusable offer), got {answer.status_code}: {answer.text}"
        assert answer.json()["error"].startswith("the offer's SDP cannot be used: ")
        await odyssey_mock.wait_for("state", "spectator", to="gone")
    assert not odyssey_mock.broadcasts[broadcast.stream_id].spectators


@pytest.mark.off_contract("invalid bodies")
@pytest.mark.parametrize(("body", "status"), [(b"v" * (256 * 1024 + 1), 413), (b"v=0\r\n\xff", 400)])
async def test_too_long_or_non_text_body_is_rejected(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, body: bytes, status: int
) -> None:
    broadcast = frameless(odyssey_mock)
    answer = await post(http, broadcast, body)
    assert (answer.status_code, answer.json()["status"]) == (status, "error")


@pytest.mark.off_contract("an incomplete body")
async def test_incomplete_offer_is_not_a_bug(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    async with live(odyssey_mock) as broadcast:
        address = httpx.URL(broadcast.whep)
        _, writer = await asyncio.open_connection(address.host, address.port)
        head = f"POST {address.path}?token={broadcast.token} HTTP/1.1\r\nHost: {address.host}\r\n"
        writer.write(f"{head}Content-Type: application/sdp\r\nContent-Length: 1000\r\n\r\nv=0".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        await odyssey_mock.wait_for("rest", "POST /broadcast/{stream_id}/whep")
        assert odyssey_mock.journal.find("note", "defect") == []
        assert not odyssey_mock.broadcasts[broadcast.stream_id].spectators


@pytest.mark.off_contract("unsupported methods")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "BREW"])
async def test_other_methods_are_405_with_allowed_methods(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, method: str
) -> None:
    async with live(odyssey_mock) as broadcast:
        answer = await http.request(method, broadcast.whep)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "OPTIONS, POST")
        if method != "HEAD":
            assert answer.json()["status"] == "error"


async def test_options_lists_ice_servers_and_media_types(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    async with live(odyssey_mock) as broadcast:
        told = await http.options(broadcast.whep)
        assert (told.status_code, told.headers["Accept-Post"]) == (204, "application/sdp")
        assert 'rel="ice-server"' in told.headers["Link"]
        preflight = await http.options(
            broadcast.whep,
            headers={
                "Origin": "http://example.test",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type",
            },
        )
        assert preflight.is_success
        assert preflight.headers["Access-Control-Allow-Origin"] == "*"
        answer = await post(http, broadcast, await offer(), Origin="http://example.test")
        exposed = {name.strip().lower() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
        assert {"location", "etag", "link", "accept-patch", "id"} <= exposed


async def test_candidates_are_trickled_to_the_resource(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    described = await offer()
    ufrag = re.search(r"a=ice-ufrag:(\S+)", described)
    assert ufrag is not None
    async with live(odyssey_mock) as broadcast:
        answer = await post(http, broadcast, described)
        resource, tag = answer.headers["Location"], answer.headers["ETag"]
        fragment = f"a=ice-ufrag:{ufrag[1]}\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na={CANDIDATE}\r\n"
        for headers in ({}, {"If-Match": tag}, {"If-Match": "*"}, {"If-Match": f'"other", {tag}'}):
            taken = await http.patch(resource, headers={**FRAGMENT, **headers}, content=fragment)
            assert (taken.status_code, taken.content) == (204, b"")
        ended = await http.patch(resource, headers=FRAGMENT, content=f"{fragment}a=end-of-candidates\r\n")
        assert ended.status_code == 204
        assert odyssey_mock.journal.find("rest", "PATCH /broadcast/{stream_id}/whep/{resource}")
        assert resource.rpartition("/")[2] not in str([entry.data for entry in odyssey_mock.journal.entries])


@pytest.mark.parametrize(
    ("headers", "fragment", "status"),
    [
        ({"If-Match": '"other"'}, f"a={CANDIDATE}\r\n", 412),
        ({"Content-Type": "application/sdp"}, f"a={CANDIDATE}\r\n", 415),
        ({}, f"a=ice-ufrag:other\r\na={CANDIDATE}\r\n", 422),
        ({}, "a=candidate:nonsense\r\n", 400),
        ({}, f"a={CANDIDATE.replace(' 9 ', ' 65536 ')}\r\n", 400),
        ({}, "".join(f"a={CANDIDATE.replace(' 9 ', f' {port} ')}\r\n" for port in range(1, 102)), 400),
        ({}, "nonsense", 400),
        ({}, "", 400),
    ],
)
@pytest.mark.off_contract("invalid fragments")
async def test_invalid_candidate_keeps_the_spectator(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, headers: dict[str, str], fragment: str, status: int
) -> None:
    broadcast = frameless(odyssey_mock)
    resource = (await post(http, broadcast, await offer())).headers["Location"]
    answer = await http.patch(resource, headers={**FRAGMENT, **headers}, content=fragment)
    assert (answer.status_code, answer.json()["status"]) == (status, "error")
    assert (await http.delete(resource)).status_code == 200


class Hidden(RawSpectator):
    """A spectator that, like Firefox, hides its addresses behind host names and sends `a=end-of-candidates`."""

    async def offer(self) -> str:
        hidden = re.sub(r"(a=candidate:\S+ \d \S+ \d+) \S+", r"\1 a1b2c3d4.local", await super().offer())
        assert "a=end-of-candidates" in hidden
        return hidden


async def test_spectator_with_hidden_addresses_connects(odyssey_mock: MockOdyssey) -> None:
    async with live(odyssey_mock) as broadcast, Hidden(broadcast) as spectator:
        assert (await spectator.stamp()).prompt_revision == 0


async def test_mdns_host_name_is_not_looked_up(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    hidden = re.sub(r"(a=candidate:\S+ \d \S+ \d+) \S+", r"\1 a1b2c3d4.local", await offer())
    assert ".local" in hidden
    loop = asyncio.get_running_loop()
    async with live(odyssey_mock) as broadcast:
        began = loop.time()
        assert (await post(http, broadcast, hidden)).status_code == 201
        took = loop.time() - began
        assert took < 1, (
            f"expected a response within 1 s, without an mDNS lookup of the host name; got one in {took:.1f} s"
        )


@pytest.mark.odyssey(clock="manual", spectator_handshake=10)
async def test_spectator_that_never_connects_is_removed(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    async with live(odyssey_mock) as broadcast:
        resource = (await post(http, broadcast, await offer())).headers["Location"]
        (spectator,) = odyssey_mock.broadcasts[broadcast.stream_id].spectators.values()
        await odyssey_mock.advance(9.9)
        assert not spectator.is_leaving
        await odyssey_mock.advance(0.1)
        gone = await odyssey_mock.wait_for("state", "spectator", to="gone")
        assert gone.data["why"] == "it did not connect in time"
        assert (await http.delete(resource)).status_code == 404


async def test_resources_of_an_ended_stream_are_404(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    async with live(odyssey_mock) as broadcast, RawSpectator(broadcast) as spectator:
        await spectator.frame()
        waiting = (await post(http, broadcast, await offer())).headers["Location"]
        await broadcast.end()
        await spectator.closed()
        for resource in (spectator.resource, waiting):
            assert (await http.delete(resource)).status_code == 404


async def test_stream_without_broadcast_cannot_be_watched(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    async with raw_peer(odyssey_mock) as host:
        host.say({"type": "interactive_stream_start", "prompt": "A cat"})
        started = await host.hear()
        url = f"/broadcast/{started['stream_id']}/whep"
        assert (await http.post(url, headers=SDP, content=await offer())).status_code == 404
        assert not odyssey_mock.broadcasts


async def test_concurrent_offers_are_all_answered(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    described = [await offer() for _ in range(20)]
    async with live(odyssey_mock) as broadcast:
        async with asyncio.timeout(LIMIT):
            answers = await asyncio.gather(*[post(http, broadcast, each) for each in described])
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.headers["Location"] for answer in answers}) == 20


async def test_offer_while_the_stream_ends_leaks_nothing(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    described = [await offer() for _ in range(10)]
    async with raw_peer(odyssey_mock) as host:
        await http.get("/config")
        for each in described:
            broadcast = await go_live(odyssey_mock, host)
            async with asyncio.TaskGroup() as tasks:
                answer = tasks.create_task(post(http, broadcast, each))
                tasks.create_task(broadcast.end())
            assert answer.result().status_code in {201, 404}
    await odyssey_mock.reset()
    assert not odyssey_mock.broadcasts
