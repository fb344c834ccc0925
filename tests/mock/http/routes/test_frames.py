"""Tests of the thumbnails of frames, `GET /_mock/streams/{stream_id}/frames/{index}.jpg`."""

import asyncio
import io
import itertools
import threading

import httpx
import pytest
from PIL import Image

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.thumbnail import thumbnail_of
from odyssey_mock.recordings import frame_pictures
from tests.support.raw import raw_peer
from tests.support.simulations import finished_stream, script, wanted
from tests.support.streams import START
from tests.support.tls_contexts import NO_CERTIFICATES

pytestmark = pytest.mark.odyssey(portrait_size=(88, 160))
simulated = pytest.mark.odyssey(
    portrait_size=(88, 160), simulation_dispatch_delay=0, simulation_start_delay=0, simulation_pace=0
)


def size_of(jpeg: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(jpeg)) as image:
        assert image.format == "JPEG"
        return image.size


@simulated
async def test_frames_of_an_ended_stream_are_drawn(authorized: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    stream_id = await finished_stream(authorized, odyssey_mock)
    timeline = odyssey_mock.streams[stream_id].timeline
    assert timeline.frames is not None
    indexes = [0, 7, timeline.frames - 1]
    answers = await asyncio.gather(
        *(authorized.get(f"/_mock/streams/{stream_id}/frames/{index}.jpg?side=80") for index in indexes)
    )
    for index, answer in zip(indexes, answers, strict=True):
        assert answer.headers["content-type"] == "image/jpeg"
        frame = await asyncio.to_thread(Renderer(timeline).render, index)
        assert answer.content == thumbnail_of(frame, 80).jpeg
    assert size_of(answers[0].content) == (44, 80)
    default = await authorized.get(f"/_mock/streams/{stream_id}/frames/0.jpg")
    assert size_of(default.content) == (88, 160)
    missing = await authorized.get(f"/_mock/streams/{stream_id}/frames/{timeline.frames}.jpg")
    assert missing.status_code == 404
    (shown,) = (await authorized.get("/_mock/state")).json()["streams"]
    assert shown["frames"] == timeline.frames


@simulated
async def test_known_frame_is_not_sent_again(authorized: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    url = f"/_mock/streams/{await finished_stream(authorized, odyssey_mock)}/frames"
    etag = (await authorized.get(f"{url}/0.jpg")).headers["etag"]
    known = await authorized.get(f"{url}/0.jpg", headers={"If-None-Match": etag})
    assert (known.status_code, known.content) == (304, b"")
    assert (await authorized.get(f"{url}/999.jpg", headers={"If-None-Match": etag})).status_code == 404


async def test_mock_with_a_seed_sends_its_own_frames() -> None:
    sent: list[httpx.Response] = []
    for prompt in ("A red cat", "A blue whale"):
        async with (
            MockOdyssey(seed=1, portrait_size=(88, 160)) as mock,
            raw_peer(mock) as host,
            httpx.AsyncClient(base_url=mock.url, trust_env=False, verify=NO_CERTIFICATES) as http,
        ):
            host.say({**START, "prompt": prompt})
            url = f"/_mock/streams/{(await host.hear())['stream_id']}/frames/0.jpg"
            # As a browser asks that has the frame of the mock before.
            known = {"If-None-Match": sent[0].headers["etag"]} if sent else {}
            sent.append(await http.get(url, headers=known))
            assert sent[-1].headers["cache-control"] == "private, no-cache"
    assert [answer.status_code for answer in sent] == [200, 200]
    assert sent[0].url.path == sent[1].url.path
    assert sent[0].content != sent[1].content


async def test_running_stream_has_its_frames_so_far(
    http: httpx.AsyncClient, odyssey_client: Odyssey, odyssey_mock: MockOdyssey
) -> None:
    await odyssey_client.connect()
    stream_id = await odyssey_client.start_stream("A cat")
    assert (await http.get(f"/_mock/streams/{stream_id}/frames/0.jpg")).status_code == 200
    await odyssey_client.interact("It jumps")
    changed = odyssey_mock.expect("update_acknowledged").data["frame_index"]
    assert (await http.get(f"/_mock/streams/{stream_id}/frames/{changed}.jpg")).status_code == 200
    (shown,) = (await http.get("/_mock/state")).json()["streams"]
    assert shown["frames"] is None
    (session,) = odyssey_mock.sessions.values()
    # A later interaction could still change a frame that was not made.
    later = await http.get(f"/_mock/streams/{stream_id}/frames/{session.frames_made + 100}.jpg")
    assert (later.status_code, "which the stream" in later.json()["detail"]) == (404, True)


@pytest.mark.parametrize("index", ["-1", "x", "1.5", "9" * 5000, "\u0661"])
@simulated
async def test_invalid_index_is_404(index: str, authorized: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    stream_id = await finished_stream(authorized, odyssey_mock)
    assert (await authorized.get(f"/_mock/streams/{stream_id}/frames/{index}.jpg")).status_code == 404


async def test_invalid_request_is_refused(http: httpx.AsyncClient) -> None:
    assert (await http.get("/_mock/streams/none/frames/0.jpg")).status_code == 404
    for query in ("side=15", "side=641", "side=x", "size=80"):
        answer = await http.get(f"/_mock/streams/none/frames/0.jpg?{query}")
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["query", query.partition("=")[0]])


@simulated
async def test_frames_above_the_limit_are_refused(
    authorized: httpx.AsyncClient, odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream_id = await finished_stream(authorized, odyssey_mock)
    monkeypatch.setattr(frame_pictures, "WAITING", 3)
    draw, may_draw = frame_pictures._draw, threading.Event()

    def draw_later(renderer: Renderer, index: int, side: int) -> bytes:
        assert may_draw.wait(20)
        return draw(renderer, index, side)

    monkeypatch.setattr(frame_pictures, "_draw", draw_later)
    url = f"/_mock/streams/{stream_id}/frames/0.jpg"
    requests = [asyncio.create_task(authorized.get(url)) for _ in range(10)]
    for answered in itertools.islice(asyncio.as_completed(requests), 7):
        refused = await answered
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    may_draw.set()
    assert sorted([(await each).status_code for each in requests]) == [200] * 3 + [503] * 7


@simulated
async def test_renderers_are_bounded(
    authorized: httpx.AsyncClient, odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_pictures, "RENDERERS", 1)
    await authorized.post("/simulation-jobs", json=wanted(script(1), script(1)))
    await odyssey_mock.wait_for("state", "simulation", to="completed")
    for stream_id in [*odyssey_mock.streams] * 2:
        assert (await authorized.get(f"/_mock/streams/{stream_id}/frames/0.jpg")).status_code == 200
    renderers = odyssey_mock.backend.pictures._renderers
    assert [*renderers] == [[*odyssey_mock.streams][-1]]
    await odyssey_mock.reset()
    assert not renderers
