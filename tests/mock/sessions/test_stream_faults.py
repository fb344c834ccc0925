"""Tests of every fault of a stream and of every prompt marker, with a client that uses raw protocol messages."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiortc import RTCDataChannel

from odyssey_mock import MockOdyssey
from odyssey_mock.core.strict_json import JSON
from tests.support.raw import Message, RawPeer, raw_peer
from tests.support.showing_faults import Cases, Stage, no_warnings
from tests.support.streams import START, start
from tests.support.visits import SMALL, picture, visits

CASES = Cases("stream.")

pytestmark = [
    pytest.mark.odyssey(clock="manual", portrait_size=SMALL),
    pytest.mark.off_contract("sends an invalid message, to check that nothing is received before its rejection"),
]

UPDATE = {"type": "update", "prompt": "It looks out"}
END = {"type": "interactive_stream_end"}

LIMIT = 20.0
"""Timeout in seconds of waiting for a frame."""


@pytest.mark.parametrize(("point", "do", "seconds"), CASES.entries)
async def test_fault_has_its_documented_effect(
    odyssey_mock: MockOdyssey, caplog: pytest.LogCaptureFixture, point: str, do: str, seconds: float
) -> None:
    async with no_warnings(caplog):
        await CASES.show(odyssey_mock, point, do, seconds)


class Hearing(RawPeer):
    """A peer that also accepts invalid JSON: for each such message, its inbox gets an entry of type `no JSON`."""

    def _channel_opened(self, channel: RTCDataChannel) -> None:
        super()._channel_opened(channel)
        if channel.label == "streamerToClient":
            channel.remove_all_listeners("message")
            channel.on("message", lambda text: self.inbox.put_nowait(_read(text)))


def _read(text: str) -> Message:
    try:
        message: Message = json.loads(text)
    except json.JSONDecodeError:
        return {"type": "no JSON"}
    return message


@asynccontextmanager
async def hearing(stage: Stage) -> AsyncIterator[Hearing]:
    async with stage.to.socket() as socket, Hearing(socket) as peer:
        yield peer


async def is_silent(peer: RawPeer) -> bool:
    """Return whether no message is waiting on the channel.

    To find out, send an invalid request: if no message is waiting, the next message is its rejection.
    """
    peer.say({"type": "update"})
    return "update.prompt is missing" in (await peer.hear()).get("message", "")


# Replies


ASKED: dict[str, tuple[dict[str, str], str]] = {
    "stream.start": (dict(START), "stream_started"),
    "stream.interact": (UPDATE, "update_acknowledged"),
    "stream.end": (END, "stream_ended"),
}
"""For each fault point, the client's request and the type of its reply."""


async def ask(stage: Stage, peer: RawPeer) -> None:
    """Send the request for the stage's fault point; if it needs a running stream, start one first."""
    if stage.point != "stream.start":
        await start(peer)
    peer.say(ASKED[stage.point][0])


def is_carried_out(stage: Stage) -> bool:
    """Return whether the mock has carried out the request that `ask` sent."""
    (stream,) = stage.mock.streams.values()
    match stage.point:
        case "stream.start":
            return True
        case "stream.interact":
            return [change.prompt.split(",")[0] for change in stream.timeline.changes[1:]] == ["It looks out"]
        case _:
            return stream.ended_at is not None


@CASES.of("stream.start", "error")
@CASES.of("stream.interact", "error")
@CASES.of("stream.end", "error")
async def it_is_refused_and_not_carried_out(stage: Stage) -> None:
    stage.add(reason="quota_exceeded", message="No more of that", times=1)
    async with stage.to.peer() as peer:
        await ask(stage, peer)
        refusal = {"type": "interactive_stream_error", "reason": "quota_exceeded", "message": "No more of that"}
        assert await peer.hear() == refusal
        if stage.point == "stream.start":
            assert not stage.mock.streams
        else:
            assert not is_carried_out(stage)
        peer.say(ASKED[stage.point][0])
        reply = (await peer.hear())["type"]
        assert reply == ASKED[stage.point][1], f"expected {ASKED[stage.point][1]} for the next request, got {reply}"


