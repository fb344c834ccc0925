"""Tests of automatic reconnecting: the client restores a lost connection without a new `connect` call."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from odyssey_client import (
    Disconnected,
    InteractAcknowledged,
    OdysseyError,
    OperationTimeoutError,
    PeerError,
    QueueTimeoutError,
    SessionLostError,
    SignalingError,
    VideoFrame,
)
from tests.support.leftovers import nothing_left
from tests.support.scripted_service import (
    FULL,
    GONE,
    REQUEST,
    TOKEN,
    Told,
    after,
    client_of,
    lose_both,
    lose_peer,
    lose_socket,
    stay_up,
    stream,
    whole_service,
)
from tests.support.scripted_streamer import Script, Session

LIMIT = 20.0


async def lose_track(session: Session) -> None:
    await session.come_up()
    for sender in session.peer.getSenders():
        await sender.stop()
    await session.until_closed()


def lose_channel(label: str) -> Script:
    async def lose(session: Session) -> None:
        await session.come_up()
        {"streamerToClient": session.to_client, "clientToStreamer": session.from_client}[label].close()
        await session.until_closed()

    return lose


@pytest.mark.parametrize(
    ("loss", "error", "says"),
    [
        (lose_socket, SignalingError, "close code 1011, broken down"),
        (lose_peer, PeerError, "was lost"),
        (lose_both, OdysseyError, "lost"),
        (lose_track, PeerError, "the video track ended"),
        (lose_channel("streamerToClient"), PeerError, "the data channel streamerToClient closed"),
        (lose_channel("clientToStreamer"), PeerError, "the data channel clientToStreamer closed"),
    ],
    ids=["socket", "peer", "both", "track", "streamerToClient", "clientToStreamer"],
)
async def test_lost_connection_is_restored_with_same_video(loss: Script, error: type[OdysseyError], says: str) -> None:
    told = Told()
    async with (
        nothing_left(),
        asyncio.timeout(LIMIT),
        whole_service(loss, stream) as service,
        client_of(service) as odyssey,
    ):
        video = await odyssey.connect(**told.handlers())
        await told.until("status_change", "connected", times=2)
        assert odyssey.is_connected
        assert odyssey.media_stream is video
        assert await odyssey.start_stream("A castle") == "stream-1"
        await anext(video.frames())
    assert told.statuses == ["authenticating", "connecting", "connected", "reconnecting", "connected", "disconnected"]
    ((reported, fatal),) = told.of("error")
    assert isinstance(reported, error)
    assert says in str(reported)
    assert not fatal
    message = told.of("status_change")[3][1]
    assert message == f"{reported} Reconnecting now (attempt 1 of 5)."
    assert [name for name, _ in told.all if name in {"connected", "disconnected"}] == ["connected", "disconnected"]
    assert len(service.calls(REQUEST)) == 1
    assert [asked.body for asked in service.calls(TOKEN)] == [{"session_id": "session-1"}] * 2


async def test_frame_timestamps_include_the_time_without_connection(tmp_path: Path) -> None:
    told = Told()
    permitted, is_shown = asyncio.Event(), asyncio.Event()
    shown: list[float] = []

    async def lose_later(session: Session) -> None:
        await session.come_up()
        await is_shown.wait()
        await session.peer.close()
        await session.until_closed()

    def show(frame: VideoFrame) -> None:
        shown.append(frame.timestamp_ms)

    async with asyncio.timeout(LIMIT), whole_service(lose_later, after(permitted, stay_up)) as service:
        async with client_of(service) as odyssey:
            video = await odyssey.connect(**told.handlers(), on_video_frame=show)
            frames, counted = video.frames(buffer=1000), video.frames()
            async with video.record(tmp_path / "film.mp4") as recorder:
                await anext(counted)  # the readers have a frame of the first connection
                is_shown.set()
                await told.until("status_change", "reconnecting")
                before = video.frames_received
                asyncio.get_running_loop().call_later(0.3, permitted.set)
                await told.until("status_change", "connected", times=2)
                while recorder.frames_recorded < before + 5:
                    await anext(counted)
        times = [frame.timestamp_ms async for frame in frames]
    assert frames.dropped == 0
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert all(gap > 0 for gap in gaps)
    assert 300 < max(gaps) < 5000
    assert all(later > earlier for earlier, later in pairwise(shown))
    assert (tmp_path / "film.mp4").stat().st_size > 0


async def test_pending_interaction_is_answered_over_new_channel() -> None:
    async def lose(session: Session) -> None:
        await session.come_up()
        await session.start_stream()
        assert (await session.heard.get())["type"] == "update"
        await session.socket.close(1011)

    async def answer_late(session: Session) -> None:
        await session.come_up()
        session.say({"type": "update_acknowledged", "prompt": "Night, applied"})
        await session.until_closed()

    async with asyncio.timeout(LIMIT), whole_service(lose, answer_late) as service, client_of(service) as odyssey:
        await odyssey.connect()
        await odyssey.start_stream("A castle")
        events = odyssey.events()
        assert await odyssey.interact("Night") == "Night, applied"
        assert odyssey.is_connected
        await odyssey.disconnect()
        kinds = [type(event) for event in [event async for event in events]]
        assert kinds.index(InteractAcknowledged) < kinds.index(Disconnected)


async def test_pending_call_times_out_after_reconnecting() -> None:
    async def lose(session: Session) -> None:
        await session.come_up()
        await session.start_stream()
        assert (await session.heard.get())["type"] == "update"
        await session.socket.close(1011)

    async with (
        asyncio.timeout(LIMIT),
        whole_service(lose, stay_up) as service,
        client_of(service, operation_timeout_s=1) as odyssey,
    ):
        await odyssey.connect()
        await odyssey.start_stream("A castle")
        with pytest.raises(OperationTimeoutError):
            await odyssey.interact("Night")
        assert odyssey.is_connected


async def test_lost_session_is_replaced_and_waiting_calls_raise() -> None:
    async def lose(session: Session) -> None:
        await session.come_up()
        await session.start_stream()
        while (await session.heard.get())["type"] != "interactive_stream_end":
            pass
        await session.socket.close(1011)

    told = Told()
    async with asyncio.timeout(LIMIT), whole_service(lose, stream) as service, client_of(service) as odyssey:
        await odyssey.connect(**told.handlers())
        assert odyssey.current_session_id == "session-1"
        await odyssey.start_stream("A castle")
        service.then(TOKEN, GONE)
        results = await asyncio.gather(odyssey.interact("Night"), odyssey.end_stream(), return_exceptions=True)
        for result in results:
            assert isinstance(result, SessionLostError)
            assert (result.code, result.retryable) == ("session_lost", True)
            assert "it is not known whether this call was carried out" in str(result)
        await told.until("status_change", "connected", times=2)
        assert odyssey.current_session_id == "session-2"
        assert await odyssey.start_stream("Another castle") == "stream-1"
    ((reason, message),) = told.of("stream_error")
    assert reason == "session_lost"
    assert "The session no longer exists" in message
    names = [name for name, _ in told.all]
    assert (
        names.index("stream_error") < names.index("stream_ended") < len(names) - 1 - names[::-1].index("stream_started")
    )
    assert len(told.of("stream_ended")) == 1
    assert len(told.of("disconnected")) == 1


async def test_lost_session_without_stream_is_replaced_silently() -> None:
    told = Told()
    async with asyncio.timeout(LIMIT), whole_service(lose_socket, stay_up) as service, client_of(service) as odyssey:
        service.then(TOKEN, await service.token(), GONE)
        await odyssey.connect(**told.handlers())
        await told.until("status_change", "connected", times=2)
        assert not told.of("stream_error")
        assert not told.of("stream_ended")


async def test_reconnecting_waits_in_the_queue() -> None:
    told = Told()
    async with asyncio.timeout(LIMIT), whole_service(lose_socket, stay_up) as service, client_of(service) as odyssey:
        service.then(TOKEN, await service.token(), GONE)
        service.then(REQUEST, await service.session(), FULL)
        await odyssey.connect(**told.handlers())
        await told.until("status_change", "connected", times=2)
        assert ("reconnecting", "Waiting for a free streamer") in told.of("status_change")


async def test_queue_timeout_uses_up_an_attempt() -> None:
    told = Told()
    async with (
        asyncio.timeout(LIMIT),
        whole_service(lose_socket, stay_up) as service,
        client_of(service, queue_timeout_s=0) as odyssey,
    ):
        service.then(TOKEN, await service.token(), GONE, GONE)
        service.then(REQUEST, await service.session(), FULL)
        await odyssey.connect(**told.handlers())
        await told.until("status_change", "connected", times=2)
        assert told.errors == [(SignalingError, False), (QueueTimeoutError, False)]


async def test_lost_session_is_fatal_with_same_session() -> None:
    told = Told()
    async with (
        asyncio.timeout(LIMIT),
        whole_service(lose_socket) as service,
        client_of(service, reconnect="same_session") as odyssey,
    ):
        service.then(TOKEN, await service.token(), GONE)
        await odyssey.connect(**told.handlers())
        await told.until("disconnected")
        assert odyssey.current_status == "failed"
    assert told.errors == [(SignalingError, False), (SessionLostError, True)]
    assert len(service.calls(REQUEST)) == 1


async def test_loss_is_fatal_with_reconnect_off() -> None:
    told = Told()
    async with (
        asyncio.timeout(LIMIT),
        whole_service(lose_socket) as service,
        client_of(service, reconnect="off") as odyssey,
    ):
        await odyssey.connect(**told.handlers())
        await told.until("disconnected")
    assert told.statuses == ["authenticating", "connecting", "connected", "failed"]
    assert told.errors == [(SignalingError, True)]
