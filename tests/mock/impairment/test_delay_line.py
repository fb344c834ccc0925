"""Tests of `DelayLine` in simulated time."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.impairment.delay_line import MOST, DelayLine
from tests.support.simulated_loops import play


def test_packets_are_delivered_in_order_of_time() -> None:
    async def scenario() -> None:
        loop, line, delivered = asyncio.get_running_loop(), DelayLine(), list[str]()
        over = asyncio.Event()
        now = loop.time()
        line.add(now + 0.02, lambda: delivered.append("c"))
        line.add(now + 0.01, lambda: delivered.append("a"))
        line.add(now + 0.01, lambda: delivered.append("b"))
        line.add(now + 0.03, over.set)
        assert line.latest == now + 0.03
        line.add(now, lambda: delivered.append("at once"))
        assert delivered == ["at once"]
        await over.wait()
        assert delivered == ["at once", "a", "b", "c"]
        assert line.latest is None

    play(scenario)


def test_cleared_packets_are_not_delivered() -> None:
    async def scenario() -> None:
        loop, line, delivered = asyncio.get_running_loop(), DelayLine(), list[str]()
        over = asyncio.Event()
        line.add(loop.time() + 0.01, lambda: delivered.append("cleared"))
        line.clear()
        line.add(loop.time() + 0.02, over.set)
        await over.wait()
        assert delivered == []

    play(scenario)


def test_full_line_refuses_packets_that_may_be_lost() -> None:
    async def scenario() -> None:
        loop, line = asyncio.get_running_loop(), DelayLine()
        later = loop.time() + 3600
        assert all(line.add(later, lambda: None) for _ in range(MOST))
        assert not line.add(later, lambda: None)
        assert line.add(later, lambda: None, may_drop=False)
        line.clear()
        assert line.add(later, lambda: None)
        line.clear()

    play(scenario)


@pytest.mark.parametrize("seconds", [0.01, 0.02], ids=["packet of the same time", "later packet"])
def test_exception_of_a_packet_stops_no_other(seconds: float) -> None:
    """As on a plain socket: the event loop reports the exception."""

    async def scenario() -> list[type[BaseException]]:
        loop, line, reported = asyncio.get_running_loop(), DelayLine(), list[type[BaseException]]()
        loop.set_exception_handler(lambda _, context: reported.append(type(context["exception"])))
        over = asyncio.Event()
        line.add(loop.time() + 0.01, _raise)
        line.add(loop.time() + seconds, over.set)
        async with asyncio.timeout(5):
            await over.wait()
        return reported

    assert play(scenario) == [ArithmeticError]


def test_sender_gets_no_exception_of_earlier_packets() -> None:
    async def scenario() -> tuple[list[bool], list[str]]:
        loop, line, accepted, reported = asyncio.get_running_loop(), DelayLine(), list[bool](), list[str]()
        loop.set_exception_handler(lambda _, context: reported.append(str(context["exception"])))
        over = asyncio.Event()
        due = loop.time() + 0.01
        # This runs before the line delivers the packet that is due at the same time.
        loop.call_at(due, lambda: accepted.append(line.add(due, over.set)))
        line.add(due, _raise)
        async with asyncio.timeout(5):
            await over.wait()
        return accepted, reported

    assert play(scenario) == ([True], ["this packet cannot be parsed"])


def _raise() -> Any:  # Any: never returns
    raise ArithmeticError("this packet cannot be parsed")


@given(st.lists(st.floats(0, 1000), max_size=20))
def test_every_packet_is_delivered_once(delays: list[float]) -> None:
    async def scenario() -> list[float]:
        loop, line, delivered = asyncio.get_running_loop(), DelayLine(), list[float]()
        over = asyncio.Event()
        for delay in delays:
            line.add(loop.time() + delay, lambda delay=delay: delivered.append(delay))  # type: ignore[misc]
        line.add(loop.time() + 1001, over.set)
        await over.wait()
        return delivered

    assert play(scenario) == sorted(delays)