async def test_rejected_interaction_can_end_stream(odyssey_mock: MockOdyssey) -> None:
    odyssey_mock.faults.add(at="stream.interact", do="error", reason="unsafe", message="No", ends_stream=True, times=1)
    async with raw_peer(odyssey_mock) as peer:
        stream = await start(peer)
        peer.say(UPDATE)
        assert await peer.hear() == {"type": "interactive_stream_error", "reason": "unsafe", "message": "No"}
        assert await peer.hear() == {"type": "stream_ended"}
        assert odyssey_mock.streams[stream].error == "unsafe: No"
        await start(peer)


@pytest.mark.parametrize("ends_stream", [False, True])
async def test_moderated_prompts_are_rejected(odyssey_mock: MockOdyssey, ends_stream: bool) -> None:
    prompt = "It jumps [moderated:end]" if ends_stream else "It jumps [moderated]"
    rejection = {
        "type": "interactive_stream_error",
        "reason": "moderation_failed",
        "message": "Failed to run content moderation",
    }
    async with raw_peer(odyssey_mock) as peer:
        peer.say({**START, "prompt": prompt})
        assert await peer.hear() == rejection
        await start(peer)
        peer.say({**UPDATE, "prompt": prompt})
        assert await peer.hear() == rejection
        if ends_stream:
            assert await peer.hear() == {"type": "stream_ended"}
            await start(peer)
        else:
            peer.say(UPDATE)
            assert (await peer.hear())["type"] == "update_acknowledged"


@CASES.of("stream.start", "lost")
@CASES.of("stream.interact", "lost")
@CASES.of("stream.end", "lost")
async def it_has_no_effect_and_no_reply(stage: Stage) -> None:
    stage.add(times=1)
    async with stage.to.peer() as peer:
        await ask(stage, peer)
        await stage.fired()
        assert await is_silent(peer)
        if stage.point == "stream.start":
            assert not stage.mock.streams
        else:
            assert not is_carried_out(stage)
        peer.say(ASKED[stage.point][0])
        reply = (await peer.hear())["type"]
        assert reply == ASKED[stage.point][1], f"expected {ASKED[stage.point][1]} for the next request, got {reply}"


@CASES.of("stream.start", "silent")
@CASES.of("stream.interact", "silent")
@CASES.of("stream.end", "silent")
async def it_is_carried_out_and_not_replied_to(stage: Stage) -> None:
    stage.add()
    async with stage.to.peer() as peer:
        await ask(stage, peer)
        await carried_out(stage, peer)
        assert await is_silent(peer)
        assert is_carried_out(stage)


async def carried_out(stage: Stage, peer: RawPeer) -> None:
    """Wait until the mock has carried out the request that `ask` sent; then receive three frames."""
    await stage.fired()
    states = {"stream.start": "running", "stream.interact": "running", "stream.end": "idle"}
    await stage.mock.wait_for("state", "stream", to=states[stage.point])
    for _ in range(3):
        await picture(peer)


@CASES.of("stream.start", "late")
@CASES.of("stream.interact", "late")
@CASES.of("stream.end", "late")
async def it_is_carried_out_and_replied_to_later(stage: Stage) -> None:
    stage.add()
    async with stage.to.peer() as peer:
        await ask(stage, peer)
        await carried_out(stage, peer)
        assert is_carried_out(stage)
        await stage.due(lambda: is_silent(peer))
        assert (await peer.hear())["type"] == ASKED[stage.point][1]


@CASES.of("stream.start", "twice")
@CASES.of("stream.interact", "twice")
@CASES.of("stream.end", "twice")
async def the_reply_comes_twice(stage: Stage) -> None:
    stage.add()
    async with stage.to.peer() as peer:
        await ask(stage, peer)
        first, second = await peer.hear(), await peer.hear()
        assert first == second
        assert first["type"] == ASKED[stage.point][1]


@CASES.of("stream.start", "not_json")
@CASES.of("stream.interact", "not_json")
@CASES.of("stream.end", "not_json")
async def the_reply_is_no_json(stage: Stage) -> None:
    stage.add()
    async with hearing(stage) as peer:
        await ask(stage, peer)
        assert await peer.hear() == {"type": "no JSON"}
        assert is_carried_out(stage)


