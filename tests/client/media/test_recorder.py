"""Tests of recording to a file: its content, when it appears, and which files remain after a failure."""

import asyncio
import gc
import os
import resource
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import av
import pytest

from odyssey_client import ConnectionClosedError, MediaStream
from odyssey_client.media import recording_file
from odyssey_client.media.recorder import Recorder, check_target
from odyssey_client.media.recording_file import RecordingFile
from tests.support.leftovers import nothing_left
from tests.support.pictures import fill, noise, picture

LIMIT = 30.0
"""Timeout in seconds for every wait. Waits usually take much less."""

OLD = b"a film of before"


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def permissions(directory: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}


def decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec.name == "h264"
        return list(container.decode(video=0))


async def test_recording_has_every_frame_at_its_time(tmp_path: Path) -> None:
    stream = MediaStream()
    path = tmp_path / "video.mp4"
    async with stream.record(path) as recorder:
        for index in (0, 1, 2, 10, 11):
            stream.push(picture(index))
    frames = decoded(path)
    assert [round(float(frame.time or 0) * 1000) for frame in frames] == [0, 50, 100, 500, 550]
    shades = [float(frame.to_ndarray(format="gray").mean()) for frame in frames]
    assert shades == pytest.approx([16, 24, 32, 96, 104], abs=4)
    assert (recorder.frames_recorded, recorder.frames_dropped, recorder.has_failed) == (5, 0, False)


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_failed_start_waits_without_blocking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_cancelled: bool
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def slow(_: RecordingFile) -> None:
        begun.set()
        assert may_end.wait(LIMIT)

    monkeypatch.setattr(RecordingFile, "discard", slow)
    async with nothing_left(), asyncio.timeout(LIMIT):
        starting = asyncio.create_task(MediaStream().record(tmp_path / "missing" / "video.mp4").start())
        assert await asyncio.to_thread(begun.wait, LIMIT)
        if is_cancelled:
            starting.cancel()
            await asyncio.wait([starting])
        assert starting.done() == is_cancelled
        may_end.set()
        with pytest.raises(asyncio.CancelledError if is_cancelled else FileNotFoundError):
            await starting


async def test_frames_of_other_size_are_fitted_in(tmp_path: Path) -> None:
    stream = MediaStream()
    async with stream.record(tmp_path / "video.mp4"):
        stream.push(picture(24, 64, 96))
        stream.push(picture(25, 96, 64))
    upright, lying = decoded(tmp_path / "video.mp4")
    assert (lying.width, lying.height) == (upright.width, upright.height) == (64, 96)
    rows = lying.to_ndarray(format="gray")[:, 32]
    assert rows[4] < 40
    assert rows[48] > 100


@pytest.mark.parametrize("size", [(65, 97), (1, 1)])
async def test_odd_sides_are_padded_to_even(size: tuple[int, int], tmp_path: Path) -> None:
    stream = MediaStream()
    async with stream.record(tmp_path / "video.mp4"):
        stream.push(picture(0, *size))
        stream.push(picture(1, *size))
    assert [(frame.width, frame.height) for frame in decoded(tmp_path / "video.mp4")] == [
        (size[0] + 1, size[1] + 1)
    ] * 2


async def test_unfittable_frame_raises_error_with_file_name(tmp_path: Path) -> None:
    stream, path = MediaStream(), tmp_path / "video.mp4"
    recorder = stream.record(path)
    await recorder.start()
    stream.push(picture(0, 64, 96))
    stream.push(picture(1, 3000, 2))
    with pytest.raises(OSError, match="Invalid argument") as raised:
        await recorder.stop()
    assert raised.value.filename == str(path)
    assert names(tmp_path) == ["video-recovered.mp4"]
    assert len(decoded(tmp_path / "video-recovered.mp4")) == 1


