"""Tests that the unmodified npm package `@odysseyml/odyssey` in headless Chromium works with the mock."""

import asyncio
import os
import re

import pytest

from odyssey_client import ClientCredentials, Odyssey
from odyssey_mock import MockOdyssey
from odyssey_mock.core.journal import Kind
from tests.contract.browser.official_client import OfficialClient, Presented

pytestmark = pytest.mark.asyncio(loop_scope="session")

PORTRAIT = (704, 1280)
LANDSCAPE = (1280, 704)
KINDS: tuple[Kind, ...] = ("channel", "signaling")
"""Kinds of journal entries for a start message, which may arrive on the data channel or on the signaling socket."""
EAGER_STARTS = int(os.environ.get("ODYSSEY_TEST_EAGER_STARTS", "200"))


@pytest.mark.odyssey(portrait_size=(176, 320))
async def test_connect_uses_the_requested_session(official: OfficialClient, mock: MockOdyssey) -> None:
    connection = await official.connect(mock.api_key)

    assert connection["status"] == "connected"
    assert connection["isConnected"]
    assert connection["sessionId"] in mock.sessions
    (*before, last) = await official.events("status")
    assert before[0] == ["authenticating"]
    assert ["failed"] not in before
    assert last == ["connected"]


async def test_idle_frames_are_decoded_before_first_stream(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.connect(mock.api_key)
    first = await official.frame_showing(None)
    before = await official.playback()

    later = await official.frame_showing(None)
    while _index(later) < _index(first) + 4:
        # Chromium caches its statistics for 50 ms, the duration of one frame.
        later = await official.frame_showing(None)
    after = await official.playback()

    assert (before["width"], before["height"]) == PORTRAIT == first.size
    assert after["currentTime"] > before["currentTime"]
    assert after["framesDecoded"] > before["framesDecoded"]
    assert _index(later) > _index(first)


async def test_stream_starts_interacts_and_ends(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.connect(mock.api_key)

    stream_id = await official.start_stream("A cat on a windowsill")
    assert stream_id in mock.streams
    started = await official.frame_showing(0)

    applied = await official.interact("Pet the cat")
    assert "Pet the cat" in applied
    changed = await official.frame_showing(1)

    await official.end_stream()
    idle = await official.frame_showing(None)

    assert started.size == changed.size == idle.size == PORTRAIT
    assert _index(changed) > _index(started)
    assert await official.events("stream_started") == [[stream_id]]
    assert await official.events("interact_acknowledged") == [[applied]]
    assert await official.events("stream_ended") == [[]]


async def test_second_stream_can_change_the_orientation(official: OfficialClient, mock: MockOdyssey) -> None:
    connection = await official.connect(mock.api_key)
    first = await official.start_stream("A tower", portrait=True)
    shown_first = await official.frame_showing(0, PORTRAIT)
    await official.end_stream()

    second = await official.start_stream("A plain", portrait=False)
    shown_second = await official.frame_showing(0, LANDSCAPE)
    playback = await official.playback()

    assert first != second
    assert shown_first.stamp is not None
    assert shown_second.stamp is not None
    assert shown_first.stamp.stream_tag != shown_second.stamp.stream_tag
    assert (playback["width"], playback["height"]) == LANDSCAPE
    assert list(mock.sessions) == [connection["sessionId"]]


async def test_stream_shows_its_start_image(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.connect(mock.api_key)

    await official.start_from_image("Clouds drift by")
    await official.frame_showing(0, PORTRAIT)
    frame = await official.frame()

    (start,) = mock.journal.find("signaling", "interactive_stream_start")
    assert str(start.data["message"]).count("data:image/png;base64,") == 1
    # The start image is blue above and yellow below. The scene shows it in the size of the video, with text over it.
    red, _, blue = (int(channel) for channel in frame.pixels[300:500, 300:400].mean(axis=(0, 1)))
    assert blue > red
    red, _, blue = (int(channel) for channel in frame.pixels[800:1000, 300:400].mean(axis=(0, 1)))
    assert red > blue


@pytest.mark.odyssey(portrait_size=(176, 320))
async def test_credentials_from_our_client_work_in_official_client(official: OfficialClient, mock: MockOdyssey) -> None:
    async with Odyssey(mock.api_key, api_url=mock.url) as ours:
        credentials = await ours.create_client_credentials()

    session_id = await official.connect_with_credentials(credentials.to_dict())

    assert session_id == credentials.session_id
    await official.start_stream("Handed over")
    await official.frame_showing(0)


@pytest.mark.odyssey(portrait_size=(176, 320))
async def test_credentials_from_official_client_work_in_our_client(official: OfficialClient, mock: MockOdyssey) -> None:
    theirs = await official.create_credentials(mock.api_key)

    async with Odyssey.keyless(api_url=mock.url) as ours:
        await ours.connect_with_credentials(ClientCredentials.from_dict(theirs))

        assert ours.current_session_id == theirs["session_id"]
        assert await ours.start_stream("Handed over") in mock.streams


@pytest.mark.odyssey(portrait_size=(176, 320))
async def test_credentials_without_capabilities_reject_start_images(
    official: OfficialClient, mock: MockOdyssey
) -> None:
    credentials = await official.create_credentials(mock.api_key)
    del credentials["capabilities"]
    await official.connect_with_credentials(credentials)

    outcome = await (await official.begin("startFromImage", {"prompt": "Clouds drift by"})).settled()

    assert outcome.state == "rejected"
    assert str(outcome.value).startswith("Image-to-video is not supported by the current model.")
    await official.start_stream("A start without an image")


@pytest.mark.odyssey(portrait_size=(176, 320))
async def test_disconnect_ends_the_session(official: OfficialClient, mock: MockOdyssey) -> None:
    connection = await official.connect(mock.api_key)

    await official.disconnect()

    closed = await mock.journal.wait_for("state", "session", session=connection["sessionId"], to="closed")
    # Either `client_disconnecting` or the close of the peer can arrive first.
    assert closed.data["event"] in {"client_left", "peer_closed"}
    assert mock.sessions == {}
    assert await official.events("disconnected") == [[]]


@pytest.mark.parametrize(
    ("api_key", "message", "code"),
    [
        ("ody_invalid_key", r"Invalid API key", None),
        ("not a key", r"Invalid API key format.*", None),
        ("ody_suspended", r"Account suspended.*", None),
        ("ody_monthly_limit", r"Monthly usage limit reached .*", "MONTHLY_LIMIT_REACHED"),
        ("ody_concurrent_limit", r"Maximum concurrent sessions \(5\) reached", "CONCURRENT_LIMIT_REACHED"),
        ("ody_rate_limited", r"Too many requests; .*", "RATE_LIMITED"),
    ],
)
async def test_test_key_errors_are_reported(
    official: OfficialClient, api_key: str, message: str, code: str | None
) -> None:
    error = await official.connect_error(api_key)

    assert error is not None
    assert re.fullmatch(message, error["message"])
    # The client sets `code` and `details` only for usage errors with a valid body.
    assert error["code"] == code
    assert (error["details"] is not None) == (code is not None)
    assert ["failed"] in await official.events("status")


async def test_client_polls_every_second_without_free_streamer(official: OfficialClient, mock: MockOdyssey) -> None:
    # The client would poll for 30 s. Two requests show that it polls, so the test stops there.
    connecting = asyncio.create_task(official.connect_error("ody_no_capacity"))
    asked = "POST /sessions/request"
    first = await mock.journal.wait_for("rest", asked, status=503)
    second = await mock.journal.wait_for("rest", asked, since=first.index + 1, status=503)
    assert second.time - first.time > 0.8, (
        f"expected more than 0.8 s between two requests for a session, got {second.time - first.time} s"
    )
    assert not connecting.done()
    connecting.cancel()


@pytest.mark.timeout(150 + 2 * EAGER_STARTS)  # one start takes 0.2 s on an idle machine
@pytest.mark.odyssey(portrait_size=(176, 320), landscape_size=(320, 176))
@pytest.mark.skipif(EAGER_STARTS == 0, reason="ODYSSEY_TEST_EAGER_STARTS=0")
async def test_start_right_after_connecting_is_answered(official: OfficialClient, mock: MockOdyssey) -> None:
    starts = await official.start_at_once(mock.api_key, EAGER_STARTS, patience=5.0)

    arrived = [entry for kind in KINDS for entry in mock.journal.find(kind, "interactive_stream_start")]
    assert starts["refused"] == []
    assert starts["started"] == len(arrived), (
        f"expected replies to all {len(arrived)} start messages that reached the mock, "
        f"got replies to {starts['started']}"
    )
    assert starts["started"] + starts["lost"] == EAGER_STARTS
    # Chromium itself loses about one first message in a thousand.
    assert starts["lost"] <= 1


def _index(frame: Presented) -> int:
    assert frame.stamp is not None
    return frame.stamp.frame_index