@CASES.of("stream.start", "missing_fields")
@CASES.of("stream.interact", "missing_fields")
async def the_reply_has_no_fields(stage: Stage) -> None:
    stage.add()
    async with stage.to.peer() as peer:
        await ask(stage, peer)
        assert await peer.hear() == {"type": ASKED[stage.point][1]}
        assert is_carried_out(stage)


@CASES.of("stream.start", "wrong_order")
@CASES.of("stream.interact", "wrong_order")
async def the_reply_comes_after_the_next_message(stage: Stage) -> None:
    stage.add(times=1)
    async with stage.to.peer() as peer:
        await ask(stage, peer)
        await carried_out(stage, peer)
        peer.say({**UPDATE, "prompt": "It looks back"})
        heard = [await peer.hear(), await peer.hear()]
        assert heard[0]["prompt"].startswith("It looks back")
        assert heard[1]["type"] == ASKED[stage.point][1]


# Without a request


@CASES.of("stream.running", "error")
async def a_stream_breaks(stage: Stage) -> None:
    stage.add(reason="model_crash", message="The model has crashed", times=1)
    async with stage.to.peer() as peer:
        stream = await start(peer)
        await stage.due(lambda: is_silent(peer))
        error = {"type": "interactive_stream_error", "reason": "model_crash", "message": "The model has crashed"}
        assert await peer.hear() == error
        assert await peer.hear() == {"type": "stream_ended"}
        assert stage.mock.streams[stream].error == "model_crash: The model has crashed"
        await start(peer)


@CASES.of("stream.running", "end")
async def a_stream_ends_by_itself(stage: Stage) -> None:
    stage.add(times=1)
    async with stage.to.peer() as peer:
        stream = await start(peer)
        await stage.due(lambda: is_silent(peer))
        assert await peer.hear() == {"type": "stream_ended"}
        assert stage.mock.streams[stream].ended_at == stage.mock.clock.time()
        await start(peer)


async def test_fault_of_an_ended_stream_does_not_fire(odyssey_mock: MockOdyssey) -> None:
    odyssey_mock.faults.add(at="stream.running", do="error", reason="model_crash", seconds=5, times=1)
    async with raw_peer(odyssey_mock) as peer:
        await start(peer)
        peer.say(END)
        assert await peer.hear() == {"type": "stream_ended"}
        await start(peer)
        await odyssey_mock.advance(10)
        assert await is_silent(peer)


# Broadcast


@CASES.of("stream.broadcast", "missing_fields")
async def a_broadcast_is_announced_without_its_url(stage: Stage) -> None:
    stage.add()
    async with stage.to.peer() as peer:
        await start(peer, broadcast=True)
        assert set(await peer.hear()) == {"type", "spectator_token", "broadcast_url"}


@CASES.of("stream.broadcast", "silent")
async def a_broadcast_is_not_announced(stage: Stage) -> None:
    stage.add()
    async with stage.to.peer() as peer:
        stream = await start(peer, broadcast=True)
        assert await is_silent(peer)
        assert stream in stage.mock.broadcasts


@CASES.of("stream.broadcast", "late")
async def a_broadcast_is_announced_later(stage: Stage) -> None:
    stage.add()
    async with stage.to.peer() as peer:
        await start(peer, broadcast=True)
        await stage.due(lambda: is_silent(peer))
        assert (await peer.hear())["type"] == "broadcast_ready"


# Matching, and how often a fault fires


@pytest.mark.parametrize("match", ["session", "prompt", "stream", "account"])
async def test_match_limits_fault_to_one_stream(odyssey_mock: MockOdyssey, match: str) -> None:
    async with visits(odyssey_mock) as to, to.peer() as peer, raw_peer(odyssey_mock, api_key="ody_other") as other:
        narrow: dict[str, JSON] = {
            "session": to.session.id,
            "prompt": "cat",
            "stream": await start(peer),
            "account": odyssey_mock.api_key,
        }
        await start(other, prompt="A dog")
        odyssey_mock.faults.add(
            {"at": "stream.end", "do": "error", "reason": "not_now", "match": {match: narrow[match]}}
        )
        peer.say(END)
        other.say(END)
        assert (await peer.hear())["reason"] == "not_now"
        assert (await other.hear())["type"] == "stream_ended"


