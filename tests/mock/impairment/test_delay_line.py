import asyncio

from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.impairment.delay_line import MOST, DelayLine


async def test_packets_are_delivered_in_order_of_time() -> None:
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


async def test_cleared_packets_are_not_delivered() -> None:
    loop, line, delivered = asyncio.get_running_loop(), DelayLine(), list[str]()
    over = asyncio.Event()
    line.add(loop.time() + 0.01, lambda: delivered.append("cleared"))
    line.clear()
    line.add(loop.time() + 0.02, over.set)
    await over.wait()
    assert delivered == []


async def test_full_line_refuses_packets() -> None:
    loop, line = asyncio.get_running_loop(), DelayLine()
    later = loop.time() + 3600
    assert all(line.add(later, lambda: None) for _ in range(MOST))
    assert not line.add(later, lambda: None)
    line.clear()
    assert line.add(later, lambda: None)
    line.clear()


@given(st.lists(st.floats(0, 0.003), max_size=20))
def test_every_packet_is_delivered_once(delays: list[float]) -> None:
    async def run() -> list[float]:
        loop, line, delivered = asyncio.get_running_loop(), DelayLine(), list[float]()
        over = asyncio.Event()
        for delay in delays:
            line.add(loop.time() + delay, lambda delay=delay: delivered.append(delay))  # type: ignore[misc]
        line.add(loop.time() + 0.004, over.set)
        await over.wait()
        return delivered

    assert sorted(asyncio.run(run())) == sorted(delays)
