"""Tests of the sync calls for simulations and recordings."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from odyssey_client import (
    ConnectionClosedError,
    OdysseyApiError,
    OdysseyConfigError,
    Script,
    SimulationJobDetail,
    SimulationTimeoutError,
)
from odyssey_client.sync import Odyssey
from odyssey_mock.sync import MockOdyssey

SCRIPT = Script().start("A cat").wait(1).interact("It looks out").wait(1).end()


def test_job_runs_and_its_video_is_downloaded(odyssey_sync_client: Odyssey, tmp_path: Path) -> None:
    seen: list[SimulationJobDetail] = []
    threads: set[str] = set()
    job = odyssey_sync_client.simulate(script=SCRIPT)
    done = odyssey_sync_client.wait_for_simulation(job.job_id, poll_interval=0.05, timeout=20, on_update=seen.append)
    assert seen[-1] == done
    status = odyssey_sync_client.get_simulate_status(job.job_id)
    stream_id = done.streams[0].stream_id
    # The URLs in `streams` contain the second in which they expire.
    assert replace(status, streams=()) == replace(done, streams=())
    assert [stream.stream_id for stream in status.streams] == [stream_id]

    assert odyssey_sync_client.get_recording(stream_id).frame_count == 40
    path = odyssey_sync_client.download_recording(
        stream_id, tmp_path, on_progress=lambda _: threads.add(threading.current_thread().name)
    )
    assert path.parent == tmp_path
    assert path.stat().st_size > 0
    assert threads == {"odyssey_client.sync"}


def test_lists_are_iterated_page_by_page(odyssey_mock: MockOdyssey, odyssey_sync_client: Odyssey) -> None:
    jobs = [odyssey_sync_client.simulate(script=SCRIPT).job_id for _ in range(5)]
    odyssey_sync_client.cancel_simulation(jobs[-1])
    listed = [job.job_id for job in odyssey_sync_client.iter_simulations(page_size=2)]
    assert listed == jobs[::-1]
    assert odyssey_sync_client.list_simulations(limit=3).total == 5
    assert [job.job_id for job in odyssey_sync_client.iter_simulations(status="cancelled")] == [jobs[-1]]


def test_arguments_are_checked_before_the_iteration(odyssey_sync_client: Odyssey) -> None:
    with pytest.raises(OdysseyConfigError, match="page_size"):
        odyssey_sync_client.iter_simulations(page_size=0)
    with pytest.raises(OdysseyConfigError, match="page_size"):
        odyssey_sync_client.iter_stream_recordings(page_size=101)


def test_iterator_can_be_left_early(odyssey_sync_client: Odyssey) -> None:
    for _ in range(3):
        odyssey_sync_client.simulate(script=SCRIPT)
    jobs = odyssey_sync_client.iter_simulations(page_size=2)
    next(jobs)
    jobs.close()
    assert list(jobs) == []


def test_streams_appear_in_the_list_of_recordings(odyssey_sync_client: Odyssey) -> None:
    odyssey_sync_client.connect()
    stream_id = odyssey_sync_client.start_stream("A castle")
    odyssey_sync_client.end_stream()
    assert [each.stream_id for each in odyssey_sync_client.iter_stream_recordings()] == [stream_id]
    assert odyssey_sync_client.list_stream_recordings(limit=1).total == 1


def test_errors_of_jobs_and_recordings_are_typed(odyssey_sync_client: Odyssey) -> None:
    job = odyssey_sync_client.simulate(script=SCRIPT)
    with pytest.raises(SimulationTimeoutError, match=r"did not end within 0.01 s"):
        odyssey_sync_client.wait_for_simulation(job.job_id, timeout=0.01)
    with pytest.raises(OdysseyApiError, match="recording") as raised:
        odyssey_sync_client.get_recording("none")
    assert raised.value.code == "recording_not_found"


def test_exception_of_a_callback_ends_the_call(odyssey_sync_client: Odyssey) -> None:
    def stop(job: SimulationJobDetail) -> None:
        raise SystemExit(job.job_id)

    job = odyssey_sync_client.simulate(script=SCRIPT)
    with pytest.raises(SystemExit, match=job.job_id):
        odyssey_sync_client.wait_for_simulation(job.job_id, on_update=stop)
    assert odyssey_sync_client.list_simulations().total == 1


def test_disconnect_ends_waiting_in_another_thread(odyssey_mock: MockOdyssey, odyssey_sync_client: Odyssey) -> None:
    job = odyssey_sync_client.simulate(script=SCRIPT)
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            odyssey_sync_client.wait_for_simulation(job.job_id, poll_interval=30, timeout=60)
        except ConnectionClosedError as error:
            ended.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    odyssey_mock.wait_for("rest", "GET /simulation-jobs/{job_id}")
    odyssey_sync_client.disconnect()
    waiting.join(20)
    assert [str(error) for error in ended] == [
        "The client was closed by disconnect() while wait_for_simulation() was under way."
    ]
