"""Tests of `Odyssey.download_recording` with the mock server."""

import asyncio
import json
from pathlib import Path

import av
import pytest

from odyssey_client import (
    Artifact,
    ConnectionClosedError,
    DownloadError,
    DownloadProgress,
    Odyssey,
    OdysseyApiError,
    OdysseyConfigError,
    Script,
)
from odyssey_client.system import SystemClock
from odyssey_mock import MockOdyssey
from tests.support.breaking_line import breaking_line

SHORT = Script().start("A cat").wait(1).interact("It looks out").wait(1).end()

pytestmark = pytest.mark.odyssey(clock="manual", portrait_size=(176, 320))


class ImpatientClock(SystemClock):
    """The system clock with a `sleep` that returns at once."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(0)


async def simulated(mock: MockOdyssey, client: Odyssey) -> str:
    """Run a simulation; return the id of its stream, which has ended."""
    job = await client.simulate(script=SHORT)
    await mock.advance(60)
    (stream,) = (await client.wait_for_simulation(job.job_id)).streams
    return stream.stream_id


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def test_downloaded_video_plays_and_progress_reports_its_size(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, tmp_path: Path
) -> None:
    stream_id = await simulated(odyssey_mock, odyssey_client)
    told: list[DownloadProgress] = []
    path = await odyssey_client.download_recording(stream_id, tmp_path / "cat.mp4", on_progress=told.append)
    assert path == tmp_path / "cat.mp4"
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 40
    size = path.stat().st_size
    assert told[-1] == DownloadProgress(size, size)


@pytest.mark.parametrize(
    ("artifact", "ending", "beginning"),
    [
        ("video", ".mp4", b"ftyp"),
        ("preview", "-preview.mp4", b"ftyp"),
        ("thumbnail", ".jpg", b"JFIF"),
        ("events", ".jsonl", b"timestamp_ms"),
    ],
)
async def test_artifact_in_directory_is_named_after_stream(
    artifact: Artifact,
    ending: str,
    beginning: bytes,
    odyssey_mock: MockOdyssey,
    odyssey_client: Odyssey,
    tmp_path: Path,
) -> None:
    stream_id = await simulated(odyssey_mock, odyssey_client)
    path = await odyssey_client.download_recording(stream_id, str(tmp_path), artifact=artifact)
    assert names(tmp_path) == [path.name] == [f"{stream_id}{ending}"]
    assert beginning in path.read_bytes()[:40]


async def test_events_file_lists_actions_of_script(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, tmp_path: Path
) -> None:
    stream_id = await simulated(odyssey_mock, odyssey_client)
    path = await odyssey_client.download_recording(stream_id, tmp_path, artifact="events")
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(each["timestamp_ms"], each["type"]) for each in events] == [
        (0, "start"),
        (1000, "interact"),
        (2000, "end"),
    ]


NEVER = 10**9


@pytest.mark.parametrize(
    ("cuts", "passes", "urls"),
    [
        pytest.param([2000, 500, 10_000, 0], 0.0, 1, id="in time"),
        # With each expired URL, one request is refused, and the client requests a new URL.
        pytest.param([2000, NEVER, 10_000, NEVER], 2 * 3600.0, 3, id="with URLs that expire"),
    ],
)
async def test_download_over_breaking_connection_is_complete(
    cuts: list[int], passes: float, urls: int, odyssey_mock: MockOdyssey, odyssey_client: Odyssey, tmp_path: Path
) -> None:
    stream_id = await simulated(odyssey_mock, odyssey_client)
    whole = (await odyssey_client.download_recording(stream_id, tmp_path / "whole.mp4")).read_bytes()
    async with (
        breaking_line(odyssey_mock.url) as line,
        Odyssey(odyssey_mock.api_key, api_url=line.url, clock=ImpatientClock()) as client,
    ):
        line.cuts = list(cuts)
        line.before_cut = lambda: odyssey_mock.advance(passes)
        broken = await client.download_recording(stream_id, tmp_path / "broken.mp4")
        assert broken.read_bytes() == whole
        assert line.fetches == 5
    asked = [entry for entry in odyssey_mock.journal.entries if entry.name == "GET /recordings/{stream_id}"]
    # The other requests got 401, because the access token had expired.
    assert len([entry for entry in asked if entry.data["status"] == 200]) == 1 + urls
    assert names(tmp_path) == ["broken.mp4", "whole.mp4"]


@pytest.mark.odyssey(clock="real")
async def test_running_stream_has_no_video_yet(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, tmp_path: Path
) -> None:
    await odyssey_client.connect()
    stream_id = await odyssey_client.start_stream("A cat")
    with pytest.raises(DownloadError, match=f"Stream {stream_id} has no video: it is still running") as caught:
        await odyssey_client.download_recording(stream_id, tmp_path)
    assert caught.value.code == "no_such_artifact"
    await odyssey_client.end_stream()
    path = await odyssey_client.download_recording(stream_id, tmp_path)
    assert names(tmp_path) == [path.name]


async def test_unknown_stream_leaves_no_file(odyssey_client: Odyssey, tmp_path: Path) -> None:
    with pytest.raises(OdysseyApiError, match="There is no recording of stream unknown") as caught:
        await odyssey_client.download_recording("unknown", tmp_path)
    assert caught.value.code == "recording_not_found"
    assert names(tmp_path) == []


async def test_invalid_download_is_rejected_before_sending(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, tmp_path: Path
) -> None:
    (tmp_path / "cat.mp4").write_bytes(b"mine")
    with pytest.raises(DownloadError, match="already exists"):
        await odyssey_client.download_recording("stream-1", tmp_path / "cat.mp4")
    with pytest.raises(OdysseyConfigError, match="artifact must be one of"):
        await odyssey_client.download_recording("stream-1", tmp_path, artifact="film")  # type: ignore[arg-type]  # wrong
    with pytest.raises(OdysseyConfigError, match="stream_id must be"):
        await odyssey_client.download_recording("..", tmp_path)
    keyless = Odyssey.keyless(api_url=odyssey_mock.url)
    with pytest.raises(OdysseyConfigError, match="api_key is required"):
        await keyless.download_recording("stream-1", tmp_path)
    assert [entry for entry in odyssey_mock.journal.entries if entry.kind == "rest"] == []
    assert names(tmp_path) == ["cat.mp4"]


async def test_disconnect_ends_download_and_removes_file(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, tmp_path: Path
) -> None:
    stream_id = await simulated(odyssey_mock, odyssey_client)
    begun = asyncio.Event()

    async def on_progress(progress: DownloadProgress) -> None:
        begun.set()
        await asyncio.Event().wait()

    download = asyncio.create_task(odyssey_client.download_recording(stream_id, tmp_path, on_progress=on_progress))
    await begun.wait()
    assert len(names(tmp_path)) == 1
    await odyssey_client.disconnect()
    assert names(tmp_path) == []
    with pytest.raises(ConnectionClosedError, match=r"disconnect\(\) while download_recording\(\) was under way"):
        await download
    assert (await odyssey_client.download_recording(stream_id, tmp_path)).exists()


async def test_disconnect_in_on_progress_ends_download(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, tmp_path: Path
) -> None:
    stream_id = await simulated(odyssey_mock, odyssey_client)

    async def on_progress(progress: DownloadProgress) -> None:
        await odyssey_client.disconnect()

    with pytest.raises(ConnectionClosedError):
        await odyssey_client.download_recording(stream_id, tmp_path, on_progress=on_progress)
    assert names(tmp_path) == []


async def test_concurrent_downloads_are_complete(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, tmp_path: Path
) -> None:
    stream_id = await simulated(odyssey_mock, odyssey_client)
    paths = await asyncio.gather(
        *(odyssey_client.download_recording(stream_id, tmp_path / f"{number}.mp4") for number in range(8))
    )
    assert len({path.read_bytes() for path in paths}) == 1
    assert len(names(tmp_path)) == 8
