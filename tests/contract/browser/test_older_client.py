"""Tests that the npm package `@odysseyml/odyssey` 1.0.0 in headless Chromium works with the mock.

This version has neither broadcasts nor credentials, and does not measure regions.
"""

import re

import pytest

from odyssey_mock import MockOdyssey
from tests.contract.browser.official_client import OfficialClient

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.odyssey(portrait_size=(176, 320), landscape_size=(320, 176)),
]


@pytest.fixture(scope="session")
def page_url(page_url: str) -> str:
    """Return the URL of the page that loads version 1.0.0 of the official client."""
    return f"{page_url}?package=odyssey-1.0.0"


async def test_older_client_plays_a_session(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.connect(mock.api_key)
    await official.frame_showing(None)
    stream_id = await official.start_stream("A cat on a windowsill")
    await official.frame_showing(0)
    applied = await official.interact("Pet the cat")
    await official.frame_showing(1)
    await official.end_stream()
    await official.frame_showing(None)
    await official.disconnect()

    assert list(mock.streams) == [stream_id]
    assert await official.events("interact_acknowledged") == [[applied]]
    assert await official.events("stream_ended") == [[]]
    await mock.wait_for("state", "session", to="closed")
    assert mock.sessions == {}


async def test_older_client_starts_from_an_image(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.connect(mock.api_key)

    await official.start_from_image("Clouds drift by")

    await official.frame_showing(0)
    (start,) = mock.journal.find("signaling", "interactive_stream_start")
    assert str(start.data["message"]).count("data:image/") == 1


async def test_older_client_reads_job_and_recording(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.use(mock.api_key)
    script = [{"timestamp_ms": 0, "start": {"prompt": "A cat"}}, {"timestamp_ms": 1000, "end": {}}]

    job = await official.call("simulate", {"script": script})
    await mock.wait_for("state", "simulation", to="completed")

    status = await official.call("getSimulateStatus", job["job_id"])
    assert status["status"] == "completed"
    (stream,) = status["streams"]
    recording = await official.call("getRecording", stream["stream_id"])
    assert recording["duration_seconds"] == 1.0
    film = await official.load(recording["video_url"])
    assert (film["width"], film["height"]) == (176, 320)


@pytest.mark.parametrize(
    ("api_key", "message"),
    [
        ("ody_invalid_key", r"Invalid API key"),
        ("not a key", r"Invalid API key format.*"),
        ("ody_suspended", r"Account suspended.*"),
        ("ody_monthly_limit", r"Monthly usage limit reached .*"),
        ("ody_concurrent_limit", r"Maximum concurrent sessions \(5\) reached"),
    ],
)
async def test_test_key_errors_reach_the_older_client(official: OfficialClient, api_key: str, message: str) -> None:
    error = await official.connect_error(api_key)

    assert error is not None
    assert re.fullmatch(message, error["message"]), (
        f"expected an error message of the form {message!r}, got {error['message']!r}"
    )
