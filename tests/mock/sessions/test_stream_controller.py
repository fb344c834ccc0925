"""Tests of streams over a real peer, with a client that sends and receives raw protocol messages."""

import asyncio
import io
import threading

import av
import pytest
from PIL import Image

from odyssey_mock import FrameStamp, MockOdyssey
from odyssey_mock.media import frame_encoder
from odyssey_mock.media.encoder import VideoPacket
from odyssey_mock.media.stamp import draw_stamp
from odyssey_mock.rtc.packet_track import PacketTrack
from tests.support.raw import LIMIT, RawApi, raw_peer
from tests.support.streams import START, data_url, picture, start

pytestmark = pytest.mark.odyssey(portrait_size=(176, 320))


@pytest.mark.odyssey(portrait_size=(704, 1280))
async def test_new_stream_can_follow_an_ended_one(odyssey_mock: MockOdyssey) -> None:
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


async def test_start_on_the_socket_works_like_the_channel(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await peer.say_on_socket({**START, "input_image_base64": data_url(picture())})
        assert (await peer.hear())["type"] == "stream_started"


async def test_updates_are_acknowledged_in_order(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await start(peer)
        for number in range(5):
            peer.say({"type": "update", "prompt": f"Prompt {number}"})
        heard = [await peer.hear() for _ in range(5)]
        assert [each["prompt"].split(",")[0] for each in heard] == [f"Prompt {number}" for number in range(5)]


async def test_update_without_stream_is_rejected(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        peer.say({"type": "update", "prompt": "x"})
        refusal = await peer.hear()
        assert (refusal["type"], refusal["reason"]) == ("interactive_stream_error", "no_active_stream")
        assert "interactive_stream_start" in refusal["message"]
        await start(peer)


@pytest.mark.parametrize(
    ("setting", "reply"),
    [
        ("silent", None),  # the default
        pytest.param("ended", "stream_ended", marks=pytest.mark.odyssey(end_without_stream="ended")),
        pytest.param("error", "interactive_stream_error", marks=pytest.mark.odyssey(end_without_stream="error")),
    ],
)
async def test_end_without_stream_follows_setting(odyssey_mock: MockOdyssey, setting: str, reply: str | None) -> None:
    assert odyssey_mock.settings.end_without_stream == setting
    async with raw_peer(odyssey_mock) as peer:
        for _ in range(2):  # before the first stream, and after its end
            peer.say({"type": "interactive_stream_end"})
            if reply is not None:
                assert (await peer.hear())["type"] == reply
            await start(peer)
            peer.say({"type": "interactive_stream_end"})
            assert await peer.hear() == {"type": "stream_ended"}
    notes = odyssey_mock.journal.find("note", "end without a stream")
    assert [note.data["why"] for note in notes] == [
        "no stream is running: end a stream only after stream_started, and only once"
    ] * 2


async def test_second_start_is_rejected_and_stream_continues(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await start(peer)
        peer.say(START)
        refusal = await peer.hear()
        assert (refusal["type"], refusal["reason"]) == ("interactive_stream_error", "stream_already_active")
        peer.say({"type": "update", "prompt": "still here"})
        assert (await peer.hear())["type"] == "update_acknowledged"


@pytest.mark.odyssey(end_without_stream="error")
async def test_second_end_is_rejected(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await start(peer)
        peer.say({"type": "interactive_stream_end"})
        peer.say({"type": "interactive_stream_end"})
        assert await peer.hear() == {"type": "stream_ended"}
        assert (await peer.hear())["reason"] == "no_active_stream"


INVALID: tuple[tuple[object, str], ...] = (
    ({"type": "teleport"}, "got 'teleport'"),
    ({"prompt": "x"}, "got no `type`"),
    ([1, 2], "expected a JSON object with a `type`, got an array"),
    ("null", "got null"),
    ("{not json", "expected JSON text, got '{not json'"),
    (b"\x00\x01", "got a binary message of 2 bytes"),
    ({"type": "interactive_stream_start", "portrait": "tall"}, "portrait: expected a valid boolean, got a string"),
)
"""Invalid messages, and a part of the reply to each."""


@pytest.mark.off_contract("sends invalid messages")
@pytest.mark.parametrize(
    ("channel", "incomplete"),
    [
        ("data channel", ({"type": "update"}, "update.prompt is missing")),
        ("socket", ({"type": "answer"}, "answer.sdp is missing")),
    ],
)
async def test_invalid_message_is_rejected_with_what_was_expected(
    odyssey_mock: MockOdyssey, channel: str, incomplete: tuple[object, str]
) -> None:
    async with raw_peer(odyssey_mock) as peer:
        for said, complaint in (*INVALID, incomplete):
            await peer.say_on_socket(said) if channel == "socket" else peer.say(said)
            refusal = await peer.hear()
            assert (refusal["type"], refusal["reason"]) == ("interactive_stream_error", "invalid_message")
            assert complaint in refusal["message"]
        await start(peer)


@pytest.mark.off_contract("sends invalid images")
@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        ("not a data url", "expected a data: URL"),
        (data_url(b"no picture at all"), "got 17 bytes that cannot be decoded"),
    ],
)
async def test_invalid_image_is_rejected_and_next_start_works(
    odyssey_mock: MockOdyssey, image: str, complaint: str
) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await peer.say_on_socket({**START, "input_image_base64": image})
        refusal = await peer.hear()
        assert (refusal["type"], refusal["reason"]) == ("interactive_stream_error", "invalid_image")
        assert complaint in refusal["message"]
        await start(peer)


@pytest.mark.odyssey(max_image_bytes=100)
async def test_image_over_the_limit_is_rejected(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await peer.say_on_socket({**START, "input_image_base64": data_url(picture())})
        assert "send a smaller one" in (await peer.hear())["message"]


async def test_image_of_many_megabytes_passes_the_socket(odyssey_mock: MockOdyssey) -> None:
    buffer = io.BytesIO()
    Image.effect_noise((2900, 2900), 90).convert("RGB").save(buffer, "BMP")  # 24 MB that cannot be compressed
    async with raw_peer(odyssey_mock) as peer:
        await peer.say_on_socket({**START, "input_image_base64": data_url(buffer.getvalue())})
        assert (await peer.hear())["type"] == "stream_started"


@pytest.mark.odyssey(image_to_video=False)
async def test_image_is_rejected_without_image_to_video(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await peer.say_on_socket({**START, "input_image_base64": data_url(picture())})
        assert (await peer.hear())["reason"] == "image_to_video_not_supported"


async def test_bypass_keeps_prompts_and_needs_privilege(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        peer.say({**START, "bypass_vlm_expansion": True})
        assert (await peer.hear())["applied_prompt"] == "A cat"
        peer.say({"type": "update", "prompt": "A dog"})
        assert (await peer.hear())["prompt"] == "A dog"
    async with raw_peer(odyssey_mock, api_key="ody_no_bypass_1") as peer:
        peer.say({**START, "bypass_vlm_expansion": True})
        assert (await peer.hear())["reason"] == "bypass_not_allowed"
        await start(peer)


@pytest.mark.off_contract("sends a prompt that UTF-8 cannot encode")
async def test_control_api_shows_a_lone_surrogate(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer, RawApi(odyssey_mock) as api:
        peer.say('{"type": "interactive_stream_start", "prompt": "\\ud800"}')
        assert (await peer.hear())["type"] == "stream_started"
        state = (await api.http.get("/_mock/state")).raise_for_status().json()
        assert state["streams"][0]["prompt"] == "\ud800"
        assert "ud800" in (await api.http.get("/_mock/journal")).raise_for_status().text


@pytest.mark.parametrize("changed", [False, True], ids=["without an update", "with an update that no frame shows"])
async def test_lost_clients_stream_keeps_only_sent_frames(
    odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch, changed: bool
) -> None:
    making, go, pushed = threading.Event(), threading.Event(), [0]
    push = PacketTrack.push

    def draw(frame: av.VideoFrame, stamp: FrameStamp) -> None:
        draw_stamp(frame, stamp)
        if stamp.stream_tag is not None and stamp.frame_index == 3:
            making.set()
            assert go.wait(LIMIT)

    def counted(track: PacketTrack, packet: VideoPacket) -> bool:
        pushed[0] += 1
        return push(track, packet)

    async with raw_peer(odyssey_mock) as peer:
        monkeypatch.setattr("odyssey_mock.sessions.frame_pump.LATE", -1.0)  # make every frame in a thread
        monkeypatch.setattr(frame_encoder, "draw_stamp", draw)
        stream = await start(peer)
        record = odyssey_mock.streams[stream]
        assert await asyncio.to_thread(making.wait, LIMIT)
        monkeypatch.setattr(PacketTrack, "push", counted)
        if changed:
            peer.say({"type": "update", "prompt": "It looks out"})
            await odyssey_mock.wait_for("channel", "update", stream=stream)
        await peer.socket.close()
        await odyssey_mock.wait_for("state", "stream", to="closed")
        go.set()
    await odyssey_mock.reset()
    assert (record.frame_count, pushed) == (4, [1]), (
        "expected a stream of 4 frames, the last of which was sent after the client had left; "
        f"got {record.frame_count} frames, {pushed[0]} of them sent afterward"
    )
