"""Tests that run the vendor's examples "Complete Example" and "Error Handling" (Simulate API), ported line by line.

The ported examples wait on the mock's clock instead of real time. Like the originals, they poll while a job has the
status `pending` or `running`. The vendor's table of statuses does not contain `running`.
"""

import json
from collections.abc import Awaitable, Callable

import httpx
import pytest

from odyssey_client import Odyssey, OdysseyError
from odyssey_mock import MockOdyssey

pytestmark = pytest.mark.odyssey(clock="manual", portrait_size=(176, 320))

type Wait = Callable[[float], Awaitable[None]]
type Log = Callable[..., None]


async def run_simulation(wait: Wait, log: Log) -> None:
    client = Odyssey()

    # Create simulation
    job = await client.simulate(
        script=[
            {"timestamp_ms": 0, "start": {"prompt": "A cat sitting on a windowsill"}},
            {"timestamp_ms": 3000, "interact": {"prompt": "The cat watches a bird outside"}},
            {"timestamp_ms": 6000, "interact": {"prompt": "The cat stretches lazily"}},
            {"timestamp_ms": 9000, "interact": {"prompt": "The cat curls up to sleep"}},
            {"timestamp_ms": 12000, "end": {}},
        ],
        portrait=True,
    )

    log("Started simulation:", job.job_id)

    # Poll for completion
    while True:
        await wait(5)
        status = await client.get_simulate_status(job.job_id)
        log("Status:", status.status)
        if not (status.status == "pending" or status.status == "running"):
            break

    if status.status == "completed":
        # Download recordings
        for stream in status.streams:
            recording = await client.get_recording(stream.stream_id)
            log("Recording ready:", recording.video_url)
    else:
        log("Simulation failed:", status.error_message)
    await client.disconnect()


async def handle_errors(client: Odyssey, wait: Wait, log: Log, *, prompt: str = "A sunset over the ocean") -> None:
    try:
        job = await client.simulate(
            script=[
                {"timestamp_ms": 0, "start": {"prompt": prompt}},
                {"timestamp_ms": 5000, "end": {}},
            ]
        )
        await wait(60)

        status = await client.get_simulate_status(job.job_id)

        if status.status == "failed":
            log("Job failed:", status.error_message)

            # Check individual streams for errors
            for stream in status.streams:
                if stream.status == "failed":
                    log(f"Stream {stream.stream_id} failed:", stream.error_message)
    except OdysseyError as error:
        log("API error:", error.message)


class Lines:
    """A log function for the examples. It collects the logged lines in `said`."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def __call__(self, *words: object) -> None:
        self.said.append(" ".join(map(str, words)))


async def test_complete_example_works(odyssey_mock: MockOdyssey) -> None:
    lines = Lines()
    await run_simulation(odyssey_mock.advance, lines)

    (job,) = odyssey_mock.jobs.values()
    (stream,) = job.streams
    started, status, ready = lines.said
    assert started == f"Started simulation: {job.id}"
    assert status == "Status: completed"
    said, _, url = ready.rpartition(" ")
    assert said == "Recording ready:"
    assert f"/artifacts/{stream.stream_id}/video.mp4" in url
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:  # the mock renders the video
        film = await http.get(url)
    assert (film.status_code, film.headers["content-type"]) == (200, "video/mp4")
    assert film.content[4:8] == b"ftyp"


async def test_error_handling_logs_nothing_on_success(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    lines = Lines()
    await handle_errors(odyssey_client, odyssey_mock.advance, lines)
    assert lines.said == []


async def test_error_handling_logs_failed_job_and_stream(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    lines = Lines()
    await handle_errors(odyssey_client, odyssey_mock.advance, lines, prompt="A sunset [error:model_crash]")

    (job,) = odyssey_mock.jobs.values()
    (stream,) = job.streams
    job_failed, stream_failed = lines.said
    assert job_failed.startswith("Job failed: 1 of 1 streams failed")
    assert stream_failed.startswith(f"Stream {stream.stream_id} failed: ")
    assert "model_crash" in stream_failed


async def test_error_handling_logs_api_error(odyssey_mock: MockOdyssey) -> None:
    lines = Lines()
    async with Odyssey("ody_invalid_key", api_url=odyssey_mock.url) as client:
        await handle_errors(client, odyssey_mock.advance, lines)
    assert lines.said == ["API error: Invalid API key"]


async def test_recorded_events_match_the_example_script(odyssey_mock: MockOdyssey) -> None:
    await run_simulation(odyssey_mock.advance, Lines())

    (stream_id,) = odyssey_mock.streams
    path = await odyssey_mock.recordings.file(stream_id, "events.jsonl")
    events = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [(event["timestamp_ms"], event["type"]) for event in events] == [
        (0, "start"),
        (3000, "interact"),
        (6000, "interact"),
        (9000, "interact"),
        (12000, "end"),
    ]
    assert "The cat curls up to sleep" in events[3]["prompt"]
