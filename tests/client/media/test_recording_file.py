"""Tests of the file of a recording: its format during and after recording, and what remains after a failure."""

import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odyssey_client.media import recording_file
from odyssey_client.media.recording_file import TIME_BASE
from odyssey_client.partial_file import PartialFile
from tests.support.ffprobe import probe
from tests.support.pictures import picture
from tests.support.recording_files import THREE_SECONDS, boxes, description, hidden, names, recording


def encoded_directly(path: Path, times_ms: Sequence[float]) -> None:
    """Encode the frames of `recording` to a plain MP4 file in one step."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", options={"preset": "veryfast", "tune": "zerolatency", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = 64, 96, "yuv420p"
        stream.time_base = stream.codec_context.time_base = TIME_BASE
        last = -1
        for index, time_ms in enumerate(times_ms):
            shown = picture(index)
            last = max(last + 1, round((time_ms - times_ms[0]) * 90))
            shown.pts, shown.time_base = last, TIME_BASE
            container.mux(stream.encode(shown))
        container.mux(stream.encode(None))


GAPS_MS = st.lists(st.sampled_from([0.0, 1.0, 33.3, 50.0, 999.9, 1000.0, 2500.0, 100_000.0]), max_size=40)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gaps_ms=GAPS_MS)
def test_finished_file_equals_directly_encoded_one(gaps_ms: list[float], tmp_path: Path) -> None:
    times_ms = [7.0]
    for gap in gaps_ms:
        times_ms.append(times_ms[-1] + gap)
    recording(tmp_path / "recorded.mp4", times_ms).commit()
    encoded_directly(tmp_path / "direct.mp4", times_ms)
    assert description(tmp_path / "recorded.mp4") == description(tmp_path / "direct.mp4")
    assert names(tmp_path) == ["direct.mp4", "recorded.mp4"]


def test_finished_file_is_plain_with_index_first(tmp_path: Path) -> None:
    recording(tmp_path / "a.mp4", THREE_SECONDS).commit()
    assert [box for box in boxes(tmp_path / "a.mp4") if box != "free"] == ["ftyp", "moov", "mdat"]
    stream, form = probe(tmp_path / "a.mp4")
    assert (stream["nb_read_frames"], stream["nb_frames"], stream["start_time"]) == ("60", "60", "0.000000")
    assert float(form["duration"]) == pytest.approx(3.0, abs=0.02)


@pytest.mark.parametrize(("frames", "on_disk"), [(20, 0), (21, 20), (60, 40)])
def test_each_second_of_video_is_on_disk(frames: int, on_disk: int, tmp_path: Path) -> None:
    file = recording(tmp_path / "a.mp4", THREE_SECONDS[:frames])
    part = hidden(tmp_path)
    if on_disk:
        assert len(description(part)["packets"]) == on_disk
        stream, _ = probe(part)
        assert (stream["nb_read_frames"], stream["start_time"]) == (str(on_disk), "0.000000")
    else:
        assert part.stat().st_size == 0
    file.discard()


def test_fragmented_file_is_kept_if_copying_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Path, plain: Path) -> None:
        plain.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(recording_file, "_copy_as_plain", fail)
    file = recording(tmp_path / "a.mp4", THREE_SECONDS)
    file.commit()
    assert (names(tmp_path), file.frames) == (["a.mp4"], 60)
    assert len(description(tmp_path / "a.mp4")["packets"]) == 60
    assert "a.mp4: stays a fragmented MP4 file" in caplog.text
    assert "No space left on device" in caplog.text


def test_video_is_kept_if_target_became_a_directory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    target, kept = tmp_path / "a.mp4", tmp_path / "a-recovered.mp4"
    file = recording(target, THREE_SECONDS)
    target.mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        file.commit()
    assert str(caught.value) == (
        f"[Errno {errno.EISDIR}] Is a directory; the video recorded before is in {kept}: {str(target)!r}"
    )
    assert str(kept) in caplog.text
    assert (names(tmp_path), file.frames) == (["a-recovered.mp4", "a.mp4"], 0)
    assert len(description(kept)["packets"]) == 60


def test_hidden_file_stays_if_directory_became_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    file = recording(tmp_path / "a.mp4", THREE_SECONDS)
    kept = hidden(tmp_path)
    for call in ("rename", "replace", "link", "unlink"):
        monkeypatch.setattr(os, call, refuse)
    monkeypatch.setattr(recording_file, "_copy_as_plain", refuse)
    monkeypatch.setattr(PartialFile, "create", refuse)
    with pytest.raises(PermissionError) as caught:
        file.commit()
    assert str(kept) in str(caught.value)
    assert names(tmp_path) == [kept.name]
    assert len(description(kept)["packets"]) == 60


def test_error_names_no_file_if_directory_was_deleted(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    file = recording(tmp_path / "films" / "a.mp4", THREE_SECONDS)
    shutil.rmtree(tmp_path / "films")
    with pytest.raises(FileNotFoundError) as caught:
        file.commit()
    assert str(caught.value) == (
        f"[Errno {errno.ENOENT}] No such file or directory: {str(tmp_path / 'films' / 'a.mp4')!r}"
    )
