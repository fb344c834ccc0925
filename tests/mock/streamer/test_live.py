"""A session over real sockets and a real peer, driven by a client of the wire itself: what it may do, and what it may
not.
"""

import asyncio
import base64
import io
import json

import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed

from odyssey_mock import MockOdyssey
from tests.support.raw import LIMIT, RawApi, RawPeer, raw_peer, raw_socket, receive

START = {"type": "interactive_stream_start", "prompt": "A cat"}


def data_url(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


def picture(size: tuple[int, int] = (64, 96)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (180, 40, 40)).save(buffer, "PNG")
    return buffer.getvalue()


async def start(peer: RawPeer, **fields: object) -> str:
    peer.say({**START, **fields})
    started = await peer.hear()
    assert started["type"] == "stream_started", started
    return str(started["stream_id"])


async def gone(mock: MockOdyssey, session: str) -> None:
    await mock.wait_for("state", "session", session=session, to="closed")


async def test_a_stream_is_started_changed_and_ended_and_another_follows(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        first = await start(peer)
        peer.say({"type": "update", "prompt": "It looks out"})
        acknowledged = await peer.hear()
        assert acknowledged["type"] == "update_acknowledged"
        assert acknowledged["prompt"].startswith("It looks out, ")
        peer.say({"type": "interactive_stream_end"})
        assert await peer.hear() == {"type": "stream_ended"}

        second = await start(peer, portrait=False)
        assert second != first
        assert [each.timeline.size.width for each in odyssey_mock.streams.values()] == [704, 1280]


async def test_a_start_on_the_socket_is_the_same_as_on_the_channel(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await peer.say_on_socket({**START, "input_image_base64": data_url(picture())})
        assert (await peer.hear())["type"] == "stream_started"


async def test_updates_are_acknowledged_one_by_one_in_their_order(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await start(peer)
        for number in range(5):
            peer.say({"type": "update", "prompt": f"Prompt {number}"})
        heard = [await peer.hear() for _ in range(5)]
        assert [each["prompt"].split(",")[0] for each in heard] == [f"Prompt {number}" for number in range(5)]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"type": "update", "prompt": "x"}, "no_active_stream"),
        ({"type": "interactive_stream_end"}, "no_active_stream"),
    ],
)
async def test_what_needs_a_stream_is_refused_without_one_and_the_connection_goes_on(
    odyssey_mock: MockOdyssey, message: dict[str, str], reason: str
) -> None:
    async with raw_peer(odyssey_mock) as peer:
        peer.say(message)
        refusal = await peer.hear()
        assert (refusal["type"], refusal["reason"]) == ("interactive_stream_error", reason)
        assert "interactive_stream_start" in refusal["message"]
        await start(peer)


async def test_a_start_while_a_stream_runs_is_refused_and_the_stream_goes_on(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await start(peer)
        peer.say(START)
        refusal = await peer.hear()
        assert (refusal["type"], refusal["reason"]) == ("interactive_stream_error", "stream_already_active")
        peer.say({"type": "update", "prompt": "still here"})
        assert (await peer.hear())["type"] == "update_acknowledged"


async def test_a_second_end_is_refused(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await start(peer)
        peer.say({"type": "interactive_stream_end"})
        peer.say({"type": "interactive_stream_end"})
        assert await peer.hear() == {"type": "stream_ended"}
        assert (await peer.hear())["reason"] == "no_active_stream"


@pytest.mark.off_contract("says what the protocol does not know")
@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"type": "teleport"}, "came 'teleport'"),
        ({"prompt": "x"}, "came no `type`"),
        ([1, 2], "expected a JSON object with a `type`, came an array"),
        ("null", "came null"),
        ("{not json", "expected JSON text, came '{not json'"),
        (b"\x00\x01", "came a binary message of 2 bytes"),
        ({"type": "update"}, "update.prompt is missing"),
        ({"type": "interactive_stream_start", "portrait": "tall"}, "portrait: expected a valid boolean, came a string"),
    ],
)
@pytest.mark.parametrize("channel", ["data channel", "socket"])
async def test_nonsense_is_answered_with_what_was_expected_and_the_connection_goes_on(
    odyssey_mock: MockOdyssey, said: object, complaint: str, channel: str
) -> None:
    if channel == "socket" and isinstance(said, dict) and said.get("type") == "update":
        said, complaint = {"type": "answer"}, "answer.sdp is missing"
    async with raw_peer(odyssey_mock) as peer:
        await peer.say_on_socket(said) if channel == "socket" else peer.say(said)
        refusal = await peer.hear()
        assert (refusal["type"], refusal["reason"]) == ("interactive_stream_error", "invalid_message")
        assert complaint in refusal["message"]
        await start(peer)