async def test_recording_is_complete_when_connection_fails(tmp_path: Path) -> None:
    stream = MediaStream()
    async with stream.record(tmp_path / "video.mp4"):
        fill(stream, 4)
        stream.end(ConnectionClosedError("gone"))
    assert len(decoded(tmp_path / "video.mp4")) == 4


async def test_recording_continues_without_a_reference(tmp_path: Path) -> None:
    stream, path = MediaStream(), tmp_path / "video.mp4"
    before = asyncio.all_tasks()
    await stream.record(path).start()
    (recording,) = asyncio.all_tasks() - before
    ended = asyncio.Event()
    recording.add_done_callback(lambda _: ended.set())
    del recording
    await asyncio.to_thread(gc.collect)  # in a thread, so that the recording waits for its first frame meanwhile
    await asyncio.to_thread(gc.collect)
    for index in range(3):
        stream.push(picture(index))
    stream.end()
    async with asyncio.timeout(LIMIT):
        await ended.wait()
    assert len(decoded(path)) == 3


async def test_recorder_can_be_started_once(tmp_path: Path) -> None:
    recorder = MediaStream().record(tmp_path / "video.mp4")
    async with recorder:
        with pytest.raises(RuntimeError, match="already started; create another one"):
            await recorder.start()
    assert not (tmp_path / "video.mp4").exists()


async def test_file_gets_its_name_when_complete(tmp_path: Path) -> None:
    stream, path = MediaStream(), tmp_path / "video.mp4"
    path.write_bytes(OLD)
    async with stream.record(path) as recorder:
        fill(stream, 3)
        await recorded(recorder, 3)
        assert path.read_bytes() == OLD
        assert len(names(tmp_path)) == 2
    assert names(tmp_path) == ["video.mp4"]
    assert len(decoded(path)) == 3


async def test_existing_file_stays_if_nothing_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(OLD)
    async with MediaStream().record(path) as recorder:
        pass
    assert (path.read_bytes(), names(tmp_path), recorder.frames_recorded) == (OLD, ["video.mp4"], 0)


async def test_two_recordings_share_one_directory(tmp_path: Path) -> None:
    stream = MediaStream()
    async with stream.record(tmp_path / "a.mp4"):
        fill(stream, 2)
        async with stream.record(tmp_path / "b.mp4"):
            stream.push(picture(2))
    assert names(tmp_path) == ["a.mp4", "b.mp4"]
    assert [len(decoded(tmp_path / name)) for name in names(tmp_path)] == [3, 1]


