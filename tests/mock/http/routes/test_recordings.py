"""Tests of `GET /recordings/{stream_id}` and `GET /stream-recordings`, which show an account's own streams only."""

import asyncio
from typing import Any

import httpx
import pytest
from av import VideoFrame

from odyssey_mock import FrameStamp, MockOdyssey, read_stamp
from odyssey_mock.recordings.recordings import Recordings
from odyssey_mock.recordings.stream_records import StreamRecord
from tests.support.raw import LIMIT, RawApi, RawPeer, raw_peer
from tests.support.recordings import remembered, stamps, timeline
from tests.support.streams import gone, start
from tests.support.tls_contexts import NO_CERTIFICATES

SMALL = pytest.mark.odyssey(portrait_size=(176, 320))
URL_FIELDS = ("video_url", "events_url", "thumbnail_url", "preview_url")


async def recordings(http: httpx.AsyncClient, **query: int) -> dict[str, Any]:
    answer = await http.get("/stream-recordings", params=query)
    page: dict[str, Any] = answer.raise_for_status().json()
    return page


async def test_recording_urls_work_without_a_token(odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient) -> None:
    stream = remembered(odyssey_mock, timeline(30))
    recording = (await authorized.get(f"/recordings/{stream}")).json()
    assert (recording["stream_id"], recording["frame_count"], recording["duration_seconds"]) == (stream, 30, 1.5)
    async with httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as any_caller:
        for field in URL_FIELDS:
            assert (await any_caller.get(recording[field])).status_code == 200


async def test_recording_urls_use_the_clients_host_name(
    odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient
) -> None:
    stream = remembered(odyssey_mock)
    answer = await authorized.get(f"/recordings/{stream}", headers={"Host": "mock.example:99"})
    assert {answer.json()[field].split("/artifacts/")[0] for field in URL_FIELDS} == {"http://mock.example:99"}


async def test_every_response_has_fresh_urls(odyssey_mock: MockOdyssey) -> None:
    async with MockOdyssey(clock="manual") as mock, RawApi(mock) as api:
        stream = remembered(mock)
        before = (await api.http.get(f"/recordings/{stream}")).json()["video_url"]
        await mock.advance(3599)
        after = (await api.http.get(f"/recordings/{stream}")).json()["video_url"]
        await mock.advance(1)
        assert (await api.http.get(before)).status_code == 403
        assert (await api.http.get(after)).status_code == 200


@pytest.mark.parametrize("path", ["/recordings/{stream}", "/stream-recordings"])
async def test_missing_token_is_401(odyssey_mock: MockOdyssey, http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path.format(stream=remembered(odyssey_mock)))).status_code == 401


async def test_stream_of_another_account_is_404(odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient) -> None:
    others = await authorized.get(f"/recordings/{remembered(odyssey_mock, key='ody_another')}")
    unknown = await authorized.get("/recordings/no-such-stream")
    assert others.status_code == unknown.status_code == 404
    assert others.json() == unknown.json()
    assert await recordings(authorized) == {"recordings": [], "total": 0, "limit": 50, "offset": 0}


@pytest.mark.odyssey(clock="manual")
async def test_list_has_own_streams_newest_first(odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient) -> None:
    first = remembered(odyssey_mock, timeline(30))
    remembered(odyssey_mock, key="ody_another")
    await odyssey_mock.advance(1.5)
    second = remembered(odyssey_mock, timeline(None), ended_at=None)
    third = remembered(odyssey_mock, timeline(30), error="the model is gone")
    page = await recordings(authorized)
    assert page["total"] == 3
    assert page["recordings"] == [
        {
            "stream_id": stream,
            "width": 176,
            "height": 320,
            "started_at": started,
            "ended_at": ended,
            "duration_seconds": duration,
        }
        for stream, started, ended, duration in (
            (third, "2026-01-01T00:00:01.500Z", "2026-01-01T00:00:01.500Z", None),
            (second, "2026-01-01T00:00:01.500Z", None, None),
            (first, "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z", 1.5),
        )
    ]


async def test_list_is_paginated_correctly(odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient) -> None:
    streams = [remembered(odyssey_mock) for _ in range(120)][::-1]
    for limit, offset in [(None, None), (100, 0), (1, 0), (50, 100), (100, 119), (10, 120), (10, 10**9)]:
        query = {name: value for name, value in (("limit", limit), ("offset", offset)) if value is not None}
        page = await recordings(authorized, **query)
        assert (page["total"], page["limit"], page["offset"]) == (120, limit or 50, offset or 0)
        begin = offset or 0
        assert [each["stream_id"] for each in page["recordings"]] == streams[begin : begin + (limit or 50)]


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("offset=-1", "offset"),
        ("offset=", "offset"),
    ],
)
async def test_invalid_page_is_422(authorized: httpx.AsyncClient, query: str, place: str) -> None:
    answer = await authorized.get(f"/stream-recordings?{query}")
    assert answer.status_code == 422
    assert [fault["loc"] for fault in answer.json()["detail"]] == [["query", place]]