@pytest.mark.off_contract("images that are none")
@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        ("not a data url", "expected a data: URL"),
        (data_url(b"no picture at all"), "came 17 bytes that are none"),
    ],
)
async def test_an_image_that_is_none_is_refused_and_the_next_start_works(
    odyssey_mock: MockOdyssey, image: str, complaint: str
) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await peer.say_on_socket({**START, "input_image_base64": image})
        refusal = await peer.hear()
        assert (refusal["type"], refusal["reason"]) == ("interactive_stream_error", "invalid_image")
        assert complaint in refusal["message"]
        await start(peer)


@pytest.mark.odyssey(max_image_bytes=100)
async def test_an_image_over_the_limit_is_refused(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await peer.say_on_socket({**START, "input_image_base64": data_url(picture())})
        assert "send a smaller one" in (await peer.hear())["message"]


async def test_an_image_of_many_megabytes_comes_through_the_socket(odyssey_mock: MockOdyssey) -> None:
    buffer = io.BytesIO()
    Image.effect_noise((2900, 2900), 90).convert("RGB").save(buffer, "BMP")  # 24 MB, which nothing compresses
    async with raw_peer(odyssey_mock) as peer:
        await peer.say_on_socket({**START, "input_image_base64": data_url(buffer.getvalue())})
        assert (await peer.hear())["type"] == "stream_started"


@pytest.mark.odyssey(image_to_video=False)
async def test_an_image_is_refused_where_the_capabilities_say_so(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await peer.say_on_socket({**START, "input_image_base64": data_url(picture())})
        assert (await peer.hear())["reason"] == "image_to_video_not_supported"


async def test_the_bypass_leaves_prompts_as_they_are_and_needs_its_privilege(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        peer.say({**START, "bypass_vlm_expansion": True})
        assert (await peer.hear())["applied_prompt"] == "A cat"
        peer.say({"type": "update", "prompt": "A dog"})
        assert (await peer.hear())["prompt"] == "A dog"
    async with raw_peer(odyssey_mock, api_key="ody_no_bypass_1") as peer:
        peer.say({**START, "bypass_vlm_expansion": True})
        assert (await peer.hear())["reason"] == "bypass_not_allowed"
        await start(peer)


@pytest.mark.parametrize("token", ["", "nonsense", "another session's", "expired"])
@pytest.mark.odyssey(clock="manual")
async def test_a_token_that_does_not_fit_is_refused_on_the_open_socket(odyssey_mock: MockOdyssey, token: str) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        if token == "another session's":
            token = await api.token_for((await api.request_session())["session_id"])
        elif token == "expired":
            token = await api.token_for(session["session_id"])
            await odyssey_mock.advance(600)
        async with raw_socket(session, token) as socket:
            error = await receive(socket)
            assert error["type"] == "error"
            assert "POST /sessions/token" in error["reason"]
            with pytest.raises(ConnectionClosed) as closed:
                await receive(socket)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
        # The session itself is untouched by it.
        async with raw_socket(session, await api.token_for(session["session_id"])) as socket:
            assert (await receive(socket))["type"] == "offer"


async def test_a_second_socket_for_a_session_is_refused_and_the_first_goes_on(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        token = await api.token_for(session["session_id"])
        async with raw_socket(session, token) as first, RawPeer(first) as peer:
            async with raw_socket(session, token) as second:
                error = await receive(second)
                assert "has a socket already" in error["reason"]
            await start(peer)


async def test_a_session_can_be_tried_again_after_its_socket_was_lost_before_the_answer(
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


@pytest.mark.off_contract("answers that are none")
@pytest.mark.parametrize("sdp", ["", "nonsense", "v=0\r\n", "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"])
async def test_a_broken_answer_ends_the_session_with_its_reason(odyssey_mock: MockOdyssey, sdp: str) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        async with raw_socket(session, await api.token_for(session["session_id"])) as socket:
            assert (await receive(socket))["type"] == "offer"
            await socket.send(json.dumps({"type": "answer", "sdp": sdp}))
            error = await receive(socket)
            assert error["reason"].startswith("the answer's SDP cannot be used: ")
        await gone(odyssey_mock, session["session_id"])
        assert not odyssey_mock.sessions


async def test_a_client_that_says_goodbye_frees_its_streamer_at_once(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await start(peer)
        (session,) = odyssey_mock.sessions.values()
        await peer.say_on_socket({"type": "client_disconnecting"})
        await gone(odyssey_mock, session.id)
        assert not odyssey_mock.sessions
        (stream,) = odyssey_mock.streams.values()
        assert stream.ended_at is not None


async def test_a_client_that_vanishes_ends_its_stream_too(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await start(peer)
        (session,) = odyssey_mock.sessions.values()
        peer.socket.transport.abort()
        await gone(odyssey_mock, session.id)
        (stream,) = odyssey_mock.streams.values()
        assert stream.ended_at is not None


async def test_a_client_that_closes_only_its_peer_is_noticed_and_its_socket_closed(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        (session,) = odyssey_mock.sessions.values()
        await peer.connection.close()
        await gone(odyssey_mock, session.id)
        async with asyncio.timeout(LIMIT):
            await peer.socket.wait_closed()
        assert peer.socket.close_code == 1000


@pytest.mark.odyssey(clock="manual")
async def test_a_session_nobody_comes_for_is_given_up_and_its_slot_is_free(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        await odyssey_mock.advance(899)
        assert session["session_id"] in odyssey_mock.sessions
        await odyssey_mock.advance(1)
        assert session["session_id"] not in odyssey_mock.sessions
        answer = await api.http.post("/sessions/token", json={"session_id": session["session_id"]})
        assert answer.status_code == 404


@pytest.mark.odyssey(clock="manual")
async def test_a_session_that_is_used_is_never_given_up_for_dangling(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await odyssey_mock.advance(1000)
        await start(peer)


async def test_a_reset_ends_live_sessions_and_leaves_nothing_of_them(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await start(peer)
        await odyssey_mock.reset()
        assert not odyssey_mock.sessions
        assert not odyssey_mock.streams
        error = await receive(peer.socket)
        assert error == {"type": "error", "reason": "streamer_disconnected"}


@pytest.mark.off_contract("candidates that are none")
async def test_candidates_are_taken_early_late_broken_or_hidden(odyssey_mock: MockOdyssey) -> None:
    hidden = "candidate:1 1 udp 2113937151 8a4c5a3e.local 51234 typ host"
    async with raw_peer(odyssey_mock) as peer:
        for candidate in (hidden, "", None):
            await peer.say_on_socket(
                {"type": "ice_candidate", "candidate": candidate, "sdpMid": "0", "sdpMLineIndex": 0}
            )
        await peer.say_on_socket({"type": "ice_candidate", "candidate": "candidate:what", "sdpMid": "0"})
        refusal = await peer.hear()
        assert refusal["reason"] == "invalid_message"
        assert "no ICE candidate line" in refusal["message"]
        await start(peer)


async def test_a_second_answer_is_refused_and_the_connection_goes_on(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await peer.say_on_socket({"type": "answer", "sdp": peer.connection.localDescription.sdp})
        assert "answered already" in (await peer.hear())["message"]
        await start(peer)