async def test_after_and_times_limit_a_fault(odyssey_mock: MockOdyssey) -> None:
    odyssey_mock.faults.add(at="stream.interact", do="error", reason="moderation", after=1, times=2)
    async with raw_peer(odyssey_mock) as peer:
        await start(peer)
        heard = []
        for _ in range(4):
            peer.say(UPDATE)
            heard.append((await peer.hear())["type"])
    assert [kind == "interactive_stream_error" for kind in heard] == [False, True, True, False]


@pytest.mark.odyssey(end_without_stream="error")
async def test_end_fault_affects_only_the_clients_end(odyssey_mock: MockOdyssey) -> None:
    odyssey_mock.faults.add(at="stream.end", do="silent", times=1)
    async with raw_peer(odyssey_mock) as peer:
        peer.say(END)
        assert (await peer.hear())["reason"] == "no_active_stream"
        await start(peer)
        next(iter(odyssey_mock.sessions.values())).break_stream("model_crash", "The model has crashed")
        assert (await peer.hear())["reason"] == "model_crash"
        assert await peer.hear() == {"type": "stream_ended"}


# Prompt markers


@pytest.mark.parametrize("message", [START, UPDATE], ids=["start", "update"])
async def test_error_marker_rejects_the_request(odyssey_mock: MockOdyssey, message: dict[str, str]) -> None:
    async with raw_peer(odyssey_mock) as peer:
        if message is UPDATE:
            await start(peer)
        peer.say({**message, "prompt": "A cat [error:moderation_failed]"})
        refusal = await peer.hear()
        assert (refusal["type"], refusal["reason"]) == ("interactive_stream_error", "moderation_failed")
        peer.say(message)
        assert (await peer.hear())["type"] in {"stream_started", "update_acknowledged"}


@pytest.mark.parametrize("message", [START, UPDATE], ids=["start", "update"])
async def test_stall_marker_suppresses_the_acknowledgment(odyssey_mock: MockOdyssey, message: dict[str, str]) -> None:
    async with raw_peer(odyssey_mock) as peer:
        if message is UPDATE:
            await start(peer)
        peer.say({**message, "prompt": "A cat [stall]"})
        await odyssey_mock.wait_for("state", "stream", event="first_frame" if message is START else "update")
        for _ in range(3):
            await picture(peer)
        await odyssey_mock.advance(30)
        assert await is_silent(peer)
        peer.say(UPDATE)
        reply = await peer.hear()
        assert reply["prompt"].startswith("It looks out"), f"expected the next update to be acknowledged, got {reply}"


async def until_reply_is_late(mock: MockOdyssey, peer: RawPeer) -> None:
    """Receive frames until the mock has scheduled a delayed reply on its clock."""
    async with asyncio.timeout(LIMIT):
        while not any(deadline.name.startswith("late ") for deadline in mock.clock.pending):
            await picture(peer)


@pytest.mark.parametrize("message", [START, UPDATE], ids=["start", "update"])
async def test_slow_marker_delays_the_acknowledgment(odyssey_mock: MockOdyssey, message: dict[str, str]) -> None:
    async with raw_peer(odyssey_mock) as peer:
        if message is UPDATE:
            await start(peer)
        peer.say({**message, "prompt": "A cat [slow:2500]"})
        await until_reply_is_late(odyssey_mock, peer)
        await odyssey_mock.advance(2.4)
        assert await is_silent(peer)
        await odyssey_mock.advance(0.1)
        assert (await peer.hear())["type"] in {"stream_started", "update_acknowledged"}


async def test_late_acknowledgment_is_dropped_when_stream_ends(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await start(peer)
        peer.say({**UPDATE, "prompt": "A cat [slow:2500]"})
        await until_reply_is_late(odyssey_mock, peer)
        peer.say(END)
        assert await peer.hear() == {"type": "stream_ended"}
        await odyssey_mock.advance(10)
        assert await is_silent(peer)
