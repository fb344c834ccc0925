"""Tests of spectators over real WebRTC: frames, codecs, key frames and encoders."""

import asyncio
import io
import re
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import AsyncExitStack
from functools import partial
from itertools import pairwise
from typing import override

import av
import httpx
import pytest

from odyssey_mock import FrameStamp, MockOdyssey, read_stamp
from odyssey_mock.broadcasts.broadcast import Broadcast
from odyssey_mock.media.encoder import Codec, VideoPacket
from odyssey_mock.media.keyframes import Keyframes
from tests.support.browser_offers import as_browser
from tests.support.leftovers import nothing_left
from tests.support.raw import LIMIT, RawApi, RawPeer, raw_socket
from tests.support.tls_contexts import NO_CERTIFICATES
from tests.support.whep import FRAGMENT, Live, RawSpectator, go_live, live, send_pli, without_codec

pytestmark = pytest.mark.odyssey(portrait_size=(176, 320))

without_hls = pytest.mark.odyssey(portrait_size=(176, 320), hls=False)
"""Turns HLS off in tests that count key frames, because every HLS segment requests one."""

SPECTATORS = 20

GROUP = 40
"""Number of frames from one regular key frame to the next."""

type Pushed = dict[Codec, bool]
"""One pushed frame: for each codec, whether the packet was a key frame."""


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch) -> list[Pushed]:
    """Return a list of the frames pushed by the test's only broadcast; it grows with each frame."""
    frames: list[Pushed] = []
    push = Broadcast.push

    def noted(self: Broadcast, packets: Mapping[Codec, VideoPacket]) -> None:
        frames.append({codec: packet.is_keyframe for codec, packet in packets.items()})
        push(self, packets)

    monkeypatch.setattr(Broadcast, "push", noted)
    return frames


def codec_of(spectator: RawSpectator) -> str:
    """Return the name of the first video codec in the SDP answer that the spectator received."""
    found = re.search(r"m=video \d+ \S+ (\d+)", spectator.answer.text)
    assert found is not None
    name = re.search(rf"a=rtpmap:{found[1]} (\w+)/", spectator.answer.text)
    assert name is not None
    return name[1]


def directions(description: str) -> list[tuple[str, str]]:
    """Return the kind and the direction of each media section of an SDP description."""
    sections: list[tuple[str, str]] = re.findall(
        r"m=(\w+).*?a=(sendrecv|sendonly|recvonly|inactive)", description, re.DOTALL
    )
    return sections


def key_frames(frames: list[Pushed]) -> list[int]:
    """Return the index of the first key frame, followed by the indexes of all requested key frames.

    A key frame was requested if it is less than `GROUP` frames after the previous key frame.
    """
    keys = [number for number, frame in enumerate(frames) if frame["h264"]]
    return keys[:1] + [key for before, key in pairwise(keys) if key - before < GROUP]


async def all_gone(mock: MockOdyssey, numbers: Collection[int]) -> None:
    for number in numbers:
        await mock.wait_for("state", "spectator", to="gone", spectator=number)


async def some_stamps(spectator: RawSpectator) -> list[FrameStamp]:
    """Receive five frames; return their stamps."""
    return [await spectator.stamp() for _ in range(5)]


def in_order(stamps: list[FrameStamp], end: int) -> bool:
    """Return whether the frame indexes of the stamps are consecutive and end with `end` - 1."""
    return [stamp.frame_index for stamp in stamps] == list(range(stamps[0].frame_index, end))


