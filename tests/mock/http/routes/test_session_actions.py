"""Tests of the actions on sessions: `POST /_mock/sessions/{session_id}/...`, in each state, and what clients notice."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
import pytest
from aiortc import RTCSessionDescription

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey
from tests.support.raw import RawPeer, receive
from tests.support.streams import start
from tests.support.visits import SMALL, Visits, close_code, stamps, visits

pytestmark = pytest.mark.odyssey(portrait_size=SMALL, session_grace=30)

BODIES: Mapping[str, object] = {
    "interact": {"prompt": "Pet the cat"},
    "break": {"reason": "model_crashed", "message": "The model crashed."},
    "close-socket": {"code": 4000, "reason": "replaced"},
}
ACTIONS = ("interact", "end-stream", "break", "vanish", "close-socket", "end")


async def act(to: Visits, action: str, body: object = None) -> httpx.Response:
    """Request an action on the session."""
    return await to.api.http.post(f"/_mock/sessions/{to.session.id}/{action}", json=body or BODIES.get(action))


# Sessions in each state.


@asynccontextmanager
async def waiting(_: Visits) -> AsyncIterator[None]:
    yield


@asynccontextmanager
async def signaling(to: Visits) -> AsyncIterator[None]:
    async with to.socket() as socket:
        await receive(socket)
        yield


@asynccontextmanager
async def connecting(to: Visits) -> AsyncIterator[None]:
    async with to.socket() as socket:
        offer = await receive(socket)
        peer = RawPeer(socket)
        try:
            await peer.connection.setRemoteDescription(RTCSessionDescription(offer["sdp"], "offer"))
            await peer.connection.setLocalDescription(await peer.connection.createAnswer())
            sdp = "".join(
                line
                for line in peer.connection.localDescription.sdp.splitlines(keepends=True)
                if not line.startswith(("a=candidate", "a=end-of-candidates"))
            )
            since = to.mock.journal.next_index
            await peer.say_on_socket({"type": "answer", "sdp": sdp})
            await to.mock.wait_for("state", "session", event="answered", since=since)
            yield
        finally:
            await peer.connection.close()


@asynccontextmanager
async def connected(to: Visits) -> AsyncIterator[None]:
    async with to.peer():
        yield


@asynccontextmanager
async def streaming(to: Visits) -> AsyncIterator[None]:
    async with to.peer() as peer:
        await start(peer)
        yield


@asynccontextmanager
async def held(to: Visits) -> AsyncIterator[None]:
    async with to.peer() as peer:
        await to.lose(peer.socket)
        yield


@asynccontextmanager
async def held_with_stream(to: Visits) -> AsyncIterator[None]:
    async with to.peer() as peer:
        await start(peer)
        await to.lose(peer.socket)
        yield


@asynccontextmanager
async def returning(to: Visits) -> AsyncIterator[None]:
    async with held(to), signaling(to):
        yield


@asynccontextmanager
async def rejoining(to: Visits) -> AsyncIterator[None]:
    async with held(to), connecting(to):
        yield


@asynccontextmanager
async def stale(to: Visits) -> AsyncIterator[None]:
    async with to.peer() as peer:
        await peer.socket.close(1000)
        await to.reaches("stale")
        yield


NO_STREAM = {"interact": 409, "end-stream": 409, "break": 409}
NO_SOCKET = {"vanish": 409, "close-socket": 409}
CONNECTED = {"vanish": 204, "close-socket": 204}


@pytest.mark.parametrize(
    ("scene", "state", "statuses"),
    [
        (waiting, "waiting", {**NO_STREAM, **NO_SOCKET}),
        (signaling, "signaling", {**NO_STREAM, **CONNECTED}),
        (connecting, "connecting", {**NO_STREAM, **CONNECTED}),
        (connected, "connected", {**NO_STREAM, **CONNECTED}),
        (streaming, "connected", {"interact": 200, "break": 204, "end-stream": 409, **CONNECTED}),
        (held, "held", {**NO_STREAM, **NO_SOCKET}),
        (held_with_stream, "held", {**NO_SOCKET, "interact": 200, "end-stream": 204, "break": 409}),
        (returning, "returning", {**NO_STREAM, **CONNECTED}),
        (rejoining, "rejoining", {**NO_STREAM, **CONNECTED}),
        pytest.param(
            stale,
            "stale",
            {**NO_STREAM, **NO_SOCKET},
            marks=pytest.mark.odyssey(portrait_size=SMALL, stale_session=40),
        ),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
async def test_each_action_in_each_state(
    scene: Callable[[Visits], AbstractAsyncContextManager[None]],
    state: str,
    statuses: Mapping[str, int],
    odyssey_mock: MockOdyssey,
) -> None:
    """The actions are requested one after the other, in the order of `statuses`; then the session is ended."""
    async with visits(odyssey_mock) as to, scene(to):
        assert to.session.state == state
        for action, status in {**statuses, "end": 204}.items():
            answer = await act(to, action)
            assert answer.status_code == status, f"{action}: expected {status}, got {answer.status_code} {answer.text}"
            if status == 409:
                assert "expected " in answer.json()["detail"]
        assert to.session.state == "closed"
        assert [(await act(to, action)).status_code for action in ACTIONS] == [404] * len(ACTIONS)


@pytest.mark.parametrize(
    ("action", "body", "loc"),
    [
        ("interact", {}, ["body", "prompt"]),
        ("interact", {"prompt": ""}, ["body", "prompt"]),
        ("interact", {"prompt": 1}, ["body", "prompt"]),
        ("interact", {"prompt": "x", "to": "y"}, ["body", "to"]),
        ("interact", [], ["body"]),
        ("break", {"message": "x"}, ["body", "reason"]),
        ("break", {"reason": "x", "message": None}, ["body", "message"]),
        ("close-socket", {"code": "1000"}, ["body", "code"]),
        ("close-socket", {"code": True}, ["body", "code"]),
        ("close-socket", {"code": 1005}, ["body", "code"]),
        ("close-socket", {"code": 999}, ["body", "code"]),
        ("close-socket", {"code": 1000, "reason": "x" * 124}, ["body", "reason"]),
        ("close-socket", {"reason": "ä" * 62}, ["body", "reason"]),
    ],
)
async def test_wrong_body_is_422(action: str, body: object, loc: list[str], odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to:
        answer = await to.api.http.post(f"/_mock/sessions/{to.session.id}/{action}", json=body)
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, loc)


async def test_unknown_session_is_404(http: httpx.AsyncClient) -> None:
    for action in ACTIONS:
        answer = await http.post(f"/_mock/sessions/none/{action}", json=BODIES.get(action))
        assert (answer.status_code, "GET /_mock/state" in answer.json()["detail"]) == (404, True)


async def test_interaction_changes_the_picture_without_a_message(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        stream = odyssey_mock.streams[await start(peer)]
        applied = (await act(to, "interact")).json()["applied_prompt"]
        assert [change.prompt for change in stream.timeline.changes][1:] == [applied]
        assert applied.startswith("Pet the cat")
        while (await stamps(peer, 1, tag=stream.timeline.tag))[0].prompt_revision != 1:
            pass
        # The next message is the reply to the client's own interaction.
        peer.say({"type": "update", "prompt": "It looks out"})
        reply = await peer.hear()
        assert (reply["type"], reply["prompt"][:12]) == ("update_acknowledged", "It looks out")
        note = odyssey_mock.expect("prompt changed by the mock", kind="note", prompt="Pet the cat")
        assert (note.data["frame_index"], note.stream) == (stream.timeline.changes[1].index, stream.id)


async def test_client_with_a_pending_interaction_is_not_confused(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey
) -> None:
    await odyssey_client.connect()
    stream_id = await odyssey_client.start_stream("A cat")
    (session,) = odyssey_mock.sessions.values()
    own = asyncio.create_task(odyssey_client.interact("It looks out"))
    session.interact("Pet the cat")
    assert (await own).startswith("It looks out")
    session.interact("It sleeps")
    assert (await odyssey_client.interact("It wakes up")).startswith("It wakes up")
    shown = [change.prompt.partition(",")[0] for change in odyssey_mock.streams[stream_id].timeline.changes]
    assert shown == ["A cat", "Pet the cat", "It looks out", "It sleeps", "It wakes up"]


async def test_client_hears_that_its_stream_has_ended(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        stream_id = await start(peer)
        await act(to, "end-stream")
        assert await peer.hear() == {"type": "stream_ended"}
        odyssey_mock.expect("stream", to="idle", event="end", stream=stream_id, why="Session.end_stream was called")
        await start(peer)


async def test_client_hears_why_its_stream_broke(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        await start(peer)
        await act(to, "break")
        error = {"type": "interactive_stream_error", "reason": "model_crashed", "message": "The model crashed."}
        assert [await peer.hear() for _ in range(2)] == [error, {"type": "stream_ended"}]


async def test_client_hears_that_its_session_has_ended(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        await act(to, "end")
        assert (await receive(peer.socket))["reason"] == "streamer_disconnected"
        assert await close_code(peer.socket) == (1000, "")


@pytest.mark.parametrize(("code", "state"), [(4000, "held"), (1011, "held"), (1000, "closed")])
async def test_socket_is_closed_with_the_code(code: int, state: str, odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer:
        await act(to, "close-socket", {"code": code, "reason": "replaced"})
        assert await close_code(peer.socket) == (code, "replaced")
        await to.reaches(state)
        odyssey_mock.expect("socket", to="closed", by="server", code=code, why="Session.close_socket closes it")


@pytest.mark.usefixtures("quick_consent")
async def test_vanished_peer_is_lost(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as to, to.peer():
        await act(to, "vanish")
        await to.reaches("held")
