"""Tests of the sync live calls, over real HTTP, WebSocket and WebRTC connections to a mock in another thread."""

import asyncio
import threading
import traceback
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
)
from odyssey_client.sync import Connected, MediaStream, Odyssey
from tests.support.mock_in_thread import MockInThread

LIMIT_S = 20.0


def test_complete_session_without_an_event_loop(mock: MockInThread, client: Odyssey) -> None:
    assert client.current_status == "disconnected"
    stream = client.connect()
    assert client.is_connected
    assert client.current_session_id in mock.sessions
    assert client.media_stream is stream
    assert client.capabilities is not None

    stream_id = client.start_stream("A castle")
    assert stream_id in mock.streams
    acknowledged = client.interact("Night falls")
    assert acknowledged.startswith("Night falls")
    assert client.last_applied_prompt == acknowledged
    client.end_stream()

    client.disconnect()
    assert client.current_session_id is None
    assert stream.ended


def test_client_connects_again_after_the_block(mock: MockInThread) -> None:
    with Odyssey() as client:
        client.connect()
    assert client.current_status == ConnectionStatus.DISCONNECTED
    with client:
        client.connect()
        assert client.start_stream("A castle") in mock.streams
    client.disconnect()


def test_keyless_client_connects_with_credentials(mock: MockInThread, client: Odyssey) -> None:
    credentials = client.create_client_credentials().to_dict()
    with Odyssey.keyless() as keyless:
        keyless.connect_with_credentials(ClientCredentials.from_dict(credentials))
        assert keyless.current_session_id == credentials["session_id"]
        with pytest.raises(OdysseyConfigError, match="api_key is required"):
            keyless.connect()


# Frames and events.


def test_frames_end_with_the_connection(client: Odyssey) -> None:
    stream = client.connect()
    client.start_stream("A castle")
    shown = 0
    for frame in stream:
        assert (frame.width, frame.height) == (176, 320)
        shown += 1
        if shown == 3:
            client.disconnect()
    assert shown >= 3
    assert stream.latest_frame is not None
    assert stream.frames_received >= shown


def test_frames_raise_the_fatal_error(mock: MockInThread) -> None:
    advanced = AdvancedConfig(reconnect="off", max_retries=0)
    with Odyssey(advanced=advanced) as client:
        frames = client.connect().frames()
        session = client.current_session_id
        mock.run(mock.mock.reset)
        with pytest.raises(OdysseyError) as raised:
            for _ in frames:
                pass
    assert session is not None
    assert traceback.extract_tb(raised.value.__traceback__)[0].filename == __file__


def test_frame_limit_is_reached_and_reader_continues(mock: MockInThread, client: Odyssey) -> None:
    frames = client.connect().frames(timeout_s=0.001)
    with pytest.raises(OperationTimeoutError, match=r"No frame arrived within 0.001 s.*timeout_s"):  # noqa: PT012
        for _ in range(1000):  # frames arrive every 50 ms
            next(frames)
    client.disconnect()
    assert list(frames) == []


@pytest.mark.parametrize("timeout_s", [0, -1, "soon", True])
def test_invalid_time_limit_is_rejected(client: Odyssey, timeout_s: float) -> None:
    stream = client.connect()
    calls: list[Callable[[], object]] = [
        lambda: client.frames(timeout_s=timeout_s),
        lambda: client.events(timeout_s=timeout_s),
        lambda: stream.frames(timeout_s=timeout_s),
    ]
    for call in calls:
        with pytest.raises(OdysseyConfigError, match="timeout_s must be a number of seconds above 0"):
            call()


def test_closing_a_reader_ends_another_threads_wait(client: Odyssey) -> None:
    events = client.events()
    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(list, events)
        events.close()
        assert reading.result(LIMIT_S) == []


def test_reader_is_released_after_break(client: Odyssey) -> None:
    stream = client.connect()
    readers = stream._stream._readers
    for _ in stream:
        assert len(readers) == 1
        break
    client._run("test", turn)  # the loop removes it
    assert len(readers) == 0


async def turn(client: odyssey_client.Odyssey) -> None:
    """Return after what other threads scheduled earlier."""


def test_events_arrive_in_order(client: Odyssey) -> None:
    events = client.events()
    stream = client.connect()
    client.start_stream("A castle")
    client.interact("Night")
    client.disconnect()
    seen = list(events)
    connected = [event for event in seen if isinstance(event, odyssey_client.Connected)]
    assert connected == [Connected(stream)]
    kinds = [type(event) for event in seen if isinstance(event, StreamStarted | InteractAcknowledged)]
    assert kinds == [StreamStarted, InteractAcknowledged]


def test_event_limit_is_reached(client: Odyssey) -> None:
    with pytest.raises(OperationTimeoutError, match=r"No event arrived within 0.01 s"):
        next(client.events(timeout_s=0.01))


def test_video_is_recorded_to_a_file(client: Odyssey, tmp_path: Path) -> None:
    stream = client.connect()
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
def test_errors_keep_their_type_and_place(mock: MockInThread, key: str, kind: type[OdysseyError], message: str) -> None:
    client = Odyssey(key, advanced=AdvancedConfig(queue_timeout_s=0.1))
    with client, pytest.raises(kind, match=message) as raised:
        client.connect()
    assert traceback.extract_tb(raised.value.__traceback__)[0].filename == __file__