async def test_twenty_spectators_get_the_same_frames(odyssey_mock: MockOdyssey) -> None:
    async with live(odyssey_mock) as broadcast:
        encoded = odyssey_mock.broadcasts[broadcast.stream_id]
        before = asyncio.all_tasks()
        async with nothing_left():
            async with AsyncExitStack() as stack:
                spectators = [RawSpectator(broadcast) for _ in range(SPECTATORS)]
                await asyncio.gather(*[stack.enter_async_context(spectator) for spectator in spectators])
                begun = await asyncio.gather(*[some_stamps(spectator) for spectator in spectators])
                await broadcast.end()
                ended = await asyncio.gather(*[spectator.stamps() for spectator in spectators])
                await asyncio.gather(*[spectator.closed() for spectator in spectators])
            await all_gone(odyssey_mock, range(1, SPECTATORS + 1))
            assert not encoded.spectators
            # aiortc closes a client's peer in a separate task, which may finish a little later.
            if behind := asyncio.all_tasks() - before:
                await asyncio.wait(behind, timeout=LIMIT)
        assert encoded.frames_encoded == {"h264": broadcast.frames}
        assert broadcast.frames is not None
        by_index: dict[int, FrameStamp] = {}
        for stamps in [one + other for one, other in zip(begun, ended, strict=True)]:
            # aiortc returns a frame only when the next one begins, so it never returns the last one.
            assert in_order(stamps, broadcast.frames - 1)
            assert all(by_index.setdefault(stamp.frame_index, stamp) == stamp for stamp in stamps)


@without_hls
async def test_late_spectator_gets_its_own_key_frame(odyssey_mock: MockOdyssey, pushed: list[Pushed]) -> None:
    async with live(odyssey_mock) as broadcast, RawSpectator(broadcast) as first:
        begun = (await first.stamp()).frame_index
        for _ in range(5):
            await first.stamp()
        before = len(pushed)
        async with RawSpectator(broadcast) as late:
            seen = await late.stamp()
            assert seen.frame_index >= before
            assert key_frames(pushed)[-1] == seen.frame_index
            assert key_frames(pushed) == [0, begun, seen.frame_index], (
                f"expected key frames only at the start and for each new spectator, got {key_frames(pushed)}"
            )


@pytest.mark.odyssey(portrait_size=(176, 320), hls=False, keyframe_gap=0.3)
async def test_key_frame_requests_are_limited_by_the_gap(
    odyssey_mock: MockOdyssey, pushed: list[Pushed], monkeypatch: pytest.MonkeyPatch
) -> None:
    gap = 6
    # The slots whose frames became key frames by request. On a slow machine, not every slot has a frame.
    granted: list[int] = []
    take = Keyframes.take

    def noted(self: Keyframes, slot: int) -> bool:
        if is_due := take(self, slot):
            granted.append(slot)
        return is_due

    monkeypatch.setattr(Keyframes, "take", noted)
    async with (
        live(odyssey_mock) as broadcast,
        RawSpectator(broadcast) as one,
        RawSpectator(broadcast) as other,
    ):
        await one.stamp()
        await other.stamp()
        joined = len(granted)
        for ask in (
            one.lose_picture,
            other.lose_picture,
            one.ask_for_refresh,
            partial(send_pli, broadcast.host.connection),
        ):
            while len(pushed) <= key_frames(pushed)[-1] + gap:
                await one.stamp()
            before = len(pushed)
            await ask()
            while key_frames(pushed)[-1] < before:
                assert len(pushed) < before + GROUP - gap
                await one.stamp()
        alone = key_frames(pushed)
        for _ in range(3 * gap):
            await asyncio.gather(one.lose_picture(), other.ask_for_refresh(), send_pli(broadcast.host.connection))
            await one.stamp()
        assert len(key_frames(pushed)) > len(alone)
        assert min(after - before for before, after in pairwise(granted[joined:])) >= gap


