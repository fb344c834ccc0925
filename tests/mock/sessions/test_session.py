"""Tests of sessions over real sockets and real peers: authentication, errors, and how sessions end."""

import asyncio
import json
from dataclasses import dataclass, field

import aioice
import pytest
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCIceCandidate, RTCPeerConnection, RTCSessionDescription
from websockets.exceptions import ConnectionClosed

from odyssey_mock import MockOdyssey
from odyssey_mock.rtc.streamer_peer import AiortcStreamerPeer
from odyssey_mock.sessions.session_machine import SessionState
from tests.support.raw import LIMIT, RawApi, RawPeer, raw_peer, raw_socket, receive
from tests.support.streams import gone, start

pytestmark = pytest.mark.odyssey(portrait_size=(176, 320))


@pytest.mark.parametrize("token", ["", "nonsense", "another session's", "expired"])
@pytest.mark.odyssey(clock="manual")
async def test_invalid_token_is_rejected_on_the_open_socket(odyssey_mock: MockOdyssey, token: str) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        if token == "another session's":
            token = await api.token_for((await api.request_session())["session_id"])
        elif token == "expired":
            token = await api.token_for(session["session_id"])
            await odyssey_mock.advance(300)
            await api.token_for(session["session_id"])  # a newer token keeps the session open
            await odyssey_mock.advance(300)
        async with raw_socket(session, token) as socket:
            error = await receive(socket)
            assert error["type"] == "error"
            assert "POST /sessions/token" in error["reason"]
            with pytest.raises(ConnectionClosed) as closed:
                await receive(socket)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
        # The session accepts a socket with a valid token.
        async with raw_socket(session, await api.token_for(session["session_id"])) as socket:
            assert (await receive(socket))["type"] == "offer"


