"""Tests of the sync `connect_to_stream`."""

import threading

import pytest

from odyssey_client import BroadcastInfo, BroadcastNotFoundError, BroadcastReady, InvalidStateError, OdysseyConfigError
from odyssey_client.sync import Odyssey, connect_to_stream

LIMIT_S = 20.0


@pytest.fixture
def broadcast(odyssey_sync_client: Odyssey) -> BroadcastInfo:
    events = odyssey_sync_client.events(timeout_s=LIMIT_S)
    odyssey_sync_client.connect()
    odyssey_sync_client.start_stream("A castle", broadcast=True)
    return next(event.info for event in events if isinstance(event, BroadcastReady))


def test_spectator_sees_frames_until_the_end(odyssey_sync_client: Odyssey, broadcast: BroadcastInfo) -> None:
    ended: list[object] = []
    with connect_to_stream(broadcast.webrtc_url, broadcast.spectator_token) as spectator:
        spectator.on_disconnect(lambda error: ended.append((error, threading.current_thread().name)))
        assert spectator.is_connected
        assert spectator.connection_state == "connected"
        frames = spectator.frames(timeout_s=LIMIT_S)
        assert next(frames).width == 176
        odyssey_sync_client.end_stream()
        for _ in frames:
            pass
        assert spectator.connection_state == "closed"
        assert spectator.stream.ended
    assert ended == [(None, "odyssey_client.sync")]


def test_callback_may_disconnect_again(broadcast: BroadcastInfo) -> None:
    left = threading.Event()
    with connect_to_stream(broadcast.webrtc_url, broadcast.spectator_token) as spectator:

        def leave() -> None:
            spectator.disconnect()
            left.set()

        spectator.on_disconnect(leave)
        spectator.disconnect()
        assert left.wait(LIMIT_S)


def test_unused_spectator_is_disconnected(broadcast: BroadcastInfo) -> None:
    gone = threading.Event()
    spectators = [Odyssey.connect_to_stream(broadcast.webrtc_url, broadcast.spectator_token)]
    spectators[0].on_disconnect(gone.set)
    with pytest.warns(ResourceWarning, match=r"unclosed SpectatorConnection\(connected"):
        spectators.clear()
    assert gone.wait(LIMIT_S)


def test_stream_keeps_its_spectator_connected(broadcast: BroadcastInfo) -> None:
    streams = [connect_to_stream(broadcast.webrtc_url, broadcast.spectator_token).stream]
    assert next(streams[0].frames(timeout_s=LIMIT_S)).width == 176
    with pytest.warns(ResourceWarning, match="unclosed SpectatorConnection"):
        streams.clear()


def test_errors_of_a_spectator_are_typed(broadcast: BroadcastInfo) -> None:
    with pytest.raises(OdysseyConfigError, match="webrtc_url must be"):
        connect_to_stream("", broadcast.spectator_token)
    with pytest.raises(BroadcastNotFoundError):
        connect_to_stream(broadcast.webrtc_url + "x", broadcast.spectator_token)


async def test_async_code_is_advised_to_use_a_thread(broadcast: BroadcastInfo) -> None:
    with pytest.raises(InvalidStateError, match=r"connect_to_stream\(\) blocks the running event loop"):
        connect_to_stream(broadcast.webrtc_url, broadcast.spectator_token)
