"""Tests of messages that a latency profile delays."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.core.clock import ManualClock
from odyssey_mock.latency import seconds
from odyssey_mock.sessions.late_messages import LateMessage, LateMessages
from odyssey_mock.sessions.messages import Answer, ClientDisconnecting, ClientMessage, End, IceCandidate, Start, Update
from odyssey_mock.settings import LatencyProfile

MESSAGES: dict[str, ClientMessage] = {
    "signaling.answer": Answer(sdp=""),
    "signaling.candidate": IceCandidate(),
    "stream.start": Start(prompt="A cat"),
    "stream.interact": Update(prompt="It rains"),
    "stream.end": End(),
}
"""A message for each point."""

arrivals = st.lists(st.tuples(st.sampled_from(sorted(MESSAGES)), st.floats(0, 3)), max_size=8)


@given(arrivals, st.sampled_from(["realistic", "slow"]))
def test_messages_are_late_and_in_order(arrivals: list[tuple[str, float]], profile: LatencyProfile) -> None:
    async def scenario() -> None:
        clock = ManualClock()
        handled: list[tuple[int, float]] = []
        numbers: dict[int, int] = {}

        def deliver(late: LateMessage) -> None:
            handled.append((numbers[id(late.message)], clock.time()))
            messages.done(late)

        messages = LateMessages(profile, clock, deliver)
        received = []
        for number, (point, pause) in enumerate(arrivals):
            await clock.advance(pause)
            message = MESSAGES[point].model_copy()
            numbers[id(message)] = number
            received.append((message, clock.time()))
            if not messages.take(message):
                handled.append((number, clock.time()))
        await clock.advance(60)
        assert [number for number, _ in handled] == list(range(len(arrivals)))
        for (number, at), (_, arrived) in zip(handled, received, strict=True):
            assert at >= arrived + seconds(profile, arrivals[number][0]) - 1e-6
        assert list(clock.pending) == []

    asyncio.run(scenario())


async def test_client_that_leaves_is_not_delayed() -> None:
    messages = LateMessages("slow", ManualClock(), lambda _: None)
    assert messages.take(MESSAGES["stream.start"])
    assert not messages.take(ClientDisconnecting())


async def test_closing_discards_messages_and_lets_the_clock_advance() -> None:
    clock = ManualClock()
    delivered: asyncio.Queue[LateMessage] = asyncio.Queue()
    messages = LateMessages("realistic", clock, delivered.put_nowait)
    messages.take(MESSAGES["stream.end"])
    messages.take(MESSAGES["stream.start"])
    advancing = asyncio.create_task(clock.advance(5))
    await delivered.get()
    assert not advancing.done(), "expected advance() to wait until the first message is handled, but it returned"
    messages.close()
    await advancing
    assert (delivered.qsize(), list(clock.pending)) == (0, [])
    assert not messages.take(MESSAGES["stream.start"])
