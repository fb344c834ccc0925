"""Tests of the command `odyssey simulate` against the mock."""

import asyncio
from pathlib import Path
from typing import Any

import av
import pytest

from odyssey_mock import MockOdyssey

from .conftest import CAT, FAILING, Run, document, script_file

QUICK: dict[str, Any] = {  # Any: settings of a mock, by name
    "portrait_size": (176, 320),
    "landscape_size": (320, 176),
    "simulation_dispatch_delay": 0,
    "simulation_start_delay": 0,
    "simulation_pace": 0,
}
SOON = ("--poll-interval", "0.02")

pytestmark = pytest.mark.odyssey(**QUICK)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def submitted(mock: MockOdyssey) -> list[dict[str, Any]]:
    """Return the request body of each submitted simulation job."""
    made = [entry for entry in mock.journal.entries if entry.name == "POST /simulation-jobs"]
    return [entry.data["request"] for entry in made]


async def test_job_id_is_printed_without_waiting(odyssey_mock: MockOdyssey, run: Run, tmp_path: Path) -> None:
    result = await run("simulate", script_file(tmp_path, CAT))
    (job_id,) = odyssey_mock.jobs
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[:2] == [f"job             {job_id}", "status          pending"]


async def test_options_are_sent_with_the_job(odyssey_mock: MockOdyssey, run: Run, tmp_path: Path) -> None:
    file = script_file(tmp_path, CAT)
    await run("simulate", file)
    await run("simulate", file, "--landscape", "--bypass-prompt-expansion")
    await run("simulate", "--batch", file, file)
    await run("simulate", "--batch", file)
    await run("simulate", "--url", "http://127.0.0.1:1/cat.json")
    first, second, batch, batch_of_one, by_url = submitted(odyssey_mock)
    assert (first["script"], first["portrait"]) == (CAT, True)
    assert "bypass_vlm_expansion" not in first
    assert (second["portrait"], second["bypass_vlm_expansion"]) == (False, True)
    assert (batch["scripts"], batch_of_one["scripts"]) == ([CAT, CAT], [CAT])
    assert by_url["script_url"] == "http://127.0.0.1:1/cat.json"


async def test_wait_prints_changes_and_then_the_job(odyssey_mock: MockOdyssey, run: Run, tmp_path: Path) -> None:
    result = await run("simulate", script_file(tmp_path, CAT), "--wait", *SOON)
    (job_id,) = odyssey_mock.jobs
    assert result.exit_code == 0
    lines = result.stderr.splitlines()
    assert lines[0] == f"Simulation {job_id}: pending, 0 of 1 stream done"
    assert lines[-1] == f"Simulation {job_id}: completed, 1 of 1 stream done"
    assert len(lines) == len(set(lines))
    job, _, streams = result.stdout.partition("\n\n")
    assert "status           completed" in job
    header, row = streams.splitlines()
    assert header.split() == ["SCRIPT", "STREAM", "STATUS", "DURATION", "FRAMES", "ERROR"]
    assert row.split()[2:] == ["completed", "1", "s", "20", "-"]


async def test_download_waits_and_saves_each_video(odyssey_mock: MockOdyssey, run: Run, tmp_path: Path) -> None:
    file, out = script_file(tmp_path, CAT), tmp_path / "new" / "out"
    result = await run("simulate", "--batch", file, file, "--download", out, *SOON)
    assert result.exit_code == 0
    (job,) = odyssey_mock.jobs.values()
    assert names(out) == sorted(f"{stream.stream_id}.mp4" for stream in job.streams)
    for path in out.iterdir():
        with av.open(str(path)) as container:
            assert sum(1 for _ in container.decode(video=0)) == 20
        assert f"{path}  " in result.stdout