def test_missing_key_is_rejected_at_once() -> None:
    with pytest.raises(OdysseyConfigError, match="api_key is required"):
        Odyssey()


def test_calls_without_connection_advise_to_connect(client: Odyssey) -> None:
    calls: list[Callable[[], object]] = [
        client.start_stream,
        lambda: client.interact("x"),
        client.end_stream,
        client.frames,
    ]
    for call in calls:
        with pytest.raises(InvalidStateError, match=r"Call connect\(\) first"):
            call()


# Threads.


def test_clients_of_two_threads_are_independent(mock: MockInThread) -> None:
    together = threading.Barrier(2)

    def live(prompt: str) -> tuple[str, str]:
        with Odyssey() as client:
            client.connect()
            stream_id = client.start_stream(prompt)
            together.wait(LIMIT_S)
            return stream_id, client.interact(f"{prompt} moves")

    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(live, ["A cat", "A dog"], timeout=LIMIT_S))
    assert {stream_id for stream_id, _ in results} == set(mock.streams)
    assert [applied.partition(" moves")[0] for _, applied in results] == ["A cat", "A dog"]


def test_threads_use_one_client_together(client: Odyssey) -> None:
    frames = client.connect().frames()
    client.start_stream("A castle")
    prompts = [f"Change number {number}" for number in range(6)]
    with ThreadPoolExecutor(7) as threads:
        watching = threads.submit(lambda: sum(1 for _ in frames))
        answers = list(threads.map(client.interact, prompts, timeout=LIMIT_S))
        client.disconnect()
        assert watching.result(LIMIT_S) > 0
    assert [answer.startswith(prompt) for prompt, answer in zip(prompts, answers, strict=True)] == [True] * 6


def test_disconnect_in_another_thread_ends_a_call(mock: MockInThread, client: Odyssey) -> None:
    client.connect()
    client.start_stream("A castle")
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(client.interact, "[stall] Night")
        mock.wait_for("channel", "update")
        client.disconnect()
        with pytest.raises(OdysseyError, match=r"closed by disconnect\(\)"):
            waiting.result(LIMIT_S)


# Handlers.


def test_handlers_run_in_the_loops_thread(client: Odyssey) -> None:
    seen: list[object] = []
    stream = client.connect(
        on_connected=seen.append,
        on_disconnected=lambda: seen.append(threading.current_thread().name),
    )
    client.disconnect()
    assert isinstance(stream, MediaStream)
    assert seen == [stream, "odyssey-client"]


def test_handler_that_calls_the_client_gets_advice(client: Odyssey) -> None:
    errors: list[Exception] = []
    client.connect(on_connected=lambda: client.start_stream("A castle"), on_error=errors.append)
    client.disconnect()
    (error,) = errors
    assert isinstance(error, InvalidStateError)
    assert "start_stream() was called by a handler" in str(error)
    assert "await asyncio.to_thread(...)" in str(error)


def test_handler_may_call_the_client_in_a_thread(mock: MockInThread, client: Odyssey) -> None:
    events = client.events(timeout_s=LIMIT_S)

    async def connected() -> None:
        await asyncio.to_thread(client.start_stream, "A castle")
        await asyncio.to_thread(client.disconnect)

    client.connect(on_connected=connected)
    started = [event.stream_id for event in events if isinstance(event, StreamStarted)]
    assert started == list(mock.streams)
    assert not client.is_connected


def test_handler_may_read_state_and_frames(client: Odyssey) -> None:
    seen: list[object] = []
    client.connect(on_connected=lambda: seen.extend([client.is_connected, client.frames(), client.media_stream]))
    assert [type(each).__name__ for each in seen] == ["bool", "FrameReader", "MediaStream"]


async def test_async_code_is_rejected_at_the_block(mock: MockInThread) -> None:
    client = Odyssey()
    with pytest.raises(InvalidStateError, match=r"with Odyssey.* blocks the running event loop"), client:
        pass
    with pytest.raises(InvalidStateError, match=r"connect\(\) blocks the running event loop"):
        client.connect()
    assert (await asyncio.to_thread(client.list_simulations)).total == 0
    await asyncio.to_thread(client.disconnect)


# Garbage collection.


def test_unused_connected_client_is_disconnected(mock: MockInThread) -> None:
    clients = [Odyssey()]
    clients[0].connect()
    session = clients[0].current_session_id
    with pytest.warns(ResourceWarning, match=r"unclosed Odyssey\(.*, connected\); call disconnect\(\)"):
        clients.clear()
    mock.wait_for("state", "session", session=str(session), to="closed")


def test_stream_keeps_its_client_connected(mock: MockInThread) -> None:
    readers = [iter(Odyssey().connect())]
    for _ in range(3):
        next(readers[0])
    with pytest.warns(ResourceWarning, match="unclosed Odyssey"):
        readers.clear()


def test_unused_closed_client_gives_no_warning(mock: MockInThread) -> None:
    with Odyssey() as client:
        client.connect(on_connected=lambda stream: None)
        client.list_simulations()
    gone = weakref.ref(client)
    del client
    assert gone() is None, "expected no reference cycle"
