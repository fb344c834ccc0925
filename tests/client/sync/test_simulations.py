"""Tests of the sync calls for simulations and recordings."""

import threading
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
from tests.support.mock_in_thread import MockInThread

SCRIPT = Script().start("A cat").wait(1).interact("It looks out").wait(1).end()


def test_job_runs_and_its_video_is_downloaded(client: Odyssey, tmp_path: Path) -> None:
    seen: list[SimulationJobDetail] = []
    threads: set[str] = set()
    job = client.simulate(script=SCRIPT)
    done = client.wait_for_simulation(job.job_id, poll_interval=0.05, timeout=20, on_update=seen.append)
    assert seen[-1] == done == client.get_simulate_status(job.job_id)

    stream_id = done.streams[0].stream_id
    assert client.get_recording(stream_id).frame_count == 40
    path = client.download_recording(
        stream_id, tmp_path, on_progress=lambda _: threads.add(threading.current_thread().name)
    )
    assert path.parent == tmp_path
    assert path.stat().st_size > 0
    assert threads == {"odyssey-client"}


def test_lists_are_iterated_page_by_page(mock: MockInThread, client: Odyssey) -> None:
    jobs = [client.simulate(script=SCRIPT).job_id for _ in range(5)]
    client.cancel_simulation(jobs[-1])
    listed = [job.job_id for job in client.iter_simulations(page_size=2)]
    assert listed == jobs[::-1]
    assert client.list_simulations(limit=3).total == 5
    assert [job.job_id for job in client.iter_simulations(status="cancelled")] == [jobs[-1]]


def test_arguments_are_checked_before_the_iteration(client: Odyssey) -> None:
    with pytest.raises(OdysseyConfigError, match="page_size"):
        client.iter_simulations(page_size=0)
    with pytest.raises(OdysseyConfigError, match="page_size"):
        client.iter_stream_recordings(page_size=101)


def test_iterator_can_be_left_early(client: Odyssey) -> None:
    for _ in range(3):
        client.simulate(script=SCRIPT)
    jobs = client.iter_simulations(page_size=2)
    next(jobs)
    jobs.close()
    assert list(jobs) == []


def test_streams_appear_in_the_list_of_recordings(client: Odyssey) -> None:
    client.connect()
    stream_id = client.start_stream("A castle")
    client.end_stream()
    assert [each.stream_id for each in client.iter_stream_recordings()] == [stream_id]
    assert client.list_stream_recordings(limit=1).total == 1


def test_errors_of_jobs_and_recordings_are_typed(client: Odyssey) -> None:
    job = client.simulate(script=SCRIPT)
    with pytest.raises(SimulationTimeoutError, match=r"did not end within 0.01 s"):
        client.wait_for_simulation(job.job_id, timeout=0.01)
    with pytest.raises(OdysseyApiError, match="recording") as raised:
        client.get_recording("none")
    assert raised.value.code == "recording_not_found"


def test_exception_of_a_callback_ends_the_call(client: Odyssey) -> None:
    def stop(job: SimulationJobDetail) -> None:
        raise SystemExit(job.job_id)

    job = client.simulate(script=SCRIPT)
    with pytest.raises(SystemExit, match=job.job_id):
        client.wait_for_simulation(job.job_id, on_update=stop)
    assert client.list_simulations().total == 1


def test_disconnect_ends_waiting_in_another_thread(mock: MockInThread, client: Odyssey) -> None:
    job = client.simulate(script=SCRIPT)
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            client.wait_for_simulation(job.job_id, poll_interval=30, timeout=60)
        except ConnectionClosedError as error:
            ended.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    mock.wait_for("rest", "GET /simulation-jobs/{job_id}")
    client.disconnect()
    waiting.join(20)
    assert [str(error) for error in ended] == [
        "The client was closed by disconnect() while wait_for_simulation() was under way."
    ]
