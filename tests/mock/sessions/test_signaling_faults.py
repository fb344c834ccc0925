"""Tests of every fault of the signaling socket, with a client that sends and receives raw protocol messages."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from odyssey_mock import MockOdyssey
from odyssey_mock.sessions.session_machine import SessionState
from tests.support.raw import LIMIT, receive
from tests.support.showing_faults import Cases, Stage, no_warnings
from tests.support.streams import start
from tests.support.visits import SMALL, close_code, picture, round_trip, visits

CASES = Cases("signaling.", elsewhere={"signaling.config"})

pytestmark = pytest.mark.odyssey(clock="manual", portrait_size=SMALL)


@pytest.mark.parametrize(("point", "do", "seconds"), CASES.entries)
async def test_fault_has_its_documented_effect(
    odyssey_mock: MockOdyssey, caplog: pytest.LogCaptureFixture, point: str, do: str, seconds: float
) -> None:
    async with no_warnings(caplog):
        await CASES.show(odyssey_mock, point, do, seconds)


async def heard(socket: ClientConnection) -> str | bytes:
    async with asyncio.timeout(LIMIT):
        return await socket.recv()


def quiet(socket: ClientConnection) -> Callable[[], Awaitable[bool]]:
    """Return an async function that returns whether no message is waiting on the socket."""

    async def is_quiet() -> bool:
        await round_trip(socket)
        try:
            async with asyncio.timeout(0):
                await socket.recv()
        except TimeoutError:
            return True
        return False

    return is_quiet


async def nothing_more(stage: Stage, socket: ClientConnection) -> None:
    """Close all sessions; check that the next message on the socket is the report of the shutdown."""
    await round_trip(socket)
    await stage.mock.backend.sessions.close()
    assert await receive(socket) == {"type": "error", "reason": "streamer_disconnected"}


def check_nonsense(do: str, data: str | bytes) -> None:
    match do:
        case "binary":
            assert isinstance(data, bytes)
        case "not_json":
            assert isinstance(data, str)
            with pytest.raises(json.JSONDecodeError):
                json.loads(data)
        case "not_object":
            assert not isinstance(json.loads(data), dict)
        case _:
            known = {"offer", "ice_candidate", "error"}
            assert json.loads(data)["type"] not in known


NONSENSE = ("not_json", "not_object", "binary", "unknown_type")

# The upgrade


@CASES.of("signaling.upgrade", "refuse")
async def an_upgrade_is_refused(stage: Stage) -> None:
    stage.add(status=418)
    with pytest.raises(InvalidStatus) as refused:
        async with stage.to.socket():
            pass
    assert refused.value.response.status_code == 418
    assert stage.to.session.state is SessionState.WAITING


@CASES.of("signaling.upgrade", "delay")
async def an_upgrade_is_late(stage: Stage) -> None:
    stage.add()
    opening = asyncio.create_task(open_and_hear_offer(stage))

    async def is_waiting() -> bool:
        return stage.to.session.state is SessionState.WAITING

    await stage.due(is_waiting)
    assert await opening == "offer"


async def open_and_hear_offer(stage: Stage) -> str:
    async with stage.to.socket() as socket:
        return str((await receive(socket))["type"])


@CASES.of("signaling.upgrade", "no_answer")
async def an_upgrade_is_never_answered(stage: Stage) -> None:
    stage.add()
    opening = asyncio.create_task(open_and_hear_offer(stage))
    await stage.mock.wait_for("fault", stage.point)
    await stage.mock.advance(60)
    assert stage.to.session.state is SessionState.WAITING
    assert not opening.done()
    opening.cancel()
    await asyncio.wait([opening])


@pytest.mark.parametrize("fault", [{"do": "delay", "seconds": 60}, {"do": "no_answer"}])
async def test_cancelled_upgrade_leaves_no_task(
    odyssey_mock: MockOdyssey, caplog: pytest.LogCaptureFixture, fault: dict[str, float | str]
) -> None:
    odyssey_mock.faults.add({"at": "signaling.upgrade", **fault})
    before = asyncio.all_tasks()
    async with no_warnings(caplog), visits(odyssey_mock) as to:
        stage = Stage(odyssey_mock, to, "signaling.upgrade", str(fault["do"]), 0)
        opening = asyncio.create_task(open_and_hear_offer(stage))
        await odyssey_mock.wait_for("fault", "signaling.upgrade")
        opening.cancel()
        await asyncio.wait([opening])
        await odyssey_mock.advance(61)
        assert to.session.state is SessionState.WAITING
        odyssey_mock.expect_none("defect")
    async with asyncio.timeout(LIMIT):
        while more := asyncio.all_tasks() - before:
            await asyncio.wait(more)


# The offer


@CASES.of("signaling.offer", "close")
async def the_socket_closes_before_the_offer(stage: Stage) -> None:
    stage.add(code=4321, reason="no streamer here", times=1)
    async with stage.to.socket() as socket:
        await stage.due(quiet(socket))
        with pytest.raises(ConnectionClosed):
            await heard(socket)
        assert await close_code(socket) == (4321, "no streamer here")
    await stage.to.reaches("waiting")
    async with stage.to.peer() as peer:
        await start(peer)


@CASES.of("signaling.offer", "error")
async def an_error_comes_instead_of_the_offer(stage: Stage) -> None:
    stage.add(reason="streamer_not_available")
    async with stage.to.socket() as socket:
        await stage.due(quiet(socket))
        assert await receive(socket) == {"type": "error", "reason": "streamer_not_available"}
        await nothing_more(stage, socket)


@CASES.of("signaling.offer", *NONSENSE)
async def nonsense_comes_instead_of_the_offer(stage: Stage) -> None:
    stage.add()
    async with stage.to.socket() as socket:
        await stage.due(quiet(socket))
        check_nonsense(stage.do, await heard(socket))
        await nothing_more(stage, socket)


@CASES.of("signaling.offer", "delay")
async def the_offer_is_late(stage: Stage) -> None:
    stage.add()
    async with stage.to.socket() as socket:
        await stage.due(quiet(socket))
        assert (await receive(socket))["type"] == "offer"


@CASES.of("signaling.offer", "silent")
async def the_offer_never_comes(stage: Stage) -> None:
    stage.add()
    async with stage.to.socket() as socket:
        await stage.mock.wait_for("fault", stage.point)
        await stage.mock.advance(60)
        await nothing_more(stage, socket)


@CASES.of("signaling.offer", "twice")
async def the_offer_comes_twice(stage: Stage) -> None:
    stage.add()
    async with stage.to.socket() as socket:
        first, second = await receive(socket), await receive(socket)
        assert first == second
        assert first["type"] == "offer"


@CASES.of("signaling.offer", "broken_sdp")
async def the_offer_cannot_be_used(stage: Stage) -> None:
    stage.add()
    connection = RTCPeerConnection()
    async with stage.to.socket() as socket:
        offer = await receive(socket)
        assert offer["type"] == "offer"
        with pytest.raises((ValueError, AssertionError)):
            await connection.setRemoteDescription(RTCSessionDescription(offer["sdp"], "offer"))
    await connection.close()


@CASES.of("signaling.offer", "missing_fields")
async def the_offer_has_no_sdp(stage: Stage) -> None:
    stage.add()
    async with stage.to.socket() as socket:
        assert await receive(socket) == {"type": "offer"}


# The answer


@CASES.of("signaling.answer", "close")
async def the_socket_closes_after_the_answer(stage: Stage) -> None:
    stage.add(times=1)
    async with stage.to.halfway() as peer:
        await stage.due(quiet(peer.socket))
        assert await close_code(peer.socket) == (1011, "")
    await stage.to.reaches("waiting")
    async with stage.to.peer() as peer:
        await start(peer)


@CASES.of("signaling.answer", "error", *NONSENSE)
async def the_answer_has_an_answer_of_its_own(stage: Stage) -> None:
    stage.add(**({"reason": "who_knows"} if stage.do == "error" else {}))
    async with stage.to.halfway() as peer:
        await stage.due(quiet(peer.socket))
        if stage.do == "error":
            assert await receive(peer.socket) == {"type": "error", "reason": "who_knows"}
        else:
            check_nonsense(stage.do, await heard(peer.socket))
        assert stage.to.session.state is SessionState.CONNECTING, (
            f"expected the session to stay in the state CONNECTING, got {stage.to.session.state}"
        )
        await nothing_more(stage, peer.socket)


@CASES.of("signaling.answer", "ignore")
async def the_answer_is_ignored(stage: Stage) -> None:
    stage.add()
    async with stage.to.halfway() as peer:
        await stage.mock.wait_for("fault", stage.point)
        await nothing_more(stage, peer.socket)
        stage.mock.expect_none("session", to="connected")


# An established connection


@CASES.of("signaling.connected", "close")
async def the_socket_closes_when_all_is_up(stage: Stage) -> None:
    stage.add(code=1012, reason="restarting", times=1)
    async with stage.to.peer() as peer:
        await stage.due(quiet(peer.socket))
        assert await close_code(peer.socket) == (1012, "restarting")
        await stage.to.reaches("held")
    async with stage.to.peer() as peer:
        await start(peer)


@CASES.of("signaling.connected", "error", *NONSENSE)
async def something_is_said_when_all_is_up_which_goes_on(stage: Stage) -> None:
    stage.add(**({"reason": "who_knows"} if stage.do == "error" else {}))
    async with stage.to.peer() as peer:
        await stage.due(quiet(peer.socket))
        if stage.do == "error":
            assert await receive(peer.socket) == {"type": "error", "reason": "who_knows"}
        else:
            check_nonsense(stage.do, await heard(peer.socket))
        await start(peer)


@pytest.mark.parametrize(("code", "state"), [(1000, "closed"), (1001, "closed"), (1011, "held"), (4000, "held")])
async def test_close_code_of_server_decides_about_session(odyssey_mock: MockOdyssey, code: int, state: str) -> None:
    odyssey_mock.faults.add(at="signaling.connected", do="close", code=code)
    async with visits(odyssey_mock) as to, to.peer() as peer:
        assert await close_code(peer.socket) == (code, "")
        await to.reaches(state)


async def test_after_and_times_limit_a_fault(odyssey_mock: MockOdyssey) -> None:
    odyssey_mock.faults.add(at="signaling.offer", do="error", reason="not_now", after=1, times=2)
    async with visits(odyssey_mock) as to:
        offered = []
        for _ in range(4):
            since = odyssey_mock.journal.next_index
            async with to.socket() as socket:
                offered.append((await receive(socket))["type"] == "offer")
            await to.reaches("waiting", since=since)
    assert offered == [True, False, False, True]


async def test_match_limits_fault_to_one_session(odyssey_mock: MockOdyssey) -> None:
    async with visits(odyssey_mock) as one, visits(odyssey_mock) as other:
        odyssey_mock.faults.add(at="signaling.offer", do="silent", match={"session": one.session.id})
        odyssey_mock.faults.add(at="signaling.offer", do="silent", match={"account": "ody_somebody_else"})
        async with other.peer() as peer:
            await picture(peer)
        async with one.socket():
            await odyssey_mock.wait_for("fault", "signaling.offer", session=one.session.id)
    odyssey_mock.expect("signaling.offer", kind="fault", count=1)
