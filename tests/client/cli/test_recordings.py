"""Tests of the subcommands of `odyssey recordings` against the mock."""

from pathlib import Path

import pytest

from odyssey_client import Odyssey, Script
from odyssey_mock import MockOdyssey

from .conftest import Run, document

SHORT = Script().start("A cat").wait(1).end()

pytestmark = pytest.mark.odyssey(clock="manual", portrait_size=(176, 320), landscape_size=(320, 176))


async def simulated(mock: MockOdyssey, client: Odyssey, *, streams: int = 1, portrait: bool = True) -> list[str]:
    """Run a simulation to its end, and return the ids of its streams."""
    job = await client.simulate(scripts=[SHORT] * streams, portrait=portrait)
    await mock.advance(60)
    return [stream.stream_id for stream in (await client.wait_for_simulation(job.job_id)).streams]


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def test_recordings_are_listed_newest_first(odyssey_mock: MockOdyssey, odyssey_client: Odyssey, run: Run) -> None:
    (old,) = await simulated(odyssey_mock, odyssey_client)
    (new,) = await simulated(odyssey_mock, odyssey_client, portrait=False)
    result = await run("recordings", "list")
    header, first, second = result.stdout.splitlines()
    assert (result.exit_code, result.stderr) == (0, "")
    assert header.split() == ["STREAM", "SIZE", "STARTED", "ENDED", "DURATION"]
    assert first.split()[:2] == [new, "320x176"]
    assert second.split()[:2] == [old, "176x320"]
    assert second.endswith("1 s")
    for options in ([], ["--all"]):
        found = document(await run("recordings", "list", "--json", *options))
        assert [each["stream_id"] for each in found["recordings"]] == [new, old]
    below = (await run("recordings", "list", "--limit", "1", "--offset", "1")).stdout.splitlines()[-1]
    assert below == "2 to 2 of 2 recordings; --all lists all."


async def test_empty_list_prints_a_message(odyssey_mock: MockOdyssey, run: Run) -> None:
    assert (await run("recordings", "list")).stdout == "No recordings found.\n"


async def test_recording_is_shown_with_urls(odyssey_mock: MockOdyssey, odyssey_client: Odyssey, run: Run) -> None:
    (stream_id,) = await simulated(odyssey_mock, odyssey_client)
    lines = (await run("recordings", "show", stream_id)).stdout.splitlines()
    assert lines[0] == f"stream         {stream_id}"
    assert lines[1].startswith(f"video url      {odyssey_mock.url}/artifacts/{stream_id}/video.mp4?")
    assert lines[-2:] == ["frame count    20", "duration       1 s"]
    found = document(await run("recordings", "show", stream_id, "--json"))
    assert found["frame_count"] == 20
    assert found["video_url"].startswith(f"{odyssey_mock.url}/artifacts/{stream_id}/video.mp4?")


async def test_default_target_is_current_directory(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = await simulated(odyssey_mock, odyssey_client, streams=2)
    monkeypatch.chdir(tmp_path)
    result = await run("recordings", "download", *streams)
    assert result.exit_code == 0
    assert names(tmp_path) == sorted(f"{stream}.mp4" for stream in streams)
    assert [line.split()[0] for line in result.stdout.splitlines()] == [f"{stream}.mp4" for stream in streams]


async def test_single_file_can_be_named(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, run: Run, tmp_path: Path
) -> None:
    (stream_id,) = await simulated(odyssey_mock, odyssey_client)
    path = tmp_path / "events.jsonl"
    result = await run("recordings", "download", stream_id, "--artifact", "events", "--to", path, "--json")
    assert document(result)["files"] == [
        {"stream_id": stream_id, "artifact": "events", "path": str(path), "bytes": path.stat().st_size}
    ]


async def test_existing_file_is_replaced_only_with_overwrite(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, run: Run, tmp_path: Path
) -> None:
    (stream_id,) = await simulated(odyssey_mock, odyssey_client)
    path = tmp_path / "cat.mp4"
    path.write_bytes(b"mine")
    result = await run("recordings", "download", stream_id, "--to", path, "--json")
    assert (result.exit_code, path.read_bytes()) == (1, b"mine")
    assert document(result)["error"]["code"] == "file_exists"
    assert "pass --overwrite to replace it" in result.stderr
    assert (await run("recordings", "download", stream_id, "--to", path, "--overwrite")).exit_code == 0
    assert path.read_bytes() != b"mine"
    assert names(tmp_path) == ["cat.mp4"]


async def test_other_files_are_downloaded_after_an_error(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, run: Run, tmp_path: Path
) -> None:
    (stream_id,) = await simulated(odyssey_mock, odyssey_client)
    result = await run("recordings", "download", "unknown", stream_id, "--to", tmp_path)
    assert result.exit_code == 1
    assert names(tmp_path) == [f"{stream_id}.mp4"]
    assert str(tmp_path / f"{stream_id}.mp4") in result.stdout
    assert "There is no recording of stream unknown" in result.stderr


async def test_duplicate_files_are_downloaded_once(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, run: Run, tmp_path: Path
) -> None:
    (stream_id,) = await simulated(odyssey_mock, odyssey_client)
    twice = ("--artifact", "events", "--artifact", "events")
    result = await run("recordings", "download", stream_id, stream_id, "--to", tmp_path, *twice, "--json")
    assert (result.exit_code, len(document(result)["files"])) == (0, 1)


async def test_unknown_stream_error_names_list_command(odyssey_mock: MockOdyssey, run: Run, tmp_path: Path) -> None:
    for command in ("show", "download"):
        result = await run("recordings", command, "unknown")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "Check the id with `odyssey recordings list`." in result.stderr


async def test_missing_target_directory_is_an_error(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, run: Run, tmp_path: Path
) -> None:
    (stream_id,) = await simulated(odyssey_mock, odyssey_client)
    result = await run("recordings", "download", stream_id, "--to", f"{tmp_path}/missing/")
    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: Directory {tmp_path}/missing does not exist. Create it first.\n",
    )
    assert names(tmp_path) == []