@without_hls
async def test_vp8_spectators_share_one_second_encoder(odyssey_mock: MockOdyssey, pushed: list[Pushed]) -> None:
    async with live(odyssey_mock) as broadcast, RawSpectator(broadcast) as watching:
        assert codec_of(watching) == "H264"
        stamps = [await watching.stamp()]
        encoded = odyssey_mock.broadcasts[broadcast.stream_id]
        assert list(encoded.frames_encoded) == ["h264"]
        async with (
            RawSpectator(broadcast, codec="VP8") as one,
            RawSpectator(broadcast, codec="VP8") as two,
            RawSpectator(broadcast, codec="VP8") as three,
        ):
            seen = await asyncio.gather(*[some_stamps(each) for each in (one, two, three)])
            assert {codec_of(each) for each in (one, two, three)} == {"VP8"}
        last = max(stamp.frame_index for each in seen for stamp in each)
        while stamps[-1].frame_index < last:
            stamps.append(await watching.stamp())
        for each in seen:
            assert in_order(each, each[0].frame_index + 5)
            assert set(each) <= set(stamps), (
                f"expected VP8 frames with stamps of H.264 frames only, got the other stamps {set(each) - set(stamps)}"
            )
        await all_gone(odyssey_mock, [2, 3, 4])
        await watching.stamp()
        frames = dict(encoded.frames_encoded)
        assert frames["vp8"] == sum("vp8" in each for each in pushed) < frames["h264"]
        for _ in range(5):
            await watching.stamp()
        assert encoded.frames_encoded["vp8"] <= frames["vp8"] + 1, (
            f"expected at most {frames['vp8'] + 1} encoded VP8 frames, because the VP8 spectators have left; "
            f"got {encoded.frames_encoded['vp8']}"
        )
        assert encoded.frames_encoded["h264"] >= frames["h264"] + 4


class Vp8Host(RawPeer):
    """A host without H.264: it removes the codec from the SDP that it sends."""

    @override
    async def say_on_socket(self, message: object) -> None:
        assert isinstance(message, dict)
        await super().say_on_socket({**message, "sdp": without_codec(message["sdp"], "H264")})


async def vp8_host(mock: MockOdyssey, use: Callable[[Live], Coroutine[None, None, None]]) -> None:
    async with RawApi(mock) as api:
        session = await api.request_session()
        token = await api.token_for(session["session_id"])
    async with raw_socket(session, token) as socket, Vp8Host(socket) as host:
        await use(await go_live(mock, host))


@without_hls
async def test_spectator_uses_the_hosts_codec_if_possible(odyssey_mock: MockOdyssey) -> None:
    async def use(broadcast: Live) -> None:
        encoded = odyssey_mock.broadcasts[broadcast.stream_id]
        async with RawSpectator(broadcast) as spectator:
            await spectator.stamp()
            assert codec_of(spectator) == "VP8"
            assert list(encoded.frames_encoded) == ["vp8"]
        async with RawSpectator(broadcast, codec="H264") as spectator:
            await spectator.stamp()
            assert set(encoded.frames_encoded) == {"vp8", "h264"}

    await vp8_host(odyssey_mock, use)


@pytest.mark.odyssey(portrait_size=(176, 320), hls_segment_duration=0.25)
async def test_hls_and_h264_spectators_share_one_encoder(odyssey_mock: MockOdyssey, pushed: list[Pushed]) -> None:
    async def use(broadcast: Live) -> None:
        async with (
            httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http,
            RawSpectator(broadcast, codec="H264") as spectator,
        ):
            await spectator.stamp()
            playlist = await http.get(broadcast.ready["broadcast_url"])
            files = re.findall(r'^(?!#)\S+|(?<=URI=")[^"]+', playlist.text, re.MULTILINE)
            parts = [(await http.get(httpx.URL(broadcast.ready["broadcast_url"]).join(name))) for name in files[:2]]
            film = av.open(io.BytesIO(b"".join(part.raise_for_status().content for part in parts)), "r")
            with film:
                assert film.streams.video[0].codec.name == "h264"
                shown = [read_stamp(frame.to_ndarray(format="gray")) for frame in film.decode(video=0)]
            assert [stamp.frame_index for stamp in shown if stamp is not None] == list(range(len(shown)))
            assert all(set(each) == {"h264", "vp8"} for each in pushed[:-1])
            frames = odyssey_mock.broadcasts[broadcast.stream_id].frames_encoded
            assert frames["h264"] == frames["vp8"]

    await vp8_host(odyssey_mock, use)


SECTIONS = (
    ("video",),
    ("video", "audio"),
    ("audio", "video"),
    ("audio", "audio", "video"),
    ("video", "video"),
    ("audio", "video", "video"),
)
"""The kinds of the media sections of offers."""


