"""Tests of HLS over raw HTTP: authorization, playlists and segments, and playback with ffmpeg."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from urllib.parse import urljoin

import av
import httpx
import pytest

from odyssey_mock import FrameStamp, MockOdyssey, read_stamp
from odyssey_mock.broadcasts.hls import FIRST_SEGMENT_LIMIT
from tests.support.ffprobe import probe, save_stream
from tests.support.hls import Playlist, read_playlist
from tests.support.leftovers import nothing_left
from tests.support.raw import LIMIT, raw_peer
from tests.support.streams import START
from tests.support.tls_contexts import NO_CERTIFICATES
from tests.support.visits import picture
from tests.support.whep import Live, live

pytestmark = pytest.mark.odyssey(portrait_size=(176, 320), hls_segment_duration=0.2)

LONG = 3600.0
"""A segment duration in seconds, longer than any test runs."""


def url_of(broadcast: Live) -> str:
    return str(broadcast.ready["broadcast_url"])


async def load(http: httpx.AsyncClient, broadcast: Live) -> Playlist:
    answer = await http.get(url_of(broadcast))
    assert answer.status_code == 200, f"expected 200 for the playlist, got {answer.status_code}: {answer.text}"
    return read_playlist(answer.text)


async def segments(http: httpx.AsyncClient, broadcast: Live, number: int) -> Playlist:
    """Load the playlist after each frame until the stream has made `number` segments in total; return the playlist."""
    async with asyncio.timeout(LIMIT):
        while (playlist := await load(http, broadcast)).sequence + len(playlist.segments) < number:
            assert not playlist.is_over
            await picture(broadcast.host)
    return playlist


@asynccontextmanager
async def waiting_client(broadcast: Live) -> AsyncIterator[asyncio.Task[httpx.Response]]:
    """Request a playlist that has no segments yet, and yield the task of the waiting request.

    Disconnect the client afterward.
    """
    async with httpx.AsyncClient(trust_env=False, timeout=LIMIT, verify=NO_CERTIFICATES) as http:
        asking = asyncio.create_task(http.get(url_of(broadcast)))
        async with asyncio.timeout(LIMIT):
            while not any(task.get_name() == "playlist" for task in asyncio.all_tasks()):
                await asyncio.wait([asking], timeout=0.01)
        assert not asking.done()
        try:
            yield asking
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)


async def test_playlist_and_all_its_files_can_be_fetched(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    async with live(odyssey_mock) as broadcast:
        assert url_of(broadcast) == f"{broadcast.ready['webrtc_url']}/hls/index.m3u8?token={broadcast.token}"
        answer = await http.get(url_of(broadcast))
        assert answer.headers["Content-Type"].partition(";")[0] == "application/vnd.apple.mpegurl"
        assert answer.headers["Cache-Control"] == "no-store"
        playlist = read_playlist(answer.text)
        assert (playlist.sequence, playlist.is_over) == (0, False)
        for uri in playlist.uris:
            part = await http.get(urljoin(url_of(broadcast), uri))
            assert (part.status_code, part.headers["Content-Type"]) == (200, "video/mp4")
        assert broadcast.token not in str(
            [entry.data for entry in odyssey_mock.journal.entries if entry.kind == "rest"]
        )


async def test_head_matches_get(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    async with live(odyssey_mock) as broadcast:
        await load(http, broadcast)
        await broadcast.end()
        for uri in ["index.m3u8", *(uri.partition("?")[0] for uri in (await load(http, broadcast)).uris)]:
            url = f"{broadcast.ready['webrtc_url']}/hls/{uri}?token={broadcast.token}"
            head, get = await http.head(url), await http.get(url)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["Content-Length"] == str(len(get.content))
            assert head.headers["Content-Type"] == get.headers["Content-Type"]


TOKENS: tuple[tuple[dict[str, str], dict[str, str], bool], ...] = (
    ({"token": "right"}, {}, True),
    ({}, {"Authorization": "Bearer right"}, True),
    ({"token": "wrong"}, {"Authorization": "Bearer right"}, False),
    ({"token": ""}, {}, False),
    ({}, {}, False),
)
"""Queries and headers of requests for files, and whether they have a valid token. `right` stands for the token."""


@pytest.mark.off_contract("invalid tokens")
@pytest.mark.odyssey(hls_segments=50)  # so that the first segment is not deleted during the requests
async def test_every_file_requires_the_token(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    async with live(odyssey_mock) as broadcast:
        await load(http, broadcast)
        for file, (query, headers, opens) in product(
            ("segment_0.mp4", "index.m3u8", "init.mp4", "no-such-file"), TOKENS
        ):
            answer = await http.get(
                f"{broadcast.ready['webrtc_url']}/hls/{file}",
                params={name: value.replace("right", broadcast.token) for name, value in query.items()},
                headers={name: value.replace("right", broadcast.token) for name, value in headers.items()},
            )
            expected = 401 if not opens else 404 if file == "no-such-file" else 200
            assert answer.status_code == expected, f"expected {expected}, got {answer.status_code}: {file}, {query}"
            if not opens:
                assert answer.headers["WWW-Authenticate"] == "Bearer"
            if answer.is_error:
                assert answer.json()["status"] == "error"
                assert broadcast.token not in answer.text


@pytest.mark.off_contract("a token of another stream")
async def test_token_is_valid_for_its_stream_only(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    async with live(odyssey_mock) as one, live(odyssey_mock) as other:
        for url, status in (
            (f"{one.ready['webrtc_url']}/hls/index.m3u8", 401),
            (f"{odyssey_mock.url}/broadcast/no-such-stream/hls/index.m3u8", 404),
        ):
            answer = await http.get(url, params={"token": other.token})
            assert (answer.status_code, answer.json()["status"]) == (status, "error")


@pytest.mark.off_contract("a token with characters that the mock never uses")
async def test_token_is_quoted_in_urls(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    async with live(odyssey_mock) as broadcast:
        of_the_mock = odyssey_mock.broadcasts[broadcast.stream_id]
        of_the_mock.token = 'a"b&c=d e#f%g+h'
        assert of_the_mock.hls_url is not None
        playlist = read_playlist((await http.get(of_the_mock.hls_url)).text)
        for uri in playlist.uris:
            assert (await http.get(urljoin(of_the_mock.hls_url, uri))).status_code == 200


UNKNOWN = ("index.m3u", "segment_-1.mp4", "segment_00.mp4", "segment_99999.mp4", "..%2findex.m3u8", "%00", "init.mp4x")


@pytest.mark.off_contract("unknown files")
async def test_unknown_file_is_404(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    async with live(odyssey_mock) as broadcast:
        await load(http, broadcast)
        for name in UNKNOWN:
            answer = await http.get(f"{broadcast.ready['webrtc_url']}/hls/{name}?token={broadcast.token}")
            assert answer.status_code == 404, f"expected 404 for {name}, got {answer.status_code}"


@pytest.mark.off_contract("unsupported methods")
async def test_other_methods_are_405_with_allowed_methods(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    async with live(odyssey_mock) as broadcast:
        for method in ("POST", "PUT", "PATCH", "DELETE", "BREW"):
            answer = await http.request(method, url_of(broadcast))
            got = (answer.status_code, answer.headers.get("Allow"))
            assert got == (405, "GET, HEAD"), f"expected (405, 'GET, HEAD') for {method}, got {got}"
            assert answer.json()["status"] == "error"


@pytest.mark.off_contract("a preflight request and an invalid token")
async def test_other_origins_can_fetch_files_and_read_errors(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient
) -> None:
    origin = {"Origin": "http://example.test"}
    async with live(odyssey_mock) as broadcast:
        playlist = await load(http, broadcast)
        for uri in ["index.m3u8?token=wrong", url_of(broadcast), *playlist.uris]:
            answer = await http.get(urljoin(url_of(broadcast), uri), headers=origin)
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
        preflight = await http.options(
            url_of(broadcast),
            headers={
                **origin,
                "Access-Control-Request-Method": "GET",
                "Access-Control-Request-Headers": "authorization,range",
            },
        )
        assert preflight.is_success
        assert preflight.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.off_contract("HLS is disabled")
@pytest.mark.odyssey(hls=False)
async def test_disabled_hls_is_404(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    async with live(odyssey_mock) as broadcast:
        assert broadcast.ready["broadcast_url"] is None
        for file in ("index.m3u8", "init.mp4"):
            answer = await http.get(f"{broadcast.ready['webrtc_url']}/hls/{file}?token={broadcast.token}")
            assert (answer.status_code, answer.json()["status"]) == (404, "error")


async def test_stream_without_broadcast_has_no_playlist(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    async with raw_peer(odyssey_mock) as host:
        host.say(START)
        started = await host.hear()
        answer = await http.get(f"/broadcast/{started['stream_id']}/hls/index.m3u8?token=x")
        assert answer.status_code == 404


@pytest.mark.odyssey(hls_segment_duration=LONG)
async def test_short_stream_has_one_segment(
    odyssey_mock: MockOdyssey,
) -> None:
    async with live(odyssey_mock) as broadcast, waiting_client(broadcast) as asking:
        await broadcast.end()
        async with asyncio.timeout(LIMIT):
            playlist = read_playlist((await asking).text)
        assert (len(playlist.segments), playlist.is_over) == (1, True)
        assert round(playlist.segments[0].seconds * 20) >= (broadcast.frames or 0)


async def test_disconnect_while_waiting_leaks_nothing() -> None:
    async with (
        nothing_left(),
        MockOdyssey(portrait_size=(176, 320), hls_segment_duration=LONG) as mock,
        live(mock) as broadcast,
    ):
        async with waiting_client(broadcast):
            pass
        cut = await mock.wait_for("rest", "GET /broadcast/{stream_id}/hls/{file}")
        assert cut.data["status"] is None, (
            f"expected no status for a client that disconnected before the response, got {cut.data['status']}"
        )
        assert not any("playlist" in task.get_name() for task in asyncio.all_tasks())
        assert not mock.journal.find("note", "defect")


@pytest.mark.parametrize("end", ["reset", "leave"])
async def test_reset_or_exit_answers_waiting_clients(end: str) -> None:
    loop = asyncio.get_running_loop()
    async with (
        MockOdyssey(portrait_size=(176, 320), hls_segment_duration=LONG) as mock,
        live(mock) as broadcast,
        waiting_client(broadcast) as asking,
    ):
        began = loop.time()
        await (mock.reset() if end == "reset" else mock.__aexit__(None, None, None))
        async with asyncio.timeout(LIMIT):
            answer = await asking
        assert loop.time() - began < FIRST_SEGMENT_LIMIT / 2, (
            f"expected a response soon after the reset or exit, got one after {loop.time() - began:.1f} s"
        )
        # The stream ends with the mock: the response is the final playlist, or a 404 if the stream was forgotten.
        assert answer.status_code == 404 or read_playlist(answer.text).is_over


@pytest.mark.odyssey(clock="manual", hls_linger=60)
async def test_files_linger_after_the_stream_has_ended(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    async with live(odyssey_mock) as broadcast:
        await load(http, broadcast)
        await broadcast.end()
        ended = await load(http, broadcast)
        assert ended.is_over
        urls = [url_of(broadcast), *(urljoin(url_of(broadcast), uri) for uri in ended.uris)]
        await odyssey_mock.advance(59.9)
        assert {(await http.get(url)).status_code for url in urls} == {200}
        await odyssey_mock.advance(0.1)
        assert {(await http.get(url)).status_code for url in urls} == {404}


async def test_playlist_is_gone_after_a_reset(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    async with live(odyssey_mock) as broadcast:
        await load(http, broadcast)
        await odyssey_mock.reset()
        assert (await http.get(url_of(broadcast))).status_code == 404


@pytest.mark.odyssey(hls_segments=2)
async def test_old_segments_of_a_live_playlist_are_deleted(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    async with live(odyssey_mock) as broadcast:
        first = await load(http, broadcast)
        assert first.segments[0].name == "segment_0.mp4"
        later = await segments(http, broadcast, 4)
        assert later.sequence >= 2
        assert len(later.segments) == 2
        await segments(http, broadcast, 10)
        gone = await http.get(urljoin(url_of(broadcast), first.segments[0].uri))
        assert (gone.status_code, gone.json()["status"]) == (404, "error")


@pytest.mark.odyssey(hls_segments=50)
async def test_ended_playlist_has_every_frame(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    async with live(odyssey_mock) as broadcast:
        await segments(http, broadcast, 3)
        await broadcast.end()
        playlist = await load(http, broadcast)
        assert playlist.is_over
        init, *parts = [(await http.get(urljoin(url_of(broadcast), uri))).content for uri in playlist.uris]
        read: list[FrameStamp | None] = []
        for part in parts:
            with av.open(io.BytesIO(init + part), "r") as container:
                read += [read_stamp(frame.to_ndarray(format="gray")) for frame in container.decode(video=0)]
        assert [stamp and stamp.frame_index for stamp in read] == list(range(broadcast.frames or 0))
        tag = odyssey_mock.streams[broadcast.stream_id].timeline.tag
        assert {stamp and stamp.stream_tag for stamp in read} == {tag}


@pytest.mark.odyssey(hls_segments=50)
async def test_ffprobe_reads_live_and_ended_streams(odyssey_mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    async with live(odyssey_mock) as broadcast:
        await segments(http, broadcast, 3)
        video, container = await asyncio.to_thread(probe, url_of(broadcast), live=True)
        assert (video["codec_name"], video["profile"], video["level"]) == ("h264", "Constrained Baseline", 31)
        assert (video["width"], video["height"], video["pix_fmt"]) == (176, 320, "yuv420p")
        assert container["format_name"] == "hls"
        await broadcast.end()
        video, _ = await asyncio.to_thread(probe, url_of(broadcast))
        assert int(video["nb_read_frames"]) == broadcast.frames


@pytest.mark.odyssey(hls_segment_duration=1.0)
async def test_ffmpeg_copies_every_frame_of_a_live_stream(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    async with live(odyssey_mock) as broadcast:
        saving = asyncio.create_task(asyncio.to_thread(save_stream, url_of(broadcast), tmp_path / "copy.mp4"))
        await segments(http, broadcast, 3)
        assert not saving.done()
        await broadcast.end()
        await saving
    video, _ = await asyncio.to_thread(probe, tmp_path / "copy.mp4")
    assert int(video["nb_read_frames"]) == broadcast.frames
