"""Tests of faults that reject, truncate or slow down files of recordings and HLS segments."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from unittest.mock import AsyncMock

import httpx
import pytest

from odyssey_mock import MockOdyssey
from tests.support.http_points import token_of
from tests.support.leftovers import nothing_left
from tests.support.raw import LIMIT
from tests.support.simulations import job, script, submit
from tests.support.tls_contexts import NO_CERTIFICATES
from tests.support.whep import live

SMALL = (176, 320)
LARGE = 16 << 20
"""A file size in bytes. A slow response with a file of this size would take longer than any test."""


@asynccontextmanager
async def recorded() -> AsyncIterator[tuple[MockOdyssey, httpx.AsyncClient, str]]:
    """Yield a mock, an HTTP client with an access token, and the presigned URL of a recorded video."""
    async with (
        nothing_left(),
        MockOdyssey(clock="manual", portrait_size=SMALL) as mock,
        httpx.AsyncClient(base_url=mock.url, trust_env=False, timeout=LIMIT, verify=NO_CERTIFICATES) as http,
    ):
        http.headers["Authorization"] = f"Bearer {await token_of(mock, http)}"
        job_id = await submit(http, script(1.0))
        await mock.advance(60)
        yield mock, http, str((await job(http, job_id))["streams"][0]["video_url"])


@pytest.mark.parametrize("status", [403, 404])
async def test_video_is_rejected_once_then_available(status: int) -> None:
    async with recorded() as (mock, http, url):
        mock.faults.add(at="artifact", do="status", status=status, times=1)
        assert [(await http.get(url)).status_code for _ in range(2)] == [status, 200]


async def test_rest_of_truncated_video_can_be_fetched() -> None:
    async with recorded() as (mock, http, url):
        whole = (await http.get(url)).content
        mock.faults.add(at="artifact", do="truncate", times=1)
        received = bytearray()
        async with http.stream("GET", url) as answer:
            assert int(answer.headers["content-length"]) == len(whole)
            chunks = answer.aiter_raw()
            while len(received) < len(whole) // 2:
                received += await anext(chunks)
            with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
                await anext(chunks)
        assert bytes(received) == whole[: len(whole) // 2]
        rest = await http.get(url, headers={"Range": f"bytes={len(received)}-"})
        assert (rest.status_code, bytes(received) + rest.content) == (206, whole)


async def test_range_of_a_video_is_truncated() -> None:
    async with recorded() as (mock, http, url):
        mock.faults.add(at="artifact", do="truncate")
        with pytest.raises(httpx.RemoteProtocolError, match="received 50 bytes, expected 100"):
            await http.get(url, headers={"Range": "bytes=7-106"})


async def test_slow_video_arrives_completely() -> None:
    async with recorded() as (mock, http, url):
        whole = (await http.get(url)).content
        mock.faults.add(at="artifact", do="slow", bytes_per_second=len(whole) // 10)
        request = asyncio.create_task(http.get(url))
        await mock.wait_for("fault", "artifact")
        for _ in range(9):
            await mock.advance(1)
            assert not request.done()
        await mock.advance(2)
        assert (await request).content == whole


async def test_slow_video_arrives_at_the_given_rate() -> None:
    async with recorded() as (mock, http, url):
        rate = 1000
        mock.faults.add(at="artifact", do="slow", bytes_per_second=rate)
        async with http.stream("GET", url) as answer, asyncio.timeout(LIMIT):
            chunks = answer.aiter_raw()
            received = b""
            for second in range(1, 4):
                await mock.advance(1)
                while len(received) < second * rate:
                    received += await anext(chunks)
                assert len(received) == second * rate


async def test_slow_response_stops_when_client_disconnects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with recorded() as (mock, http, url):
        stream_id = url.split("/artifacts/")[1].partition("/")[0]
        stored = await mock.recordings.stored(stream_id, "video.mp4")
        with stored.path.open("ab") as file:
            file.write(bytes(LARGE))
        large = dataclasses.replace(stored, size=stored.size + LARGE)
        monkeypatch.setattr(mock.recordings, "stored", AsyncMock(return_value=large))
        mock.faults.add(at="artifact", do="slow", bytes_per_second=1)
        request = asyncio.create_task(http.get(url))
        fault = await mock.wait_for("fault", "artifact")
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        await mock.wait_for("rest", "GET /artifacts/{stream_id}/{artifact}", 2.0, since=fault.index)


async def test_hls_segment_is_truncated_once() -> None:
    async with (
        nothing_left(),
        MockOdyssey(portrait_size=SMALL, hls_segment_duration=0.2) as mock,
        httpx.AsyncClient(trust_env=False, timeout=LIMIT, verify=NO_CERTIFICATES) as http,
        live(mock) as broadcast,
    ):
        playlist = (await http.get(broadcast.ready["broadcast_url"])).text
        names = [line for line in playlist.splitlines() if line and not line.startswith("#")]
        url = f"{broadcast.ready['webrtc_url']}/hls/{names[0]}"
        mock.faults.add(at="hls.segment", do="truncate", times=1, match={"stream": broadcast.stream_id})
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
            await http.get(url)
        assert (await http.get(url)).status_code == 200
        mock.faults.add(at="hls.playlist", do="status", status=503)
        refused = await http.get(broadcast.ready["broadcast_url"])
        assert (refused.status_code, refused.json()["status"]) == (503, "error")
