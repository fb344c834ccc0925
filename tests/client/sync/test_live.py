"""Tests of the sync live calls, over real HTTP, WebSocket and WebRTC connections to a mock in another thread."""

import asyncio
import threading
import traceback
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import av
import pytest

import odyssey_client
from odyssey_client import (
    AdvancedConfig,
    ClientCredentials,
    ConnectionStatus,
    InteractAcknowledged,
    InvalidStateError,
    OdysseyAuthError,
    OdysseyConfigError,
    OdysseyError,
    OperationTimeoutError,
    StreamStarted,
    VideoFrame,
)
from odyssey_client.sync import Connected, MediaStream, Odyssey
from odyssey_mock.sync import MockOdyssey

LIMIT_S = 20.0


def test_complete_session_without_an_event_loop(odyssey_mock: MockOdyssey, odyssey_sync_client: Odyssey) -> None:
    assert odyssey_sync_client.current_status == "disconnected"
    stream = odyssey_sync_client.connect()
    assert odyssey_sync_client.is_connected
    assert odyssey_sync_client.current_session_id in odyssey_mock.sessions
    assert odyssey_sync_client.media_stream is stream
    assert odyssey_sync_client.capabilities is not None

    stream_id = odyssey_sync_client.start_stream("A castle")
    assert stream_id in odyssey_mock.streams
    acknowledged = odyssey_sync_client.interact("Night falls")
    assert acknowledged.startswith("Night falls")
    assert odyssey_sync_client.last_applied_prompt == acknowledged
    odyssey_sync_client.end_stream()

    odyssey_sync_client.disconnect()
    assert odyssey_sync_client.current_session_id is None
    assert stream.ended


def test_client_connects_again_after_the_block(odyssey_mock: MockOdyssey) -> None:
    with Odyssey() as client:
        client.connect()
    assert client.current_status == ConnectionStatus.DISCONNECTED
    with client:
        client.connect()
        assert client.start_stream("A castle") in odyssey_mock.streams
    client.disconnect()


def test_keyless_client_connects_with_credentials(odyssey_mock: MockOdyssey, odyssey_sync_client: Odyssey) -> None:
    credentials = odyssey_sync_client.create_client_credentials().to_dict()
    with Odyssey.keyless() as keyless:
        keyless.connect_with_credentials(ClientCredentials.from_dict(credentials))
        assert keyless.current_session_id == credentials["session_id"]
        with pytest.raises(OdysseyConfigError, match="api_key is required"):
            keyless.connect()


# Frames and events.


def test_frames_end_with_the_connection(odyssey_sync_client: Odyssey) -> None:
    stream = odyssey_sync_client.connect()
    odyssey_sync_client.start_stream("A castle")
    shown = 0
    for frame in stream:
        assert (frame.width, frame.height) == (176, 320)
        shown += 1
        if shown == 3:
            odyssey_sync_client.disconnect()
    assert shown >= 3
    assert stream.latest_frame is not None
    assert stream.frames_received >= shown


def test_frames_raise_the_fatal_error(odyssey_mock: MockOdyssey) -> None:
    advanced = AdvancedConfig(reconnect="off", max_retries=0)
    with Odyssey(advanced=advanced) as client:
        frames = client.connect().frames()
        session = client.current_session_id
        odyssey_mock.reset()
        with pytest.raises(OdysseyError) as raised:
            for _ in frames:
                pass
    assert session is not None
    assert traceback.extract_tb(raised.value.__traceback__)[0].filename == __file__


def test_frame_limit_is_reached_and_reader_continues(odyssey_mock: MockOdyssey, odyssey_sync_client: Odyssey) -> None:
    frames = odyssey_sync_client.connect().frames(timeout_s=0.001)
    with pytest.raises(OperationTimeoutError, match=r"No frame arrived within 0.001 s.*timeout_s"):  # noqa: PT012
        for _ in range(1000):  # frames arrive every 50 ms
            next(frames)
    shown = None
    while shown is None:  # the time limit of the test also ends this loop
        with suppress(OperationTimeoutError):
            shown = next(frames)
    assert (shown.width, shown.height) == (176, 320)
    odyssey_sync_client.disconnect()
    # The reader yields the frames that have arrived since, and ends without an error.
    assert all(isinstance(frame, VideoFrame) for frame in frames)
    assert list(frames) == []


