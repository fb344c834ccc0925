"""Tests of `ImpairedLink` on a network that a test controls, in simulated time."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from odyssey_mock.impairment import delay_line
from odyssey_mock.sim.light.impaired_link import RETRANSMISSION, ImpairedLink
from tests.support.simulated_loops import play
from tests.support.simulated_net import wait


class Delays:
    """A network that delivers each datagram after the next of some delays; None loses it. The last one repeats."""

    def __init__(self, *delays: float | None) -> None:
        self._delays = [*delays]

    def deliveries(self, direction: object, kind: object, size: int, now: float) -> Sequence[float]:
        delay = self._delays.pop(0) if len(self._delays) > 1 else self._delays[0]
        return () if delay is None else (now + delay,)


class Arrived:
    """What has arrived, and when."""

    def __init__(self) -> None:
        self._begun = asyncio.get_running_loop().time()
        self.all: list[tuple[str, float]] = []

    def of(self, name: str) -> Callable[[], None]:
        """Return a function that notes the arrival of `name`."""
        return lambda: self.all.append((name, round(asyncio.get_running_loop().time() - self._begun, 6)))


def fail() -> None:
    raise ArithmeticError("this message cannot be parsed")


def test_messages_arrive_in_order() -> None:
    async def scenario() -> list[tuple[str, float]]:
        link, arrived = ImpairedLink(Delays(0.3, 0.1, 0.2)), Arrived()
        for name in "abc":
            link.sent.add(1, arrived.of(name))
        await wait(1)
        link.sent.add(1, arrived.of("d"))
        await wait(1)
        return arrived.all

    assert play(scenario) == [("a", 0.3), ("b", 0.3), ("c", 0.3), ("d", 1.2)]


def test_lost_message_is_sent_again_before_others() -> None:
    async def scenario() -> list[tuple[str, float]]:
        link, arrived = ImpairedLink(Delays(None, None, 0.0)), Arrived()
        for name in "ab":
            link.received.add(1, arrived.of(name))
        await wait(3)
        return arrived.all

    assert play(scenario) == [("a", 2 * RETRANSMISSION), ("b", 2 * RETRANSMISSION)]


def test_messages_pass_a_full_line_of_datagrams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Datagrams above the limit are lost, but no messages: the channel would stop for good."""
    monkeypatch.setattr(delay_line, "MOST", 1)

    async def scenario() -> list[tuple[str, float]]:
        link, arrived = ImpairedLink(Delays(10, 10, None, 1)), Arrived()
        link.datagram("to_client", "media", 1, arrived.of("datagram"))
        link.datagram("to_client", "media", 1, arrived.of("lost datagram"))
        for name in "ab":
            link.sent.add(1, arrived.of(name))
        await wait(20)
        return arrived.all

    assert play(scenario) == [("a", 2.0), ("b", 2.0), ("datagram", 10.0)]


@pytest.mark.parametrize("delay", [0.0, 0.1])
def test_exception_of_a_message_stops_no_other(delay: float) -> None:
    async def scenario() -> tuple[list[tuple[str, float]], list[str]]:
        reported: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, each: reported.append(str(each["exception"])))
        link, arrived = ImpairedLink(Delays(None, delay)), Arrived()
        link.sent.add(1, fail)
        link.sent.add(1, arrived.of("a"))
        await wait(2)
        return arrived.all, reported

    assert play(scenario) == ([("a", 1 + delay)], ["this message cannot be parsed"])


def test_close_delivers_all_messages_to_be_sent() -> None:
    async def scenario() -> tuple[list[tuple[str, float]], list[str]]:
        reported: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, each: reported.append(str(each["exception"])))
        link, arrived = ImpairedLink(Delays(5, 5, None)), Arrived()
        link.sent.add(1, fail)
        for name in "ab":
            link.sent.add(1, arrived.of(name))
        link.received.add(1, arrived.of("received"))
        link.datagram("to_client", "media", 1, arrived.of("datagram"))
        link.close()
        await wait(20)
        return arrived.all, reported

    assert play(scenario) == ([("a", 0.0), ("b", 0.0)], ["this message cannot be parsed"])