async def test_no_signature_reaches_the_journal(odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient) -> None:
    stream = remembered(odyssey_mock)
    recording = (await authorized.get(f"/recordings/{stream}")).json()
    await authorized.get(recording["events_url"])
    signatures = [recording[field].partition("&signature=")[2] for field in URL_FIELDS]
    written = odyssey_mock.journal.to_jsonl()
    assert not [signature for signature in signatures if signature in written]
    (told,) = odyssey_mock.journal.find("rest", "GET /recordings/{stream_id}", stream=stream)
    assert told.data["response"]["video_url"].endswith("&signature=***")


async def shown(peer: RawPeer) -> FrameStamp:
    """Return the stamp of the next frame that the peer receives."""
    assert peer.track is not None
    async with asyncio.timeout(LIMIT):
        frame = await peer.track.recv()
    assert isinstance(frame, VideoFrame)
    stamp = read_stamp(frame.to_ndarray(format="gray"))
    assert stamp is not None
    return stamp


def seen_in(frames: list[FrameStamp], tag: int | None) -> list[tuple[int, int | None]]:
    return [(stamp.frame_index, stamp.prompt_revision) for stamp in frames if stamp.stream_tag == tag]


async def recorded(mock: MockOdyssey, stream: str) -> list[FrameStamp]:
    """Return the stamps of all frames in the video file of a stream."""
    return [stamp for stamp in stamps(await mock.recordings.file(stream, "video.mp4")) if stamp is not None]


@SMALL
async def test_recording_has_exactly_the_sent_frames(odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient) -> None:
    async with raw_peer(odyssey_mock) as peer:
        stream = await start(peer)
        tag = odyssey_mock.streams[stream].timeline.tag
        frames = [await shown(peer)]
        while frames[-1].stream_tag != tag:
            frames.append(await shown(peer))
        for prompt in ("It jumps", "It sleeps"):
            peer.say({"type": "update", "prompt": prompt})
            assert (await peer.hear())["type"] == "update_acknowledged"
            frames += [await shown(peer) for _ in range(4)]
        running = (await authorized.get(f"/recordings/{stream}")).json()
        (summary,) = (await recordings(authorized))["recordings"]
        peer.say({"type": "interactive_stream_end"})
        assert (await peer.hear())["type"] == "stream_ended"
        while frames[-1].stream_tag == tag:
            frames.append(await shown(peer))
    assert {running[name] for name in running if name != "stream_id"} == {None}
    assert (summary["stream_id"], summary["ended_at"], summary["duration_seconds"]) == (stream, None, None)

    sent = seen_in(frames, tag)
    recording = (await authorized.get(f"/recordings/{stream}")).json()
    assert recording["frame_count"] == len(sent)
    assert recording["duration_seconds"] == len(sent) / 20
    assert seen_in(await recorded(odyssey_mock, stream), tag) == sent
    assert {revision for _, revision in sent} == {0, 1, 2}
    (summary,) = (await recordings(authorized))["recordings"]
    assert summary["duration_seconds"] == recording["duration_seconds"]


@SMALL
@pytest.mark.odyssey(session_grace=0.1)
@pytest.mark.parametrize("how", ["leaves", "vanishes"])
async def test_stream_of_lost_client_has_a_recording(
    odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient, how: str
) -> None:
    async with raw_peer(odyssey_mock) as peer:
        stream = await start(peer)
        tag = odyssey_mock.streams[stream].timeline.tag
        frames = [await shown(peer) for _ in range(6)]
        session = odyssey_mock.streams[stream].session_id
        assert session is not None
        if how == "leaves":
            await peer.say_on_socket({"type": "client_disconnecting"})
        else:
            peer.socket.transport.abort()
        await gone(odyssey_mock, session)
    recording = (await authorized.get(f"/recordings/{stream}")).json()
    sent, film = seen_in(frames, tag), seen_in(await recorded(odyssey_mock, stream), tag)
    assert film[: len(sent)] == sent
    assert recording["frame_count"] == len(film) >= len(sent)


async def test_list_looks_only_at_its_page(
    odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = [remembered(odyssey_mock, recording_delay=1.0, ended_at=0.0) for _ in range(30)]
    await recordings(authorized)
    looked_at: list[str] = []
    why_unavailable = Recordings.why_unavailable

    def look(self: Recordings, record: StreamRecord) -> str | None:
        looked_at.append(record.id)
        return why_unavailable(self, record)

    monkeypatch.setattr(Recordings, "why_unavailable", look)
    late = remembered(odyssey_mock, recording_delay=3600.0)

    page = await recordings(authorized, limit=2)

    assert [each["stream_id"] for each in page["recordings"]] == [streams[-1], streams[-2]]
    assert page["total"] == 30
    assert set(looked_at) == {late}


@pytest.mark.parametrize("path", ["/stream-recordings", "/simulation-jobs", "/_mock/recordings"])
async def test_offset_may_be_any_number(odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient, path: str) -> None:
    remembered(odyssey_mock)
    answer = await authorized.get(path, params={"offset": 10**30})
    page = answer.raise_for_status().json()
    assert (next(iter(page.values())), page["offset"]) == ([], 10**30)