@pytest.mark.parametrize("timeout_s", [0, -1, "soon", True])
def test_invalid_time_limit_is_rejected(odyssey_sync_client: Odyssey, timeout_s: float) -> None:
    stream = odyssey_sync_client.connect()
    calls: list[Callable[[], object]] = [
        lambda: odyssey_sync_client.frames(timeout_s=timeout_s),
        lambda: odyssey_sync_client.events(timeout_s=timeout_s),
        lambda: stream.frames(timeout_s=timeout_s),
    ]
    for call in calls:
        with pytest.raises(OdysseyConfigError, match="timeout_s must be a number of seconds above 0"):
            call()


def test_closing_a_reader_ends_another_threads_wait(odyssey_sync_client: Odyssey) -> None:
    events = odyssey_sync_client.events()
    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(list, events)
        events.close()
        assert reading.result(LIMIT_S) == []


def test_reader_is_released_after_break(odyssey_sync_client: Odyssey) -> None:
    stream = odyssey_sync_client.connect()
    readers = stream._stream._readers
    for _ in stream:
        assert len(readers) == 1
        break
    odyssey_sync_client._run("test", turn)  # the loop removes it
    assert len(readers) == 0


async def turn(client: odyssey_client.Odyssey) -> None:
    """Do nothing. When the client's event loop has run this coroutine, it has also run all earlier callbacks."""


def test_events_arrive_in_order(odyssey_sync_client: Odyssey) -> None:
    events = odyssey_sync_client.events()
    stream = odyssey_sync_client.connect()
    odyssey_sync_client.start_stream("A castle")
    odyssey_sync_client.interact("Night")
    odyssey_sync_client.disconnect()
    seen = list(events)
    connected = [event for event in seen if isinstance(event, odyssey_client.Connected)]
    assert connected == [Connected(stream)]
    kinds = [type(event) for event in seen if isinstance(event, StreamStarted | InteractAcknowledged)]
    assert kinds == [StreamStarted, InteractAcknowledged]


def test_event_limit_is_reached(odyssey_sync_client: Odyssey) -> None:
    with pytest.raises(OperationTimeoutError, match=r"No event arrived within 0.01 s"):
        next(odyssey_sync_client.events(timeout_s=0.01))


