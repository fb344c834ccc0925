"""Tests of the recovery of recordings whose process was killed, or that failed with an incomplete fragment."""

import asyncio
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odyssey_client import recover_recordings
from odyssey_client.media.recorder import check_target
from odyssey_client.media.recovery import keep
from odyssey_client.partial_file import PartialFile
from odyssey_mock import MockOdyssey
from tests.support.ffprobe import probe
from tests.support.forks import start_python
from tests.support.recording_files import THREE_SECONDS, description, hidden, leave, names, record, recording

LIMIT = 60.0
"""Timeout in seconds for the start of another process, which usually takes a second."""


async def test_leftover_is_recovered_by_next_recording(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    target = tmp_path / "a.mp4"
    left = leave(target, THREE_SECONDS)
    content = left.read_bytes()
    await record(target)
    assert names(tmp_path) == ["a-recovered.mp4", "a.mp4"]
    assert (tmp_path / "a-recovered.mp4").read_bytes() == content
    assert len(description(tmp_path / "a-recovered.mp4")["packets"]) == 40
    assert str(tmp_path / "a-recovered.mp4") in caplog.text


async def test_recovery_replaces_no_file(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    taken = tmp_path / "a-recovered.mp4"
    taken.write_bytes(b"mine")
    (tmp_path / "a-recovered-2.mp4").symlink_to("nowhere")
    for number in (5, 6):
        leave(target, THREE_SECONDS, number)
    await record(target)
    assert taken.read_bytes() == b"mine"
    assert names(tmp_path) == [
        "a-recovered-2.mp4",
        "a-recovered-3.mp4",
        "a-recovered-4.mp4",
        "a-recovered.mp4",
        "a.mp4",
    ]


async def test_leftovers_without_frames_are_deleted(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    leave(target, THREE_SECONDS[:20])
    copy = leave(target, THREE_SECONDS, 8)
    copy.rename(copy.with_name(copy.name.replace("recording", "copy")))
    await record(target)
    assert names(tmp_path) == ["a.mp4"]


async def test_leftovers_of_other_targets_stay(tmp_path: Path) -> None:
    left = leave(tmp_path / "b.mp4", THREE_SECONDS)
    await record(tmp_path / "a.mp4")
    assert names(tmp_path) == [left.name, "a.mp4"]


async def test_leftover_is_found_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    leave(tmp_path / "films" / "a.mp4", THREE_SECONDS)
    (tmp_path / "link.mp4").symlink_to(tmp_path / "films" / "a.mp4")
    await record(tmp_path / "link.mp4")
    assert names(tmp_path / "films") == ["a-recovered.mp4", "a.mp4"]


async def test_running_recording_to_same_path_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    running = recording(target, THREE_SECONDS)
    await record(target)
    assert len(description(target)["packets"]) == 1
    running.commit()
    assert names(tmp_path) == ["a.mp4"]
    assert len(description(target)["packets"]) == 60


def test_checking_target_recovers_nothing(tmp_path: Path) -> None:
    left = leave(tmp_path / "a.mp4", THREE_SECONDS)
    check_target(tmp_path / "a.mp4")
    assert names(tmp_path) == [left.name]


LONG = [f"{'x' * 248}.mp4", f"{'ü' * 124}.mp4", f"{'x' * 240}-recovered.mp4"]
"""Names in which ``-recovered`` finds no room."""


@pytest.mark.parametrize("name", LONG, ids=["ascii", "two bytes", "recovered"])
async def test_long_name_is_shortened_in_recovery(name: str, tmp_path: Path) -> None:
    target = tmp_path / name
    for number in (5, 6):
        leave(target, THREE_SECONDS, number)
    await record(target)
    recovered = [each for each in names(tmp_path) if each != name]
    assert len(recovered) == 2, f"expected two recovered recordings, got {recovered}"
    assert [each.endswith(("-recovered.mp4", "-recovered-2.mp4")) for each in recovered] == [True, True]
    for each in recovered:
        assert each.startswith(name[:100])
        assert len(description(tmp_path / each)["packets"]) == 40


async def test_unmovable_leftover_does_not_prevent_recording(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    target = tmp_path / f"a.{'x' * 250}"  # a suffix to which `-recovered` cannot be added
    left = leave(target, THREE_SECONDS)
    await record(target)
    assert names(tmp_path) == [left.name, target.name]
    assert "cannot be moved" in caplog.text


async def test_recordings_of_a_directory_are_recovered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.mp4", "2024-01-01-take-2.mp4", "two\nlines", ".mp4"):
        leave(tmp_path / name, THREE_SECONDS)
    leave(tmp_path / "short.mp4", THREE_SECONDS[:20])
    copy = leave(tmp_path / "copy.mp4", THREE_SECONDS)
    copy.rename(copy.with_name(copy.name.replace("recording", "copy")))
    running = recording(tmp_path / "running.mp4", THREE_SECONDS)
    download = PartialFile.create(tmp_path / "download.mp4", "download")
    download.close()

    recovered = recover_recordings(tmp_path)

    expected = [".mp4-recovered", "2024-01-01-take-2-recovered.mp4", "a-recovered.mp4", "two\nlines-recovered"]
    assert sorted(recovered) == [tmp_path / name for name in expected]
    assert [name for name in names(tmp_path) if not name.startswith(".odyssey")] == expected
    assert all(len(description(path)["packets"]) == 40 for path in recovered)
    assert download.path.exists()
    assert all(str(path) in caplog.text for path in recovered)
    running.commit()
    assert recover_recordings(str(tmp_path)) == []


def test_long_name_is_shortened_in_directory(tmp_path: Path) -> None:
    leave(tmp_path / f"{'x' * 248}.mp4", THREE_SECONDS)
    assert recover_recordings(tmp_path) == [tmp_path / f"{'x' * 92}-recovered.mp4"]


def test_missing_directory_cannot_be_searched(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        recover_recordings(tmp_path / "none")


@pytest.fixture(scope="module")
def fragmented(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the content of a recording file with two fragments."""
    return leave(tmp_path_factory.mktemp("fragmented") / "a.mp4", THREE_SECONDS).read_bytes()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_incomplete_fragment_is_cut_off(data: st.DataObject, fragmented: bytes, tmp_path: Path) -> None:
    ends = ends_of_fragments(fragmented)
    near = st.builds(int.__add__, st.sampled_from(ends), st.integers(-1, 0))
    length = data.draw(st.integers(0, len(fragmented)) | near)
    target = tmp_path / "a.mp4"
    part = PartialFile.create(target, "recording")
    part.file.write(fragmented[:length])
    kept = keep(part, target)
    complete = max((end for end in ends if end <= length), default=0)
    assert (b"" if kept is None else kept.read_bytes()) == fragmented[:complete]
    if kept is not None:
        assert len(description(kept)["packets"]) == 20 * (ends.index(complete) + 1)
        kept.unlink()
    assert names(tmp_path) == []


def ends_of_fragments(content: bytes) -> list[int]:
    """Return the position of the end of each ``mdat`` box. A fragment ends with such a box."""
    ends, at = [], 0
    while at < len(content):
        kind, at = content[at + 4 : at + 8], at + int.from_bytes(content[at : at + 4])
        if kind == b"mdat":
            ends.append(at)
    return ends


KILLED = """
import asyncio, sys
from odyssey_client import Odyssey

async def main(url, key, path):
    async with Odyssey(key, api_url=url) as client:
        stream = await client.connect()
        async with stream.record(path) as recorder:
            async for _ in stream:
                if recorder.frames_recorded > 25:
                    print("recording", flush=True)
                    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.odyssey(portrait_size=(176, 320))
async def test_recording_of_killed_process_is_playable(odyssey_mock: MockOdyssey, tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    arguments = (odyssey_mock.url, odyssey_mock.api_key, str(target))
    with start_python("-c", KILLED, *arguments, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            async with asyncio.timeout(LIMIT):
                assert await asyncio.to_thread(child.stdout.readline) == "recording\n"
        finally:
            child.kill()
    left = hidden(tmp_path)
    seen, _ = await asyncio.to_thread(probe, left)
    frames = int(seen["nb_read_frames"])
    assert (len(description(left)["packets"]), seen["start_time"]) == (frames, "0.000000")
    assert frames >= 15, f"expected the frames of the first second (20 at most), got {frames}"
    await record(target)
    assert names(tmp_path) == ["a-recovered.mp4", "a.mp4"]
    recovered, _ = await asyncio.to_thread(probe, tmp_path / "a-recovered.mp4")
    assert recovered["nb_read_frames"] == str(frames)