@pytest.mark.parametrize("bundled", [True, False])
async def test_only_first_video_section_is_active(odyssey_mock: MockOdyssey, bundled: bool) -> None:
    edit = str if bundled else partial(re.sub, r"a=group:BUNDLE.*\r\n", "")
    async with live(odyssey_mock) as broadcast:
        for kinds in SECTIONS:
            async with RawSpectator(broadcast, kinds, edit=edit) as spectator:
                await spectator.stamp()
                first = kinds.index("video")
                assert directions(spectator.answer.text) == [
                    (kind, "sendonly" if place == first else "inactive") for place, kind in enumerate(kinds)
                ]


async def test_sendrecv_offer_is_answered_with_sendonly(odyssey_mock: MockOdyssey) -> None:
    edit = partial(re.sub, "a=recvonly", "a=sendrecv")
    async with live(odyssey_mock) as broadcast, RawSpectator(broadcast, edit=edit) as spectator:
        await spectator.stamp()
        assert directions(spectator.answer.text) == [("video", "sendonly"), ("audio", "inactive")]


async def test_offer_may_begin_with_a_data_channel(odyssey_mock: MockOdyssey) -> None:
    def channel_first(offer: str) -> str:
        head, video, channel = re.split(r"(?=m=)", offer)
        mids = re.findall(r"a=mid:(\S+)", offer)
        return head.replace(f"BUNDLE {mids[0]} {mids[1]}", f"BUNDLE {mids[1]} {mids[0]}") + channel + video

    async with live(odyssey_mock) as broadcast:
        spectator = RawSpectator(broadcast, ("video",), edit=channel_first)
        spectator.connection.createDataChannel("chat")
        async with httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
            answer = await http.post(
                broadcast.whep,
                params={"token": broadcast.token},
                headers={"Content-Type": "application/sdp"},
                content=await spectator.offer(),
            )
        await spectator.connection.close()
        assert re.findall(r"m=(\w+)", answer.text) == ["application", "video"]
        assert "a=candidate:" in answer.text


@pytest.mark.parametrize(("form", "codec"), [("Chromium", "H264"), ("Firefox", "VP8")])
async def test_offers_like_those_of_browsers_connect(odyssey_mock: MockOdyssey, form: str, codec: str) -> None:
    edit = partial(as_browser, form)
    async with live(odyssey_mock) as broadcast, RawSpectator(broadcast, ("audio", "video"), edit=edit) as spectator:
        assert codec_of(spectator) == codec
        assert directions(spectator.answer.text) == [("audio", "inactive"), ("video", "sendonly")]
        one, other = await spectator.stamp(), await spectator.stamp()
        assert other.frame_index == one.frame_index + 1


@pytest.mark.off_contract("sends ICE credentials of another offer")
async def test_fragment_with_unknown_ice_user_name_is_rejected(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient
) -> None:
    async with live(odyssey_mock) as broadcast, RawSpectator(broadcast) as spectator:
        own = set(re.findall(r"a=ice-ufrag:(\S+)", spectator.connection.localDescription.sdp))
        for names, status in ((own, 204), ({*own, "other"}, 422), ({"other"}, 422)):
            fragment = "".join(f"a=ice-ufrag:{name}\r\n" for name in sorted(names))
            assert (await http.patch(spectator.resource, headers=FRAGMENT, content=fragment)).status_code == status


async def test_state_lists_every_spectator_without_secrets(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    async with live(odyssey_mock) as broadcast, RawSpectator(broadcast) as watching:
        await watching.stamp()
        async with RawSpectator(broadcast, codec="VP8", connects=False) as waiting:
            answer = await http.get("/_mock/state")
            (shown,) = answer.json()["broadcasts"]
            assert shown["frames_encoded"].keys() == {"h264"}
            # On a busy machine, a spectator may miss a frame; `test_registry.py` checks the number.
            assert [{**each, "frames_dropped": 0} for each in shown["spectators"]] == [
                {"number": 1, "state": "connected", "codec": "h264", "frames_dropped": 0},
                {"number": 2, "state": "answered", "codec": "vp8", "frames_dropped": 0},
            ]
            written = odyssey_mock.journal.to_jsonl()
            for secret in (broadcast.token, *(each.resource.rpartition("/")[2] for each in (watching, waiting))):
                assert secret not in answer.text
                assert secret not in written
