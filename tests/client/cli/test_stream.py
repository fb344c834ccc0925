"""Tests of the command `odyssey stream` against the mock, over real WebRTC."""

import asyncio
import json
import signal
from pathlib import Path

import pytest
from PIL import Image

from odyssey_client.cli import stream as command
from odyssey_mock import MockOdyssey
from tests.support.ffprobe import probe

from .conftest import LIMIT, Run, document, names, odyssey, started

pytestmark = pytest.mark.odyssey(portrait_size=(176, 320), landscape_size=(320, 176))


def size_and_frames(path: Path) -> tuple[int, int, int]:
    video, _ = probe(path)
    return int(video["width"]), int(video["height"]), int(video["nb_read_frames"])


async def test_stream_is_changed_recorded_and_ended(odyssey_mock: MockOdyssey, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "cat.mp4"
    arguments = ("--interact", "0.4s:Feed it", "--interact", "0.2s: Pet the cat ", "--duration", "1")
    result = await run("stream", "A cat", *arguments, "--save", path, "--json")
    assert result.exit_code == 0, result.stderr
    told = document(result)
    assert [(each["seconds"], each["prompt"]) for each in told["interactions"]] == [
        (0.2, "Pet the cat"),
        (0.4, "Feed it"),
    ]
    assert told["interactions"][0]["applied_prompt"].startswith("Pet the cat")
    assert (told["ended_by"], told["stamps"]["first"], told["stamps"]["missing"]) == ("seconds", 0, 0)
    assert told["seconds"] == pytest.approx(1, abs=0.5)
    assert told["saved"] == {"path": str(path), "frames": told["frames"], "dropped": 0}
    assert size_and_frames(path) == (176, 320, told["frames"])
    assert names(tmp_path) == ["cat.mp4"]
    odyssey_mock.expect("interactive_stream_end")
    assert result.stderr.splitlines()[0] == "Connecting."
    assert result.stderr.splitlines()[1].startswith(f"Stream {told['stream_id']}: A cat")
    assert "0.2 s: Pet the cat" in result.stderr


@pytest.mark.odyssey(portrait_size=(176, 320), overlay="none", fps=60)
async def test_frames_without_stamps_count_from_the_acknowledgment(odyssey_mock: MockOdyssey, run: Run) -> None:
    odyssey_mock.faults.add({"at": "stream.start", "do": "late", "seconds": 0.5})  # 30 frames
    result = await run("stream", "A cat", "--duration", "0.2", "--json")
    assert result.exit_code == 0, result.stderr
    told = document(result)
    assert told["stamps"] is None
    assert 0 < told["frames"] < 25


async def test_recording_has_the_size_of_the_stream(odyssey_mock: MockOdyssey, run: Run, tmp_path: Path) -> None:
    # Before the stream, the mock sends frames in portrait.
    path, image = tmp_path / "cat.mp4", tmp_path / "cat.png"
    Image.new("RGB", (40, 30), "red").save(image)
    result = await run("stream", "A cat", "--landscape", "--image", image, "--duration", "0.5", "--save", path)
    assert result.exit_code == 0, result.stderr
    assert size_and_frames(path)[:2] == (320, 176)
    start = odyssey_mock.expect("interactive_stream_start")
    message = start.data["message"]
    assert (message["portrait"], message["input_image_base64"][:11]) == (False, "data:image/")


async def test_text_has_a_table_of_interactions(odyssey_mock: MockOdyssey, run: Run) -> None:
    result = await run("stream", "A cat", "--interact", "0.1:Pet it", "--duration", "0.4")
    above, below = result.stdout.split("\n\n")
    lines = dict(line.split(maxsplit=1) for line in above.splitlines())
    assert list(lines) == ["stream", "frames", "stamps", "duration", "fps", "size", "ended"]
    assert (lines["size"], lines["ended"]) == ("176x320", "at the time limit")
    header, row = below.splitlines()
    assert header == "AT     APPLIED PROMPT"
    assert row.startswith("0.1 s  Pet it")


async def test_stream_ends_some_seconds_after_last_interaction(
    odyssey_mock: MockOdyssey, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "AFTER_S", 0.3)
    told = document(await run("stream", "A cat", "--interact", "0.2s:Pet it", "--json"))
    assert told["ended_by"] == "seconds"
    assert told["seconds"] == pytest.approx(0.5, abs=0.3)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_interrupt_ends_stream_and_keeps_recording(
    signum: signal.Signals, code: int, odyssey_mock: MockOdyssey, tmp_path: Path
) -> None:
    path = tmp_path / "cat.mp4"
    with started("stream", "A cat", "--interact", "1s:Pet it", "--duration", "60", "--save", path, "--json") as process:
        assert process.stderr is not None
        while not (await asyncio.to_thread(process.stderr.readline)).startswith("1 s: Pet it"):
            assert process.poll() is None
        process.send_signal(signum)
        stdout, stderr = await asyncio.to_thread(process.communicate, timeout=LIMIT)
    told = json.loads(stdout)
    assert (process.returncode, told["error"]["code"], told["ended_by"]) == (code, "interrupted", "signal")
    assert stderr.splitlines()[-1] == "Interrupted."
    assert told["frames"] == told["saved"]["frames"] == size_and_frames(path)[2] > 0
    assert names(tmp_path) == ["cat.mp4"]
    odyssey_mock.expect("interactive_stream_end")


async def test_rejected_interaction_is_an_error_and_keeps_recording(
    odyssey_mock: MockOdyssey, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "cat.mp4"
    interactions = ("--interact", "0.3s:[moderated] x", "--interact", "9s:never")
    result = await run("stream", "A cat", *interactions, "--save", path, "--json")
    told = document(result)
    assert (result.exit_code, told["error"]["code"], told["ended_by"]) == (1, "moderation_failed", "error")
    assert result.stderr.splitlines()[-2:] == [
        "Error: moderation_failed: Failed to run content moderation",
        "  The interaction at 0.3 s was not applied: [moderated] x",
    ]
    assert size_and_frames(path)[2] > 0
    odyssey_mock.expect("interactive_stream_end")


async def test_rejected_start_is_an_error_without_file(odyssey_mock: MockOdyssey, run: Run, tmp_path: Path) -> None:
    result = await run("stream", "[moderated] cat", "--save", tmp_path / "cat.mp4")
    assert (result.exit_code, names(tmp_path)) == (1, [])
    assert result.stderr.splitlines()[-1] == "Error: moderation_failed: Failed to run content moderation"


@pytest.mark.odyssey(portrait_size=(176, 320), stream_duration=0.5)
@pytest.mark.parametrize(("options", "code"), [([], 0), (["--duration", "30"], 1)])
async def test_early_end_by_the_service_is_an_error(
    options: list[str], code: int, odyssey_mock: MockOdyssey, run: Run
) -> None:
    result = await run("stream", "A cat", *options, "--json")
    told = document(result)
    assert (result.exit_code, told["ended_by"]) == (code, "service")
    assert told.get("error", {}).get("code") == ("session_timeout" if code else None)


@pytest.mark.odyssey(faults=[{"at": "rest.sessions.request", "do": "status", "status": 429, "times": 9}])
async def test_refused_session_is_an_error(odyssey_mock: MockOdyssey, run: Run) -> None:
    result = await run("stream", "A cat", "--json")
    assert (result.exit_code, list(document(result))) == (1, ["error"])
    assert result.stderr.splitlines()[-1].startswith("Error: ")


async def test_existing_file_is_refused_before_connecting(odyssey_mock: MockOdyssey, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "cat.mp4"
    path.write_bytes(b"an old film")
    result = await run("stream", "A cat", "--save", path)
    assert (result.exit_code, path.read_bytes()) == (1, b"an old film")
    assert "already exists: choose another path, or pass --overwrite to replace it." in result.stderr
    assert [entry for entry in odyssey_mock.journal.entries if entry.kind == "rest"] == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "Missing argument 'PROMPT'"),
        (["A cat", "--interact", "Pet it"], "expected TIME:PROMPT, such as '3s:Pet the cat', got 'Pet it'"),
        (["A cat", "--interact", "3s:"], "expected TIME:PROMPT, such as '3s:Pet the cat', got '3s:'"),
        (["A cat", "--interact", "-3s:x"], "expected TIME:PROMPT"),
        (["A cat", "--interact", "soon:x"], "expected TIME:PROMPT"),
        (["A cat", "--interact", f"{'9' * 10}s:x"], "expected TIME:PROMPT"),
        (
            ["A cat", "--interact", "5s:x", "--interact", "1s:y", "--duration", "5"],
            "--interact at 5 s is not before the end of the stream, --duration 5.",
        ),
        (["A cat", "--overwrite"], "--overwrite requires --save."),
        (["A cat", "--duration", "0"], "0.0 is not in the range"),
        (["A cat", "--duration", "nan"], "nan is not a number"),
        (["A cat", "--image", "no-such-file.png"], "'no-such-file.png' does not exist"),
    ],
)
def test_wrong_usage_exits_with_code_2(arguments: list[str], expected: str) -> None:
    result = odyssey("stream", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert expected in " ".join(result.stderr.split())
