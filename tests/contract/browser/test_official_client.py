"""A client nobody here wrote judges the mock: the npm package `@odysseyml/odyssey`, unchanged, in headless Chromium."""

import asyncio
import os
import re

import pytest

from odyssey_client import ClientCredentials, Odyssey
from odyssey_mock import MockOdyssey
from odyssey_mock.core.journal import Kind
from tests.contract.browser.official_client import Frame, OfficialClient

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    # One worker, so one browser, however many workers there are.
    pytest.mark.xdist_group("browser"),
]

PORTRAIT = (704, 1280)
LANDSCAPE = (1280, 704)
KINDS: tuple[Kind, ...] = ("channel", "signaling")
"""Where a start may come."""
EAGER_STARTS = int(os.environ.get("ODYSSEY_TEST_EAGER_STARTS", "200"))


async def test_connects_and_is_served_the_session_it_was_promised(official: OfficialClient, mock: MockOdyssey) -> None:
    connection = await official.connect(mock.api_key)

    assert connection["status"] == "connected"
    assert connection["isConnected"]
    assert connection["sessionId"] in mock.sessions
    (*before, last) = await official.events("status")
    assert before[0] == ["authenticating"]
    assert ["failed"] not in before
    assert last == ["connected"]


async def test_decodes_frames_before_the_first_stream(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.connect(mock.api_key)
    first = await official.frame_showing(None)
    before = await official.playback()

    later = await official.frame_showing(None)
    while _index(later) < _index(first) + 4:
        # Chromium gives the same statistics again within 50 ms, which is the time of one frame.
        later = await official.frame_showing(None)
    after = await official.playback()

    assert (before["width"], before["height"]) == PORTRAIT == first.size
    assert after["currentTime"] > before["currentTime"]
    assert after["framesDecoded"] > before["framesDecoded"]
    assert _index(later) > _index(first)


async def test_a_stream_from_start_through_an_interaction_to_its_end(
    official: OfficialClient, mock: MockOdyssey
) -> None:
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


async def test_a_second_stream_in_the_same_connection_may_change_the_orientation(
    official: OfficialClient, mock: MockOdyssey
) -> None:
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


async def test_a_stream_started_from_an_image_shows_it(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.connect(mock.api_key)

    await official.start_from_image("Clouds drift by")
    frame = await official.frame_showing(0, PORTRAIT)

    (start,) = mock.journal.find("signaling", "interactive_stream_start")
    assert str(start.data["message"]).count("data:image/png;base64,") == 1
    # The image the page made is blue above and yellow below; it is shown fitted, with text over it.
    red, _, blue = (int(channel) for channel in frame.pixels[300:500, 300:400].mean(axis=(0, 1)))
    assert blue > red
    red, _, blue = (int(channel) for channel in frame.pixels[800:1000, 300:400].mean(axis=(0, 1)))
    assert red > blue


async def test_uses_credentials_that_our_client_made(official: OfficialClient, mock: MockOdyssey) -> None:
    async with Odyssey(mock.api_key, api_url=mock.url) as ours:
        credentials = await ours.create_client_credentials()

    session_id = await official.connect_with_credentials(credentials.to_dict())

    assert session_id == credentials.session_id
    await official.start_stream("Handed over")
    await official.frame_showing(0)


async def test_makes_credentials_that_our_client_uses(official: OfficialClient, mock: MockOdyssey) -> None:
    theirs = await official.create_credentials(mock.api_key)

    async with Odyssey.keyless(api_url=mock.url) as ours:
        await ours.connect_with_credentials(ClientCredentials.from_dict(theirs))

        assert ours.current_session_id == theirs["session_id"]
        assert await ours.start_stream("Handed over") in mock.streams


async def test_disconnecting_ends_the_session(official: OfficialClient, mock: MockOdyssey) -> None:
    connection = await official.connect(mock.api_key)

    await official.disconnect()

    closed = await mock.journal.wait_for("state", "session", session=connection["sessionId"], to="closed")
    # Its goodbye on the socket and the closing of its peer are under way together.
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
async def test_reports_what_a_test_key_provokes(
    official: OfficialClient, api_key: str, message: str, code: str | None
) -> None:
    error = await official.connect_error(api_key)

    assert error is not None
    assert re.fullmatch(message, error["message"])
    # It makes an error of its own kind of a usage error alone, and only of a body that has the right form.
    assert error["code"] == code
    assert (error["details"] is not None) == (code is not None)
    assert ["failed"] in await official.events("status")


async def test_polls_once_a_second_while_no_streamer_is_free(official: OfficialClient, mock: MockOdyssey) -> None:
    # Its patience is 30 s; two requests are enough to see that it polls, then the page is closed under it.
    connecting = asyncio.create_task(official.connect_error("ody_no_capacity"))
    asked = "POST /sessions/request"
    first = await mock.journal.wait_for("rest", asked, status=503)
    second = await mock.journal.wait_for("rest", asked, since=first.index + 1, status=503)
    assert second.time - first.time > 0.8, "once a second, and a busy machine only makes it later"
    assert not connecting.done()
    connecting.cancel()


@pytest.mark.timeout(150 + 2 * EAGER_STARTS)  # each takes a fifth of a second on a free machine
@pytest.mark.skipif(EAGER_STARTS == 0, reason="ODYSSEY_TEST_EAGER_STARTS=0")
async def test_a_start_in_the_very_moment_of_connection_is_served(official: OfficialClient, mock: MockOdyssey) -> None:
    starts = await official.start_at_once(mock.api_key, EAGER_STARTS, patience=5.0)

    arrived = [entry for kind in KINDS for entry in mock.journal.find(kind, "interactive_stream_start")]
    assert starts["refused"] == []
    assert starts["started"] == len(arrived), "the mock answers every start that comes"
    assert starts["started"] + starts["lost"] == EAGER_STARTS
    # Chromium itself loses about one first message in a thousand.
    assert starts["lost"] <= 1


def _index(frame: Frame) -> int:
    assert frame.stamp is not None
    return frame.stamp.frame_index
