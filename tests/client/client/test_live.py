"""Tests of the live calls of `Odyssey`, over real HTTP, WebSocket and WebRTC connections on loopback."""

import asyncio
import io
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from odyssey_client import (
    AdvancedConfig,
    ClientCredentials,
    ConnectionStatus,
    ConnectTimeoutError,
    Event,
    ImageError,
    InteractAcknowledged,
    InvalidStateError,
    MediaStream,
    Odyssey,
    OdysseyAuthError,
    OdysseyConfigError,
    OdysseyConnectionError,
    OdysseyEventHandlers,
    OdysseyStreamError,
    QueueTimeoutError,
    StatusChanged,
    StreamStarted,
    VideoFrame,
)
from odyssey_mock.server import MockOdyssey
from tests.support.served import served

pytestmark = pytest.mark.odyssey(portrait_size=(176, 320))

S = ConnectionStatus


async def test_complete_session_calls_handlers_in_order(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    seen: list[object] = []
    handlers = OdysseyEventHandlers(
        on_status_change=lambda status, message: seen.append(status),
        on_connected=lambda stream: seen.append(type(stream)),
        on_stream_started=lambda: seen.append("started"),
        on_interact_acknowledged=lambda: seen.append("acknowledged"),
        on_stream_ended=lambda: seen.append("ended"),
        on_disconnected=lambda: seen.append("disconnected"),
        on_error=lambda error, fatal: seen.append(error),
    )
    assert odyssey_client.current_status == "disconnected"
    stream = await odyssey_client.connect(handlers)
    assert seen == [S.AUTHENTICATING, S.CONNECTING, S.CONNECTED, MediaStream]
    assert odyssey_client.is_connected
    assert odyssey_client.current_session_id in odyssey_mock.sessions
    assert odyssey_client.media_stream is stream

    stream_id = await odyssey_client.start_stream("A castle")
    assert seen[4:] == ["started"]
    assert stream_id in odyssey_mock.streams
    assert odyssey_client.last_applied_prompt is not None
    assert odyssey_client.last_applied_prompt.startswith("A castle")
    acknowledged = await odyssey_client.interact("Night falls")
    assert acknowledged.startswith("Night falls")
    assert odyssey_client.last_applied_prompt == acknowledged
    await odyssey_client.end_stream()
    assert seen[5:] == ["acknowledged", "ended"]

    await odyssey_client.disconnect()
    assert seen[7:] == [S.DISCONNECTED, "disconnected"]
    assert odyssey_client.current_session_id is None
    assert stream.ended


@pytest.mark.odyssey(portrait_size=(704, 1280))
async def test_frames_arrive_before_and_during_stream(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    shown: list[VideoFrame] = []
    stream = await odyssey_client.connect(on_video_frame=shown.append)
    first = await anext(stream.frames())
    assert first.data.shape == (1280, 704, 3)
    await odyssey_client.start_stream("A castle", portrait=False)
    async for frame in odyssey_client.frames():
        if frame.width == 1280:
            assert frame.height == 704
            break
    assert shown


async def test_second_stream_uses_the_same_connection(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    await odyssey_client.connect()
    ids = set()
    for prompt in ("one", "two"):
        ids.add(await odyssey_client.start_stream(prompt))
        await odyssey_client.end_stream()
    assert len(ids) == 2


async def test_concurrent_interactions_get_their_own_acknowledgments(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey
) -> None:
    await odyssey_client.connect()
    await odyssey_client.start_stream("A castle")
    prompts = [f"Change number {number}" for number in range(6)]
    answers = await asyncio.gather(*(odyssey_client.interact(prompt) for prompt in prompts))
    assert all(answer.startswith(prompt) for prompt, answer in zip(prompts, answers, strict=True))


@pytest.mark.parametrize(
    ("point", "call"),
    [
        ("stream.start", lambda client: client.start_stream("A castle")),
        ("stream.interact", lambda client: client.interact("Night falls")),
    ],
    ids=["start_stream", "interact"],
)
async def test_lost_call_is_answered_when_it_is_repeated(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, point: str, call: Callable[[Odyssey], Awaitable[str]]
) -> None:
    await odyssey_client.connect()
    if point == "stream.interact":
        await odyssey_client.start_stream("A castle")
    odyssey_mock.faults.add({"at": point, "do": "lost", "times": 1})
    lost = asyncio.ensure_future(call(odyssey_client))
    await odyssey_mock.wait_for("fault", point)
    lost.cancel()  # an earlier end of the wait than the time limit, with the same effect
    await asyncio.wait([lost])
    assert await call(odyssey_client)
    assert (await odyssey_client.interact("Rain")).startswith("Rain")
    with pytest.raises(OdysseyStreamError, match="moderation_failed"):
        await odyssey_client.interact("[moderated] Night")
    await odyssey_client.end_stream()
    with pytest.raises(OdysseyStreamError, match="moderation_failed"):
        await odyssey_client.start_stream("[moderated] A castle")


@pytest.mark.odyssey(clock="manual")
@pytest.mark.parametrize("is_repeated", [True, False], ids=["repeated", "another"])
async def test_start_after_slow_one_gets_own_reply(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, is_repeated: bool
) -> None:
    slow = "A castle [slow:1000]"
    started = asyncio.Queue[str]()
    await odyssey_client.connect(on_stream_started=started.put_nowait)
    given_up = asyncio.ensure_future(odyssey_client.start_stream(slow))
    await odyssey_mock.wait_for("state", "stream", to="running")
    given_up.cancel()  # an earlier end of the wait than the time limit, with the same effect
    await asyncio.wait([given_up])
    second = asyncio.ensure_future(odyssey_client.start_stream(slow if is_repeated else "A dog"))
    await odyssey_mock.wait_for("channel", "interactive_stream_error")
    if not is_repeated:
        with pytest.raises(OdysseyStreamError, match="stream_already_active"):
            await second
    await odyssey_mock.advance(1)
    (stream_id,) = odyssey_mock.streams
    assert await started.get() == stream_id
    if is_repeated:
        assert await second == stream_id
    await odyssey_client.end_stream()


async def test_start_with_image_uses_signaling_socket(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    image = io.BytesIO()
    Image.new("RGB", (800, 1400), "teal").save(image, "PNG")
    await odyssey_client.connect()
    await odyssey_client.start_stream("A sea", image=image.getvalue())
    (entry,) = odyssey_mock.journal.find("signaling", "interactive_stream_start")
    message = entry.data["message"]
    assert isinstance(message, dict)
    assert str(message["input_image_base64"]).startswith("data:image/")
    assert not odyssey_mock.journal.find("channel", "interactive_stream_start")


async def test_start_too_long_for_channel_uses_signaling_socket(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey
) -> None:
    await odyssey_client.connect()
    await odyssey_client.start_stream("long " * 60_000)
    assert odyssey_mock.journal.find("signaling", "interactive_stream_start")


async def test_interaction_too_long_for_channel_is_rejected(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    await odyssey_client.connect()
    await odyssey_client.start_stream("A castle")
    with pytest.raises(OdysseyStreamError, match="longer than the channel accepts"):
        await odyssey_client.interact("long " * 60_000)
    assert (await odyssey_client.interact("short")).startswith("short")


@pytest.mark.odyssey(image_to_video=False)
async def test_image_is_rejected_if_streamer_accepts_none(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    await odyssey_client.connect()
    assert odyssey_client.capabilities is not None
    assert not odyssey_client.capabilities.image_to_video
    with pytest.raises(ImageError, match="does not accept images"):
        await odyssey_client.start_stream("A sea", image=b"\xff\xd8")
    assert not odyssey_mock.journal.find("signaling", "interactive_stream_start")


async def test_keyless_client_connects_with_credentials(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    handed_over = (await odyssey_client.create_client_credentials()).to_dict()
    async with Odyssey.keyless() as client:
        await client.connect_with_credentials(ClientCredentials.from_dict(handed_over))
        assert client.current_session_id == handed_over["session_id"]
        assert await client.start_stream("A castle") in odyssey_mock.streams
        with pytest.raises(OdysseyConfigError, match="api_key is required"):
            await client.connect()


async def test_credentials_of_another_type_are_rejected(odyssey_client: Odyssey) -> None:
    saved: Any = {"session_id": "s", "signaling_url": "ws://host", "session_token": "t", "expires_in": 600}
    with pytest.raises(OdysseyConfigError, match=r"got dict\. Use ClientCredentials\.from_dict\(\) to read them"):
        await odyssey_client.connect_with_credentials(saved)


async def test_calls_without_connection_advise_to_connect(odyssey_client: Odyssey) -> None:
    calls: list[Callable[[], Awaitable[object]]] = [
        odyssey_client.start_stream,
        lambda: odyssey_client.interact("x"),
        odyssey_client.end_stream,
    ]
    for call in calls:
        with pytest.raises(InvalidStateError, match=r"Call connect\(\) first"):
            await call()
    with pytest.raises(InvalidStateError, match=r"Call connect\(\) first"):
        odyssey_client.frames()


async def test_calls_out_of_order_leave_stream_running(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    await odyssey_client.connect()
    for call in (lambda: odyssey_client.interact("x"), odyssey_client.end_stream):
        with pytest.raises(InvalidStateError, match="No stream is running"):
            await call()
    await odyssey_client.start_stream("A castle")
    with pytest.raises(InvalidStateError, match="already running"):
        await odyssey_client.start_stream("Another")
    with pytest.raises(InvalidStateError, match="connection already"):
        await odyssey_client.connect()
    assert await odyssey_client.interact("Night")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompt": 7}, "prompt must be a str, got int"),
        ({"prompt": "A \ud83d castle"}, "a lone surrogate at index 2"),
        ({"portrait": "yes"}, "portrait must be a bool, got str"),
        ({"broadcast": 1}, "broadcast must be a bool, got int"),
        ({"bypass_prompt_expansion": "no"}, "bypass_prompt_expansion must be a bool, got str"),
    ],
)
async def test_invalid_argument_of_start_stream_is_rejected(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, arguments: dict[str, object], message: str
) -> None:
    await odyssey_client.connect()
    with pytest.raises(OdysseyConfigError, match=message):
        await odyssey_client.start_stream(**arguments)  # type: ignore[arg-type]
    assert await odyssey_client.start_stream("A castle")


async def test_invalid_interaction_leaves_stream_running(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    await odyssey_client.connect()
    await odyssey_client.start_stream("A castle")
    with pytest.raises(OdysseyConfigError, match="a lone surrogate at index 0"):
        await odyssey_client.interact("\ud83d")
    assert await odyssey_client.interact("Night")


async def test_second_concurrent_connect_is_rejected(odyssey_client: Odyssey) -> None:
    stream, error = await asyncio.gather(odyssey_client.connect(), odyssey_client.connect(), return_exceptions=True)
    assert isinstance(stream, MediaStream)
    assert "There is a connection already (connecting)" in str(error)


async def test_keyless_client_sends_telemetry(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    credentials = await odyssey_client.create_client_credentials()
    async with Odyssey.keyless() as client:
        await client.connect_with_credentials(credentials)
    assert [event["name"] for event in odyssey_mock.telemetry] == ["connected"]


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        ("ody_invalid_key", OdysseyAuthError, "Invalid API key"),
        ("ody_suspended", OdysseyAuthError, "API key access denied"),
        ("not-a-key", OdysseyAuthError, "Invalid API key format"),
    ],
)
async def test_refused_key_fails_connection(
    odyssey_mock: MockOdyssey, key: str, error: type[Exception], message: str
) -> None:
    told: list[object] = []
    async with Odyssey(key, api_url=odyssey_mock.url) as client:
        with pytest.raises(error, match=message) as raised:
            await client.connect(on_error=lambda *given: told.append(given), on_disconnected=lambda: told.append("no"))
        assert told == [(raised.value, True)]
        assert client.current_status == "failed"


async def test_connect_to_full_service_times_out_in_queue(odyssey_mock: MockOdyssey) -> None:
    settings = AdvancedConfig(queue_timeout_s=0.2)
    async with Odyssey("ody_no_capacity", api_url=odyssey_mock.url, advanced=settings) as client:
        events = client.events()
        with pytest.raises(QueueTimeoutError, match="Timed out waiting for a streamer"):
            await client.connect()
        assert [event.status async for event in events if isinstance(event, StatusChanged)] == [
            S.AUTHENTICATING,
            S.AUTHENTICATING,
            S.FAILED,
        ]


async def test_client_connects_again_after_end_and_failure(odyssey_mock: MockOdyssey) -> None:
    async with Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url) as client:
        first = await client.connect()
        await client.disconnect()
        second = await client.connect()
        assert first is not second
        frames = second.frames()
        await odyssey_mock.reset()
        with pytest.raises((StopAsyncIteration, OdysseyConnectionError)):  # noqa: PT012 - buffered frames come first
            while True:
                await anext(frames)
        await client.connect()
        assert await client.start_stream("A castle")


async def test_events_arrive_in_order_and_end_with_connection(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey
) -> None:
    events = odyssey_client.events()
    await odyssey_client.connect()
    await odyssey_client.start_stream("A castle")
    await odyssey_client.interact("Night")
    await odyssey_client.disconnect()
    kinds: list[Event] = [e async for e in events if isinstance(e, StreamStarted | InteractAcknowledged)]
    assert [type(kind) for kind in kinds] == [StreamStarted, InteractAcknowledged]


async def test_handler_may_start_stream_and_disconnect(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    gone = asyncio.Event()

    async def connected() -> None:
        await odyssey_client.start_stream("A castle")
        await odyssey_client.disconnect()

    await odyssey_client.connect(on_connected=connected, on_disconnected=gone.set)
    async with asyncio.timeout(5):
        await gone.wait()
    assert not odyssey_client.is_connected


async def test_exception_in_handler_leaves_connection_up(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    errors: list[object] = []

    def broken() -> None:
        raise ZeroDivisionError

    await odyssey_client.connect(on_connected=broken, on_error=lambda error, fatal: errors.append((type(error), fatal)))
    assert await odyssey_client.start_stream("A castle")
    assert errors == [(ZeroDivisionError, False)]


async def test_connection_is_recorded_to_mp4_file(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, tmp_path: Path
) -> None:
    stream = await odyssey_client.connect()
    async with stream.record(tmp_path / "video.mp4") as recorder:
        frames = stream.frames()
        for _ in range(5):
            await anext(frames)
    assert recorder.frames_recorded >= 5
    assert (tmp_path / "video.mp4").stat().st_size > 0


class Held:
    """A snapshot of this process's tasks, threads and sockets. `more` returns those created since the snapshot."""

    def __init__(self) -> None:
        self._tasks, self._threads, self._sockets = self._now()

    def _now(self) -> tuple[set[asyncio.Task[object]], set[threading.Thread], set[object]]:
        sockets: set[object] = {(c.fd, c.laddr) for c in psutil.Process().net_connections("all")}
        return asyncio.all_tasks(), set(threading.enumerate()), sockets

    def more(self) -> list[object]:
        tasks, threads, sockets = self._now()
        return [*(tasks - self._tasks), *(threads - self._threads), *(sockets - self._sockets)]


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[tuple[str, str]]:
    """Run a mock in another process, so that new resources in this process are the client's; yield URL and API key."""
    with served() as (_, ready):
        yield ready["url"], ready["api_key"]


async def test_closed_connection_leaves_no_resources(elsewhere: tuple[str, str]) -> None:
    url, key = elsewhere
    held = Held()
    for _ in range(3):
        async with Odyssey(key, api_url=url) as client:
            await client.connect(on_video_frame=lambda _: None)
            await client.start_stream("A castle")
            await client.interact("Night")
        assert held.more() == []


@pytest.mark.parametrize("milliseconds", [0, 3, 6, 10, 15, 20, 25, 30, 40, 50, 60, 70])
async def test_cancelled_connect_leaves_no_resources(elsewhere: tuple[str, str], milliseconds: int) -> None:
    url, key = elsewhere
    held = Held()
    client = Odyssey(key, api_url=url)
    connecting = asyncio.create_task(client.connect())
    await asyncio.wait({connecting}, timeout=milliseconds / 1000)
    connecting.cancel()
    await asyncio.wait({connecting})
    if not connecting.cancelled():  # connect() finished before the cancellation
        await client.disconnect()
    assert client.current_status == "disconnected"
    del connecting
    assert held.more() == []


async def test_disconnect_in_another_task_ends_connect(odyssey_mock: MockOdyssey) -> None:
    client = Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url)
    connecting = asyncio.create_task(client.connect())
    await odyssey_mock.wait_for("rest", "POST /auth/token")
    await asyncio.gather(client.disconnect(), client.disconnect())
    with pytest.raises(OdysseyConnectionError, match=r"closed by disconnect\(\)"):
        await connecting
    await client.disconnect()


async def test_slow_connect_raises_connect_timeout_error(odyssey_mock: MockOdyssey) -> None:
    settings = AdvancedConfig(connect_timeout_s=0.001)
    async with Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url, advanced=settings) as client:
        with pytest.raises(ConnectTimeoutError, match=r"not up within 0.001 s"):
            await client.connect()