async def test_artifact_option_selects_downloaded_files(odyssey_mock: MockOdyssey, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    wanted = ("--artifact", "events", "--artifact", "thumbnail")
    result = await run("simulate", script_file(tmp_path, CAT), "--download", out, *wanted, *SOON)
    assert result.exit_code == 0
    assert [path.suffix for path in sorted(out.iterdir())] == [".jpg", ".jsonl"]


async def test_json_document_has_job_and_files(odyssey_mock: MockOdyssey, run: Run, tmp_path: Path) -> None:
    file, out = script_file(tmp_path, CAT), tmp_path / "out"
    made = document(await run("simulate", file, "--json"))
    assert set(made) == {"job_id", "status", "priority", "created_at", "estimated_wait_minutes"}
    ended = document(await run("simulate", file, "--download", out, "--json", *SOON))
    (stream,) = ended["streams"]
    (path,) = out.iterdir()
    assert (ended["status"], stream["frame_count"]) == ("completed", 20)
    assert ended["files"] == [
        {"stream_id": stream["stream_id"], "artifact": "video", "path": str(path), "bytes": path.stat().st_size}
    ]


async def test_other_streams_are_downloaded_if_one_fails(odyssey_mock: MockOdyssey, run: Run, tmp_path: Path) -> None:
    good, bad, out = script_file(tmp_path, CAT), script_file(tmp_path, FAILING, "dog.json"), tmp_path / "out"
    result = await run("simulate", "--batch", good, bad, "--download", out, *SOON)
    (job,) = odyssey_mock.jobs.values()
    assert result.exit_code == 1
    assert names(out) == [f"{job.streams[0].stream_id}.mp4"]
    assert "failed, 2 of 2 streams done" in result.stderr
    assert f"Error: Simulation {job.id} failed: 1 of 2 streams failed" in result.stderr
    assert "script 1: no dogs" in result.stderr
    assert f"{out / job.streams[0].stream_id}.mp4" in result.stdout


async def test_json_error_of_failed_job_has_streams(odyssey_mock: MockOdyssey, run: Run, tmp_path: Path) -> None:
    result = await run("simulate", script_file(tmp_path, FAILING), "--wait", "--json", *SOON)
    found = document(result)
    assert result.exit_code == 1
    assert (found["error"]["code"], found["status"]) == ("simulation_failed", "failed")
    assert "no dogs" in found["error"]["stream_errors"]["0"]


async def test_existing_files_of_failed_streams_are_downloaded(
    odyssey_mock: MockOdyssey, run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = ("--download", out, "--artifact", "events", "--artifact", "video", *SOON)
    result = await run("simulate", script_file(tmp_path, FAILING), *arguments)
    assert result.exit_code == 1
    assert [path.suffix for path in out.iterdir()] == [".jsonl"]
    assert "has no video" not in result.stderr


@pytest.mark.odyssey(simulation_workers=0)
async def test_job_continues_after_wait_timeout(odyssey_mock: MockOdyssey, run: Run, tmp_path: Path) -> None:
    result = await run("simulate", script_file(tmp_path, CAT), "--wait", "--timeout", "0.1", "--json", *SOON)
    (job_id,) = odyssey_mock.jobs
    assert result.exit_code == 1
    assert f"Error: Simulation {job_id} did not end within 0.1 s: its last status is pending." in result.stderr
    assert f"odyssey simulations cancel {job_id}" in result.stderr
    found = document(result)
    assert (found["job_id"], found["error"]["code"]) == (job_id, "simulation_timeout")
    assert odyssey_mock.jobs[job_id].status == "pending"


@pytest.mark.odyssey(simulation_workers=0)
async def test_job_cancelled_while_waiting_is_an_error(odyssey_mock: MockOdyssey, run: Run, tmp_path: Path) -> None:
    running = asyncio.create_task(run("simulate", script_file(tmp_path, CAT), "--wait", *SOON))
    await odyssey_mock.journal.wait_for("rest", "GET /simulation-jobs/{job_id}")
    (job_id,) = odyssey_mock.jobs
    odyssey_mock.jobs.cancel(job_id)
    result = await running
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-2:] == [
        f"Simulation {job_id}: cancelled, 0 of 1 stream done",
        f"Error: Simulation {job_id} was cancelled",
    ]


@pytest.mark.odyssey(simulation_workers=0)
async def test_json_error_of_cancelled_job_has_the_job(odyssey_mock: MockOdyssey, run: Run, tmp_path: Path) -> None:
    running = asyncio.create_task(run("simulate", script_file(tmp_path, CAT), "--wait", "--json", *SOON))
    await odyssey_mock.journal.wait_for("rest", "GET /simulation-jobs/{job_id}")
    (job_id,) = odyssey_mock.jobs
    odyssey_mock.jobs.cancel(job_id)
    error = document(await running)["error"]
    assert error["code"] == "simulation_cancelled"
    assert (error["job"]["job_id"], error["job"]["status"]) == (job_id, "cancelled")


async def test_unusable_directory_is_rejected_without_a_job(
    odyssey_mock: MockOdyssey, run: Run, tmp_path: Path
) -> None:
    file = script_file(tmp_path, CAT)
    result = await run("simulate", file, "--download", file / "out", "--json")
    error = document(result)["error"]
    assert (result.exit_code, error["code"]) == (1, "cannot_write")
    assert error["message"] == (
        f"Cannot create the directory {file / 'out'}: Not a directory. Choose another one with --download."
    )
    assert len(odyssey_mock.jobs) == 0


@pytest.mark.odyssey(simulation_workers=0, queued_simulations=1)
async def test_full_queue_is_an_error(odyssey_mock: MockOdyssey, run: Run, tmp_path: Path) -> None:
    file = script_file(tmp_path, CAT)
    assert (await run("simulate", file)).exit_code == 0
    result = await run("simulate", file, "--json")
    assert result.exit_code == 1
    assert document(result)["error"]["code"] == "RATE_LIMITED"
    assert len(odyssey_mock.jobs) == 1


@pytest.mark.off_contract("uses an API key that the service rejects")
async def test_rejected_key_prints_message_of_service(
    odyssey_mock: MockOdyssey, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODYSSEY_API_KEY", "ody_invalid")
    result = await run("simulate", script_file(tmp_path, CAT))
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "Error: Invalid API key\n")


async def test_bypass_error_names_the_option(
    odyssey_mock: MockOdyssey, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODYSSEY_API_KEY", "ody_no_bypass")
    result = await run("simulate", script_file(tmp_path, CAT), "--bypass-prompt-expansion")
    assert result.exit_code == 1
    assert "Leave --bypass-prompt-expansion out" in result.stderr
