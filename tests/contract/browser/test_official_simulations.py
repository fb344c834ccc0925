"""Tests that the official JavaScript client runs simulations, and that a `<video>` element plays their videos."""

from typing import Any

import pytest

from odyssey_mock import MockOdyssey
from tests.contract.browser.official_client import OfficialClient

pytestmark = pytest.mark.asyncio(loop_scope="session")

MOUNTAIN = [
    {"timestamp_ms": 0, "start": {"prompt": "A serene mountain landscape"}},
    {"timestamp_ms": 5000, "interact": {"prompt": "Clouds roll across the sky"}},
    {"timestamp_ms": 10000, "interact": {"prompt": "The sun begins to set"}},
    {"timestamp_ms": 15000, "end": {}},
]
"""The simulation script in the example "Basic Workflow" of the vendor's documentation."""

SECONDS = 60.0
"""Timeout in seconds for every wait. Waits usually take much less."""


async def ended(official: OfficialClient, mock: MockOdyssey, job_id: str) -> dict[str, Any]:
    """Wait until the mock's journal contains the end of the job; return the job's status from `getSimulateStatus`."""
    where: Any = {"from": "processing", "job": job_id}  # Any: `from` is a Python keyword
    await mock.wait_for("state", "simulation", SECONDS, **where)
    status: dict[str, Any] = await official.call("getSimulateStatus", job_id)
    return status


async def test_simulation_produces_a_playable_video(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.use(mock.api_key)
    job = await official.call("simulate", {"script": MOUNTAIN, "portrait": False})
    assert job["status"] == "pending"

    status = await ended(official, mock, job["job_id"])
    assert status["status"] == "completed"
    (stream,) = status["streams"]
    recording = await official.call("getRecording", stream["stream_id"])
    assert (recording["frame_count"], recording["duration_seconds"]) == (300, 15)

    film = await official.load(recording["video_url"])
    assert (film["width"], film["height"], film["duration"]) == (1280, 704, 15)
    assert await official.play_until(0.5) >= 0.5
    for seconds, revision in ((12.025, 2), (4.975, 0), (5.025, 1)):
        stamp = (await official.seek(seconds)).stamp
        assert stamp is not None
        assert (stamp.frame_index, stamp.prompt_revision) == (int(seconds * 20), revision)


async def test_simulation_preview_is_playable(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.use(mock.api_key)
    job = await official.call("simulate", {"script": MOUNTAIN})
    (stream,) = (await ended(official, mock, job["job_id"]))["streams"]

    film = await official.load(stream["preview_url"])
    assert (film["width"], film["height"], film["duration"]) == (352, 640, 4)
    assert await official.play_until(0.5) >= 0.5


async def test_simulation_shows_its_start_image(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.use(mock.api_key)
    job = await official.simulate_from_image("Clouds drift by")
    status = await ended(official, mock, job["job_id"])
    assert (status["status"], status["error_message"]) == ("completed", None)

    await official.load(status["streams"][0]["video_url"])
    pixels = (await official.seek(0.525)).pixels
    red, _, blue = (int(channel) for channel in pixels[300:500, 300:400].mean(axis=(0, 1)))
    assert blue > red, (
        "expected more blue than red in the upper half, which is blue in the start image, "
        f"got the mean levels red {red} and blue {blue} (0 to 255)"
    )
    red, _, blue = (int(channel) for channel in pixels[800:1000, 300:400].mean(axis=(0, 1)))
    assert red > blue, (
        "expected more red than blue in the lower half, which is yellow in the start image, "
        f"got the mean levels red {red} and blue {blue} (0 to 255)"
    )


async def test_jobs_are_listed_and_cancelled(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.use(mock.api_key)
    first = await official.call("simulate", {"scripts": [MOUNTAIN, MOUNTAIN]})
    await ended(official, mock, first["job_id"])
    second = await official.call("simulate", {"script": MOUNTAIN})
    await official.call("cancelSimulation", second["job_id"])

    page = await official.call("listSimulations", {"limit": 10})
    assert [(each["job_id"], each["status"]) for each in page["jobs"]] == [
        (second["job_id"], "cancelled"),
        (first["job_id"], "completed"),
    ]
    assert page["total"] == 2
    active = await official.call("listSimulations", {"active": True, "limit": 1, "offset": 0})
    assert active["jobs"] == []
    recordings = await official.call("listStreamRecordings", {"limit": 1})
    assert (len(recordings["recordings"]), recordings["total"]) == (1, 2)


async def test_unknown_ids_reject_the_calls(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.use(mock.api_key)
    assert await official.refusal("getSimulateStatus", "no-such-job")
    assert await official.refusal("cancelSimulation", "no-such-job")
    assert await official.refusal("getRecording", "no-such-stream")