def test_video_is_recorded_to_a_file(odyssey_sync_client: Odyssey, tmp_path: Path) -> None:
    stream = odyssey_sync_client.connect()
    with stream.record(tmp_path / "video.mp4") as recorder:
        frames = stream.frames()
        for _ in range(5):
            next(frames)
    assert recorder.frames_recorded >= 5
    assert not recorder.has_failed
    with av.open(str(recorder.path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == recorder.frames_recorded


# Errors.


@pytest.mark.parametrize(
    ("key", "kind", "message"),
    [("ody_invalid_key", OdysseyAuthError, "Invalid API key"), ("ody_no_capacity", OdysseyError, "Timed out waiting")],
)
def test_errors_keep_their_type_and_place(
    odyssey_mock: MockOdyssey, key: str, kind: type[OdysseyError], message: str
) -> None:
    client = Odyssey(key, advanced=AdvancedConfig(queue_timeout_s=0.1))
    with client, pytest.raises(kind, match=message) as raised:
        client.connect()
    assert traceback.extract_tb(raised.value.__traceback__)[0].filename == __file__


def test_missing_key_is_rejected_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ODYSSEY_API_KEY", raising=False)
    with pytest.raises(OdysseyConfigError, match="api_key is required"):
        Odyssey()


def test_calls_without_connection_advise_to_connect(odyssey_sync_client: Odyssey) -> None:
    calls: list[Callable[[], object]] = [
        odyssey_sync_client.start_stream,
        lambda: odyssey_sync_client.interact("x"),
        odyssey_sync_client.end_stream,
        odyssey_sync_client.frames,
    ]
    for call in calls:
        with pytest.raises(InvalidStateError, match=r"Call connect\(\) first"):
            call()


# Threads.


def test_clients_of_two_threads_are_independent(odyssey_mock: MockOdyssey) -> None:
    together = threading.Barrier(2)

    def live(prompt: str) -> tuple[str, str]:
        with Odyssey() as client:
            client.connect()
            stream_id = client.start_stream(prompt)
            together.wait(LIMIT_S)
            return stream_id, client.interact(f"{prompt} moves")

    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(live, ["A cat", "A dog"], timeout=LIMIT_S))
    assert {stream_id for stream_id, _ in results} == set(odyssey_mock.streams)
    assert [applied.partition(" moves")[0] for _, applied in results] == ["A cat", "A dog"]


def test_threads_use_one_client_together(odyssey_sync_client: Odyssey) -> None:
    frames = odyssey_sync_client.connect().frames()
    odyssey_sync_client.start_stream("A castle")
    prompts = [f"Change number {number}" for number in range(6)]
    watched = threading.Event()

    def watch() -> None:
        for _ in frames:
            watched.set()

    with ThreadPoolExecutor(7) as threads:
        watching = threads.submit(watch)
        answers = list(threads.map(odyssey_sync_client.interact, prompts, timeout=LIMIT_S))
        assert watched.wait(LIMIT_S), f"expected a frame within {LIMIT_S} s, got none"
        odyssey_sync_client.disconnect()
        watching.result(LIMIT_S)
    assert [answer.startswith(prompt) for prompt, answer in zip(prompts, answers, strict=True)] == [True] * 6


def test_disconnect_in_another_thread_ends_a_call(odyssey_mock: MockOdyssey, odyssey_sync_client: Odyssey) -> None:
    odyssey_sync_client.connect()
    odyssey_sync_client.start_stream("A castle")
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(odyssey_sync_client.interact, "[stall] Night")
        odyssey_mock.wait_for("channel", "update")
        odyssey_sync_client.disconnect()
        with pytest.raises(OdysseyError, match=r"closed by disconnect\(\)"):
            waiting.result(LIMIT_S)


# Handlers.


def test_handlers_run_in_the_loops_thread(odyssey_sync_client: Odyssey) -> None:
    seen: list[object] = []
    stream = odyssey_sync_client.connect(
        on_connected=seen.append,
        on_disconnected=lambda: seen.append(threading.current_thread().name),
    )
    odyssey_sync_client.disconnect()
    assert isinstance(stream, MediaStream)
    assert seen == [stream, "odyssey_client.sync"]


def test_handler_that_calls_the_client_gets_advice(odyssey_sync_client: Odyssey) -> None:
    errors: list[Exception] = []
    odyssey_sync_client.connect(
        on_connected=lambda: odyssey_sync_client.start_stream("A castle"), on_error=errors.append
    )
    odyssey_sync_client.disconnect()
    (error,) = errors
    assert isinstance(error, InvalidStateError)
    assert "start_stream() was called by a handler" in str(error)
    assert "await asyncio.to_thread(...)" in str(error)


def test_handler_may_call_the_client_in_a_thread(odyssey_mock: MockOdyssey, odyssey_sync_client: Odyssey) -> None:
    events = odyssey_sync_client.events(timeout_s=LIMIT_S)

    async def connected() -> None:
        await asyncio.to_thread(odyssey_sync_client.start_stream, "A castle")
        await asyncio.to_thread(odyssey_sync_client.disconnect)

    odyssey_sync_client.connect(on_connected=connected)
    started = [event.stream_id for event in events if isinstance(event, StreamStarted)]
    assert started == list(odyssey_mock.streams)
    assert not odyssey_sync_client.is_connected


def test_handler_may_read_state_and_frames(odyssey_sync_client: Odyssey) -> None:
    seen: list[object] = []
    odyssey_sync_client.connect(
        on_connected=lambda: seen.extend(
            [odyssey_sync_client.is_connected, odyssey_sync_client.frames(), odyssey_sync_client.media_stream]
        )
    )
    assert [type(each).__name__ for each in seen] == ["bool", "FrameReader", "MediaStream"]


async def test_async_code_is_rejected_at_the_block(odyssey_mock: MockOdyssey) -> None:
    client = Odyssey()
    with pytest.raises(InvalidStateError, match=r"with Odyssey.* blocks the running event loop"), client:
        pass
    with pytest.raises(InvalidStateError, match=r"connect\(\) blocks the running event loop"):
        client.connect()
    assert (await asyncio.to_thread(client.list_simulations)).total == 0
    await asyncio.to_thread(client.disconnect)


# Garbage collection.


def test_unused_connected_client_is_disconnected(odyssey_mock: MockOdyssey) -> None:
    clients = [Odyssey()]
    clients[0].connect()
    session = clients[0].current_session_id
    with pytest.warns(ResourceWarning, match=r"unclosed Odyssey\(.*, connected\); call disconnect\(\)"):
        clients.clear()
    odyssey_mock.wait_for("state", "session", session=str(session), to="closed")


def test_stream_keeps_its_client_connected(odyssey_mock: MockOdyssey) -> None:
    readers = [iter(Odyssey().connect())]
    for _ in range(3):
        next(readers[0])
    with pytest.warns(ResourceWarning, match="unclosed Odyssey"):
        readers.clear()


def test_unused_closed_client_gives_no_warning(odyssey_mock: MockOdyssey) -> None:
    with Odyssey() as client:
        client.connect(on_connected=lambda stream: None)
        client.list_simulations()
    gone = weakref.ref(client)
    del client
    assert gone() is None, "expected the closed client to be freed with its last reference, got a reference cycle"