async def test_second_socket_is_rejected_and_first_continues(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        token = await api.token_for(session["session_id"])
        async with raw_socket(session, token) as first, RawPeer(first) as peer:
            async with raw_socket(session, token) as second:
                error = await receive(second)
                assert "already has a socket" in error["reason"]
            await start(peer)


async def test_socket_lost_before_answer_can_be_retried(
    odyssey_mock: MockOdyssey,
) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        token = await api.token_for(session["session_id"])
        async with raw_socket(session, token) as socket:
            assert (await receive(socket))["type"] == "offer"
        await odyssey_mock.wait_for("state", "session", session=session["session_id"], to="waiting")
        async with raw_socket(session, token) as socket, RawPeer(socket) as peer:
            await start(peer)


@pytest.mark.off_contract("sends invalid answers")
@pytest.mark.parametrize(
    ("sdp", "why"),
    [
        ("", "expected an a=fingerprint line (RFC 8122), got none"),
        ("nonsense", "expected an a=fingerprint line (RFC 8122), got none"),
        ("v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n", "expected an a=fingerprint line (RFC 8122), got none"),
        ("v=0\r\na=fingerprint:sha-256 00\r\n", "expected media sections"),
        (
            "v=0\r\na=fingerprint:sha-256 00\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n",
            "expected an a=ice-ufrag line (RFC 8839) for m=video",
        ),
        ("a=fingerprint: m=", "expected media sections"),
    ],
)
async def test_invalid_answer_ends_session_with_reason(odyssey_mock: MockOdyssey, sdp: str, why: str) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        async with raw_socket(session, await api.token_for(session["session_id"])) as socket:
            assert (await receive(socket))["type"] == "offer"
            await socket.send(json.dumps({"type": "answer", "sdp": sdp}))
            error = await receive(socket)
            assert error["reason"].startswith("the answer's SDP cannot be used: ")
            assert why in error["reason"]
            async with asyncio.timeout(LIMIT):
                await socket.wait_closed()
            assert socket.close_code == 1011
        await gone(odyssey_mock, session["session_id"])
        assert not odyssey_mock.sessions


async def test_client_disconnecting_frees_the_streamer_at_once(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await start(peer)
        (session,) = odyssey_mock.sessions.values()
        await peer.say_on_socket({"type": "client_disconnecting"})
        await gone(odyssey_mock, session.id)
        assert not odyssey_mock.sessions
        (stream,) = odyssey_mock.streams.values()
        assert stream.ended_at is not None


@pytest.mark.odyssey(session_grace=0)
async def test_lost_client_without_grace_ends_its_stream(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await start(peer)
        (session,) = odyssey_mock.sessions.values()
        peer.socket.transport.abort()
        await gone(odyssey_mock, session.id)
        (stream,) = odyssey_mock.streams.values()
        assert stream.ended_at is not None


async def test_closing_only_the_peer_closes_the_socket(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        (session,) = odyssey_mock.sessions.values()
        await peer.connection.close()
        await gone(odyssey_mock, session.id)
        async with asyncio.timeout(LIMIT):
            await peer.socket.wait_closed()
        assert peer.socket.close_code == 1000


@pytest.mark.odyssey(clock="manual")
async def test_unused_session_is_released_after_900_seconds(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        await odyssey_mock.advance(899)
        assert session["session_id"] in odyssey_mock.sessions
        await odyssey_mock.advance(1)
        assert session["session_id"] not in odyssey_mock.sessions
        answer = await api.http.post("/sessions/token", json={"session_id": session["session_id"]})
        assert answer.status_code == 404


@pytest.mark.odyssey(clock="manual")
@pytest.mark.parametrize("answers", [False, True])
async def test_session_ends_if_client_never_connects(odyssey_mock: MockOdyssey, answers: bool) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        async with raw_socket(session, await api.token_for(session["session_id"])) as socket:
            offer = await receive(socket)
            if answers:
                await socket.send(json.dumps({"type": "answer", "sdp": await answer_from_nowhere(offer["sdp"])}))
                await odyssey_mock.wait_for("state", "session", to="connecting")
            await odyssey_mock.advance(900)
            assert not odyssey_mock.sessions
            assert await receive(socket) == {"type": "error", "reason": "streamer_not_available"}


async def answer_from_nowhere(offer: str) -> str:
    """Return an SDP answer that cannot lead to a connection: it has no candidates, and its peer is already closed."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
    await peer.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
    await peer.setLocalDescription(await peer.createAnswer())
    answer = peer.localDescription.sdp
    await peer.close()
    return "".join(line for line in answer.splitlines(keepends=True) if not line.startswith("a=candidate"))


@pytest.mark.odyssey(clock="manual", inactivity=None)
async def test_connected_session_has_no_dangling_limit(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await odyssey_mock.advance(1000)
        await start(peer)


async def test_reset_ends_live_sessions_and_streams(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await start(peer)
        await odyssey_mock.reset()
        assert not odyssey_mock.sessions
        assert not odyssey_mock.streams
        error = await receive(peer.socket)
        assert error == {"type": "error", "reason": "streamer_disconnected"}


async def test_sessions_view_stays_valid_after_a_reset(odyssey_mock: MockOdyssey) -> None:
    held = odyssey_mock.sessions
    await odyssey_mock.reset()
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
    assert list(held) == [session["session_id"]]


@dataclass
class Closing:
    """Two events with which a test pauses `close` of a peer: `close` sets `began`, then waits for `may_go_on`."""

    began: asyncio.Event = field(default_factory=asyncio.Event)
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)


@pytest.fixture
def closing(monkeypatch: pytest.MonkeyPatch) -> Closing:
    held = Closing()
    close = AiortcStreamerPeer.close

    async def late(peer: AiortcStreamerPeer) -> None:
        held.began.set()
        await held.may_go_on.wait()
        await close(peer)

    monkeypatch.setattr(AiortcStreamerPeer, "close", late)
    return held


async def test_client_waits_until_its_former_peer_closed(odyssey_mock: MockOdyssey, closing: Closing) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        token = await api.token_for(session["session_id"])
        async with raw_socket(session, token) as socket:
            assert (await receive(socket))["type"] == "offer"
        await closing.began.wait()
        async with raw_socket(session, token) as socket:
            closing.may_go_on.set()
            async with RawPeer(socket) as peer:
                stream = await start(peer)
                assert odyssey_mock.sessions[session["session_id"]].stream is odyssey_mock.streams[stream]
                await odyssey_mock.reset()
                assert (await receive(socket))["reason"] == "streamer_disconnected"


@pytest.mark.odyssey(clock="manual")
async def test_reset_ends_session_whose_socket_was_lost(odyssey_mock: MockOdyssey, closing: Closing) -> None:
    async with RawApi(odyssey_mock) as api:
        requested = await api.request_session()
        session = odyssey_mock.sessions[requested["session_id"]]
        async with raw_socket(requested, await api.token_for(session.id)) as socket:
            assert (await receive(socket))["type"] == "offer"
        await closing.began.wait()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(odyssey_mock.reset())
        closing.may_go_on.set()
    assert session.state is SessionState.CLOSED
    assert not odyssey_mock.clock.pending


@pytest.mark.odyssey(streams_limit=2)
async def test_streams_limit_never_forgets_running_stream(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        begun = []
        for _ in range(4):
            begun.append(await start(peer))
            assert list(odyssey_mock.streams) == begun[-2:]
            peer.say({"type": "interactive_stream_end"})
            await peer.hear()


@pytest.mark.off_contract("sends invalid candidates")
async def test_unusable_candidates_do_not_break_the_connection(
    odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look_up(_: object) -> None:
        pytest.fail("expected no lookup of a .local name, which takes up to a second")

    monkeypatch.setattr(aioice.ice, "get_or_create_mdns_protocol", look_up)
    hidden = "candidate:1 1 udp 2113937151 8a4c5a3e.local 51234 typ host"
    async with raw_peer(odyssey_mock) as peer:
        for candidate in (hidden, "", None):
            await peer.say_on_socket(
                {"type": "ice_candidate", "candidate": candidate, "sdpMid": "0", "sdpMLineIndex": 0}
            )
        await peer.say_on_socket({"type": "ice_candidate", "candidate": "candidate:what", "sdpMid": "0"})
        refusal = await peer.hear()
        assert refusal["reason"] == "invalid_message"
        assert "expected an ICE candidate line" in refusal["message"]
        await start(peer)


async def test_candidates_before_the_answer_are_used_after_it(
    odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[int] = []
    add = RTCPeerConnection.addIceCandidate

    async def note(connection: RTCPeerConnection, candidate: RTCIceCandidate) -> None:
        assert connection.remoteDescription is not None, "expected the answer to be applied first"
        used.append(candidate.port)
        await add(connection, candidate)

    monkeypatch.setattr(RTCPeerConnection, "addIceCandidate", note)
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        token = await api.token_for(session["session_id"])
    async with raw_socket(session, token) as socket:
        for port in (50001, 50002):
            candidate = f"candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host"
            await socket.send(
                json.dumps({"type": "ice_candidate", "candidate": candidate, "sdpMid": "0", "sdpMLineIndex": 0})
            )
        async with RawPeer(socket) as peer:
            await start(peer)
    assert used == [50001, 50002]


@pytest.mark.off_contract("sends messages that are nested too deeply")
async def test_deep_json_is_refused_on_both_channels(odyssey_mock: MockOdyssey) -> None:
    deep = '{"type": "update", "prompt": ' + "[" * 2000 + "]" * 2000 + "}"
    async with raw_peer(odyssey_mock) as peer:
        await peer.say_on_socket(deep)
        first = await peer.hear()
        peer.say(deep)
        for refused in (first, await peer.hear()):
            assert (refused["reason"], "nested too deeply" in refused["message"]) == ("invalid_message", True), refused
        await start(peer)


@pytest.mark.off_contract("sends candidates with an invalid port, and too many")
async def test_invalid_and_too_many_candidates_are_refused(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        candidate = "candidate:1 1 udp 2130706431 127.0.0.1 65536 typ host"
        await peer.say_on_socket({"type": "ice_candidate", "candidate": candidate, "sdpMid": "0"})
        assert "expected a port from 0 to 65535" in (await peer.hear())["message"]
        for port in range(1, 102):
            candidate = f"candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host"
            await peer.say_on_socket({"type": "ice_candidate", "candidate": candidate, "sdpMid": "0"})
        refusal = await peer.hear()
        assert refusal["message"] == "ice_candidate: expected at most 100 trickled ICE candidates, got more"
        await start(peer)


def lines(count: int) -> str:
    return "\r\na=".join(f"candidate:1 1 udp 1 127.0.0.1 {port} typ host" for port in range(1, count + 1))


@pytest.mark.parametrize(
    ("candidates", "why"),
    [
        ("candidate:1 1 udp 2130706431 127.0.0.1 65536 typ host", "expected a port from 0 to 65535"),
        (lines(101), "expected at most 100 ICE candidates"),
        (lines(5000), "expected at most 65536 characters"),
    ],
    ids=["invalid port", "101 candidates", "5000 candidates"],
)
@pytest.mark.off_contract("sends an invalid answer")
async def test_answer_with_invalid_or_many_candidates_is_refused(
    odyssey_mock: MockOdyssey, candidates: str, why: str
) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        token = await api.token_for(session["session_id"])
        async with raw_socket(session, token) as socket:
            answer = await answer_from_nowhere((await receive(socket))["sdp"])
            sdp = answer.replace("a=ice-ufrag", f"a={candidates}\r\na=ice-ufrag")
            await socket.send(json.dumps({"type": "answer", "sdp": sdp}))
            error = await receive(socket)
            assert error["type"] == "error"
            assert why in error["reason"]


async def test_second_answer_is_rejected_and_connection_continues(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await peer.say_on_socket({"type": "answer", "sdp": peer.connection.localDescription.sdp})
        assert "already answered" in (await peer.hear())["message"]
        await start(peer)


@pytest.mark.odyssey(clock="manual", portrait_size=(176, 320))
async def test_stream_limit_closes_connection_with_error(
    odyssey_mock: MockOdyssey,
) -> None:
    async with raw_peer(odyssey_mock) as peer:
        stream = await start(peer)
        (session,) = odyssey_mock.sessions.values()
        await odyssey_mock.advance(149)
        assert session.state is SessionState.CONNECTED
        await odyssey_mock.advance(1)
        assert await peer.hear() == {
            "type": "interactive_stream_error",
            "reason": "session_timeout",
            "message": "Stream ended: credit lease expired",
        }
        async with asyncio.timeout(LIMIT):
            await peer.socket.wait_closed()
        assert peer.socket.close_code == 1000
        assert not odyssey_mock.sessions, "expected advance() to wait until the session is closed, got an open session"
        record = odyssey_mock.streams[stream]
        assert record.ended_at == odyssey_mock.clock.time()
        assert record.frame_count, "expected a recording with frames, got one without"


@pytest.mark.odyssey(clock="manual", portrait_size=(176, 320), inactivity=None)
async def test_stream_limit_ignores_time_between_streams(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        for _ in range(2):
            await odyssey_mock.advance(140)
            await start(peer)
            await odyssey_mock.advance(140)
            peer.say({"type": "interactive_stream_end"})
            assert await peer.hear() == {"type": "stream_ended"}


@pytest.mark.odyssey(portrait_size=(176, 320))
async def test_broken_stream_ends_and_connection_continues(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        (session,) = odyssey_mock.sessions.values()
        with pytest.raises(RuntimeError, match="expected a running stream, got none"):
            session.break_stream("model_crash", "The model has crashed")
        stream = await start(peer)
        session.break_stream("model_crash", "The model has crashed")
        error = await peer.hear()
        assert (error["reason"], error["message"]) == ("model_crash", "The model has crashed")
        assert await peer.hear() == {"type": "stream_ended"}
        record = odyssey_mock.streams[stream]
        assert (record.error, record.frame_count) == ("model_crash: The model has crashed", None)
        await start(peer)
