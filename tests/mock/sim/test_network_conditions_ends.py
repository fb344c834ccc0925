"""Connections of which an end is lost, and simulated machines that die."""

import asyncio
import errno
from typing import override

import pytest

from odyssey_mock.sim.network_conditions import NetworkConditions
from tests.support.simulated_net import HERE, PORT, THERE, Net, now, play, read, wait


def test_of_a_half_open_connection_one_end_knows_nothing_until_it_sends() -> None:
    async def scenario(net: Net) -> None:
        net.wire.set_defaults(latency=(0.1, 0.1))
        mine, theirs = await net.connected()
        assert net.wire.half_open(THERE, HERE) == 1
        with pytest.raises(ConnectionResetError):
            await read(theirs, 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1000):
                await read(mine, 1)
        sent = now()
        mine[1].write(b"anybody?")
        with pytest.raises(ConnectionResetError):
            await read(mine, 1)
        assert now() == pytest.approx(sent + 0.2)

    play(scenario)


@pytest.mark.parametrize("end", [HERE, THERE])
def test_either_end_can_be_lost_and_an_end_of_stream_is_answered_by_a_reset_too(end: str) -> None:
    async def scenario(net: Net) -> None:
        both = dict(zip((HERE, THERE), await net.connected(), strict=True))
        net.wire.half_open(end, THERE if end == HERE else HERE)
        (left,) = [peer for host, peer in both.items() if host != end]
        left[1].write_eof()
        with pytest.raises(ConnectionResetError):
            await read(left, 1)

    play(scenario)


def test_a_reset_is_told_to_both_ends_at_once() -> None:
    async def scenario(net: Net) -> None:
        (mine, theirs), _ = await net.connected(), await net.connected()
        assert net.wire.reset(HERE, THERE) == 2
        for peer in (mine, theirs):
            with pytest.raises(ConnectionResetError) as caught:
                await read(peer, 1)
            assert caught.value.errno == errno.ECONNRESET
        assert net.wire.reset(HERE, THERE) == 0

    play(scenario)


def test_what_a_lost_end_begins_it_begins_on_its_own_machine() -> None:
    class Tells(asyncio.Protocol):
        @override
        def connection_lost(self, exc: Exception | None) -> None:
            where.append(wires[0].here)

    where: list[str | None] = []
    wires: list[NetworkConditions] = []

    async def scenario(net: Net) -> None:
        wires.append(net.wire)
        loop = asyncio.get_running_loop()
        await net.on(THERE, loop.create_server(Tells, "0.0.0.0", PORT))
        await net.on(HERE, loop.create_connection(asyncio.Protocol, THERE, PORT))
        net.wire.reset(HERE, THERE)

    play(scenario)
    assert where == [THERE]


def test_the_bereaved_are_told_and_nobody_else_is() -> None:
    async def scenario(net: Net) -> None:
        net.wire.set_defaults(latency=(1, 1))
        whole, bereaved, closing = [(await net.connected())[0] for _ in range(3)]
        await wait(10)
        _, (_, writer), (_, closed) = net.accepted
        writer.transport.abort()
        net.wire.half_open(THERE, HERE)
        net.accepted.clear()
        kept = [await net.dial(), await net.dial()]
        await wait(10)
        _, closed = net.accepted[1]
        closed.write(b"the last word")
        closed.close()
        being_dialled = asyncio.ensure_future(net.dial())
        await wait(1.5)  # it has been accepted, and does not know; the last word and the end are there
        net.wire.tell_the_bereaved()
        for lost in (whole, bereaved, closing):
            with pytest.raises(ConnectionResetError):
                await read(lost, 1)
        assert await kept[1][0].read() == b"the last word"
        kept.append(await being_dialled)
        await wait(10)
        kept[0][1].write(b"1")
        kept[2][1].write(b"2")
        assert await read(net.accepted[0], 1) == b"1"
        assert await read(net.accepted[2], 1) == b"2"

    play(scenario)


def test_last_words_under_way_are_heard_though_the_bereaved_are_told() -> None:
    async def scenario(net: Net) -> bytes:
        net.wire.set_defaults(latency=(1, 2))
        mine, theirs = await net.connected()
        await wait(10)
        theirs[1].write(b"the last word")
        theirs[1].close()
        await wait(0.5)
        net.wire.tell_the_bereaved()
        return await mine[0].read()

    assert all(play(scenario, seed=seed) == b"the last word" for seed in range(5))


def test_a_machine_that_crashes_says_nothing_and_answers_by_resets_once_it_is_back() -> None:
    async def scenario(net: Net) -> None:
        mine, theirs = await net.connected()
        idle, _ = await net.connected()
        sender, inbox = await net.datagrams()
        net.wire.crash(THERE)
        with pytest.raises(ConnectionResetError):
            await read(theirs, 1)
        mine[1].write(b"anybody?")
        sender.sendto(b"anybody?")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1000):
                await read(mine, 1)
        net.wire.revive(THERE)
        with pytest.raises(ConnectionResetError):
            await read(mine, 1)  # what was sent in vain is sent again
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1000):
                await read(idle, 1)
        idle[1].write(b"and now?")
        with pytest.raises(ConnectionResetError):
            await read(idle, 1)
        sender.sendto(b"nobody listens")
        await wait(1)
        assert inbox.got == []

    play(scenario)


@pytest.mark.parametrize("into", ["the void", "an answer"])
def test_whoever_dials_a_machine_that_is_down_gets_through_once_it_is_back(into: str) -> None:
    async def scenario(net: Net) -> None:
        net.wire.set_defaults(latency=(1, 1))
        await net.listen()
        dialling = asyncio.ensure_future(net.dial())
        await wait(1.5 if into == "an answer" else 0.5)
        net.wire.crash(THERE)
        await wait(100)
        assert not dialling.done()
        net.wire.revive(THERE)
        await net.listen()
        net.accepted.clear()
        mine = await dialling
        mine[1].write(b"hello")
        await wait(2)
        assert await read(net.accepted[0], 5) == b"hello"

    play(scenario)


def test_whoever_dials_is_refused_where_nobody_listens_after_a_crash() -> None:
    async def scenario(net: Net) -> None:
        await net.listen()
        net.wire.crash(THERE)
        dialling = asyncio.ensure_future(net.dial())
        await wait(1)
        net.wire.revive(THERE)
        with pytest.raises(ConnectionRefusedError):
            await dialling

    play(scenario)


def test_a_machine_that_crashes_is_dialling_nobody_any_more() -> None:
    async def scenario(net: Net) -> None:
        net.wire.hold(HERE, THERE)
        dialling = asyncio.ensure_future(net.dial())
        await wait(1)
        net.wire.crash(HERE)
        with pytest.raises(OSError, match="Network is down"):
            await dialling

    play(scenario)


def test_ports_that_begin_with_the_machine_are_there_after_a_crash() -> None:
    async def scenario(net: Net) -> list[bytes]:
        sender, inbox = await net.datagrams()
        net.wire.crash(THERE, keeps={9})
        sender.sendto(b"lost")
        await wait(1)
        net.wire.revive(THERE)
        sender.sendto(b"found")
        await wait(1)
        return inbox.got

    assert play(scenario) == [b"found"]