async def test_symlink_is_kept_and_target_replaced(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    link, path = tmp_path / "link.mp4", tmp_path / "films" / "video.mp4"
    link.symlink_to(path)
    stream = MediaStream()
    async with stream.record(link):
        fill(stream, 2)
    assert link.is_symlink()
    assert len(decoded(path)) == 2


async def test_replaced_recording_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    path.touch()
    path.chmod(0o640)
    stream = MediaStream()
    async with stream.record(path):
        assert permissions(tmp_path) == {0o640}
        fill(stream, 2)
    assert permissions(tmp_path) == {0o640}
    assert len(decoded(path)) == 2


async def test_device_created_while_recording_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    stream = MediaStream()
    recorder = stream.record(path)
    await recorder.start()
    fill(stream, 2)
    path.symlink_to("/dev/null")
    with pytest.raises(FileExistsError):
        await recorder.stop()
    assert path.readlink() == Path("/dev/null")
    assert names(tmp_path) == ["video-recovered.mp4", "video.mp4"]
    assert len(decoded(tmp_path / "video-recovered.mp4")) == 2


async def test_relative_path_is_resolved_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stream = MediaStream()
    async with stream.record("video.mp4"):
        monkeypatch.chdir("/")
        fill(stream, 1)
    assert len(decoded(tmp_path / "video.mp4")) == 1


def unwritable(directory: Path, where: str) -> Path:
    """Return a path at which no recording can be written. `where` is the cause, for example "missing directory"."""
    match where:
        case "missing directory":
            return directory / "none" / "video.mp4"
        case "file as directory":
            (directory / "file").touch()
            return directory / "file" / "video.mp4"
        case "directory":
            (directory / "video.mp4").mkdir()
            return directory / "video.mp4"
        case "pipe":
            os.mkfifo(directory / "video.mp4")
            return directory / "video.mp4"
        case "long name":
            return directory / f"{'x' * 300}.mp4"
        case _:
            raise ValueError(where)


UNWRITABLE = {
    "missing directory": FileNotFoundError,
    "file as directory": NotADirectoryError,
    "directory": IsADirectoryError,
    "pipe": FileExistsError,
    "long name": OSError,
}


@pytest.mark.parametrize(("where", "error"), UNWRITABLE.items(), ids=UNWRITABLE)
async def test_unwritable_path_fails_at_start_without_leftovers(
    where: str, error: type[OSError], tmp_path: Path
) -> None:
    path = unwritable(tmp_path, where)
    before = names(tmp_path)
    async with nothing_left():
        recorder = MediaStream().record(path)
        with pytest.raises(error) as caught:
            await recorder.start()
        await recorder.stop()
        with pytest.raises(error):
            check_target(path)
    assert (type(caught.value), caught.value.filename, names(tmp_path)) == (error, str(path), before)


@pytest.mark.parametrize("there", [True, False])
def test_checking_target_changes_no_files(there: bool, tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    if there:
        path.write_bytes(OLD)
    check_target(path)
    assert names(tmp_path) == ["video.mp4"] * there
    assert not there or path.read_bytes() == OLD


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Simulate a full disk: files that this process writes in the `with` block cannot exceed ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def others_go_on() -> None:
    """Wait for a function in another thread, so that other tasks and threads can run."""
    await asyncio.to_thread(lambda: None)


async def recorded(recorder: Recorder, count: int) -> None:
    """Wait until ``count`` frames are recorded, or the recording has failed."""
    async with asyncio.timeout(LIMIT):
        while recorder.frames_recorded < count and not recorder.has_failed:
            await others_go_on()


@pytest.mark.parametrize(("size", "kept"), [(200_000, 0), (700_000, 20)])
async def test_full_disk_keeps_complete_seconds(size: int, kept: int, tmp_path: Path) -> None:
    stream, path = MediaStream(), tmp_path / "video.mp4"
    path.write_bytes(OLD)
    async with nothing_left():
        recorder = stream.record(path)
        await recorder.start()
        with room_for(size):
            for index in range(45):
                stream.push(noise(index))
            await recorded(recorder, 45)
        assert recorder.has_failed
        for _ in range(2):
            with pytest.raises(OSError, match="File too large") as caught:
                await recorder.stop()
            assert caught.value.filename == str(path)
    assert (path.read_bytes(), recorder.frames_recorded) == (OLD, 0)
    check_kept(tmp_path, kept, caught.value)


@pytest.mark.parametrize(("frames", "room", "kept"), [(2, 0, 0), (30, 600_000, 20)])
async def test_full_disk_at_stop_keeps_complete_seconds(frames: int, room: int, kept: int, tmp_path: Path) -> None:
    stream = MediaStream()
    recorder = stream.record(tmp_path / "video.mp4")
    await recorder.start()
    for index in range(frames):
        stream.push(noise(index))
    await recorded(recorder, frames)
    with room_for(room), pytest.raises(OSError, match="File too large") as caught:
        await recorder.stop()
    assert (recorder.has_failed, recorder.frames_recorded) == (True, 0)
    check_kept(tmp_path, kept, caught.value)


def check_kept(directory: Path, frames: int, error: OSError) -> None:
    """Assert that a failed recording kept ``frames`` frames in a file, and that its error names this file."""
    kept = directory / "video-recovered.mp4"
    assert kept.exists() == bool(frames), (
        f"expected {kept.name} to exist only if frames were recorded ({frames}), got the files {names(directory)}"
    )
    assert (str(kept) in str(error)) == bool(frames), (
        f"expected the error to name {kept} only if frames were recorded ({frames}), got the error {error}"
    )
    if frames:
        assert len(decoded(kept)) == frames
    assert not list(directory.glob(".*"))


async def test_encoder_error_keeps_earlier_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = MediaStream()
    recorder = stream.record(tmp_path / "video.mp4")
    await recorder.start()
    fill(stream, 3)
    await recorded(recorder, 3)
    monkeypatch.setattr(recorder._file, "_fit", None)
    stream.push(picture(3))
    with pytest.raises(AttributeError):
        await recorder.stop()
    assert (names(tmp_path), recorder.frames_recorded) == (["video-recovered.mp4"], 0)
    assert len(decoded(tmp_path / "video-recovered.mp4")) == 3


async def test_cancelled_recording_keeps_its_frames(tmp_path: Path) -> None:
    stream, path = MediaStream(), tmp_path / "video.mp4"
    async with nothing_left():
        recorder = stream.record(path)
        await recorder.start()
        fill(stream, 5)
        await recorded(recorder, 5)
        assert recorder._task is not None
        assert recorder._thread is not None
        recorder._thread.submit(threading.Event().wait, 0.3)  # as if the encoder were busy with a frame
        for _ in range(2):  # for example two Ctrl+C
            recorder._task.cancel()
            await others_go_on()
        await recorder.stop()
    assert (recorder.frames_recorded, recorder.has_failed) == (5, False)
    assert len(decoded(path)) == 5


async def test_recording_cancelled_at_once_leaves_no_file(tmp_path: Path) -> None:
    async with nothing_left():
        recorder = MediaStream().record(tmp_path / "video.mp4")
        await recorder.start()
        assert recorder._task is not None
        recorder._task.cancel()
        await recorder.stop()
    assert (names(tmp_path), recorder.has_failed) == ([], False)


@pytest.fixture
def slow_copy(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Delay the last step of recordings, the copy to a plain MP4 file, until the returned event is set, or for 5 s."""
    proceed, copy = threading.Event(), recording_file._copy_as_plain

    def wait_first(fragmented: Path, plain: Path) -> None:
        proceed.wait(5)
        copy(fragmented, plain)

    monkeypatch.setattr(recording_file, "_copy_as_plain", wait_first)
    return proceed


@pytest.mark.parametrize("cancelled", ["call", "task"])
async def test_loop_continues_while_cancelled_stop_finishes(
    cancelled: str, tmp_path: Path, slow_copy: threading.Event
) -> None:
    stream, path = MediaStream(), tmp_path / "video.mp4"
    async with nothing_left():
        recorder = stream.record(path)
        await recorder.start()
        fill(stream, 5)
        await recorded(recorder, 5)
        stopping = asyncio.ensure_future(recorder.stop())
        await asyncio.wait({stopping}, timeout=0)
        task = stopping if cancelled == "call" else recorder._task
        assert task is not None
        task.cancel()
        for _ in range(3):
            await others_go_on()
        assert not path.exists(), "expected the event loop to run while the file is incomplete, got a complete file"
        assert not recorder.has_failed
        slow_copy.set()
        await recorder.stop()
        with suppress(asyncio.CancelledError):
            await stopping
    assert (stopping.cancelled(), recorder.has_failed, recorder.frames_recorded) == (cancelled == "call", False, 5)
    assert len(decoded(path)) == 5


async def test_cancelled_start_leaves_no_file(tmp_path: Path) -> None:
    async with nothing_left():
        for steps in range(1, 5):
            recorder = MediaStream().record(tmp_path / "video.mp4")
            starting = asyncio.ensure_future(recorder.start())
            for _ in range(steps):
                await asyncio.wait({starting}, timeout=0)
            starting.cancel()
            with suppress(asyncio.CancelledError):
                await starting
            await recorder.stop()
            assert recorder._thread is not None
            await asyncio.to_thread(recorder._thread.shutdown)
    assert names(tmp_path) == []
