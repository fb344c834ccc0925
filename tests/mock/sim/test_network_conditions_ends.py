"""Tests of connections that lose one end, and of simulated hosts that crash."""

import asyncio
import errno
from typing import override

import pytest

from odyssey_mock.sim.network_conditions import NetworkConditions
from tests.support.simulated_net import HERE, PORT, THERE, Net, now, play, read, wait


def test_half_open_connection_is_noticed_when_sending() -> None:
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
        mine[1].write(b"request")
        with pytest.raises(ConnectionResetError):
            await read(mine, 1)
        assert now() == pytest.approx(sent + 0.2)

    play(scenario)


@pytest.mark.parametrize("end", [HERE, THERE])
def test_eof_to_a_lost_end_is_reset(end: str) -> None:
    async def scenario(net: Net) -> None:
        both = dict(zip((HERE, THERE), await net.connected(), strict=True))
        net.wire.half_open(end, THERE if end == HERE else HERE)
        (left,) = [peer for host, peer in both.items() if host != end]
        left[1].write_eof()
        with pytest.raises(ConnectionResetError):
            await read(left, 1)

    play(scenario)


def test_reset_notifies_both_ends_at_once() -> None:
    async def scenario(net: Net) -> None:
        (mine, theirs), _ = await net.connected(), await net.connected()
        assert net.wire.reset(HERE, THERE) == 2
        for peer in (mine, theirs):
            with pytest.raises(ConnectionResetError) as caught:
                await read(peer, 1)
            assert caught.value.errno == errno.ECONNRESET
        assert net.wire.reset(HERE, THERE) == 0

    play(scenario)


def test_lost_end_reacts_on_its_own_host() -> None:
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


def test_only_ends_without_a_peer_are_reset() -> None:
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
        await wait(
            1.5
        )  # the host has accepted the dial, but its reply is in flight; the last data and the FIN have arrived
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


def test_data_in_flight_before_a_close_still_arrives() -> None:
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


def test_crashed_host_is_silent_and_resets_after_revival() -> None:
    async def scenario(net: Net) -> None:
        mine, theirs = await net.connected()
        idle, _ = await net.connected()
        sender, inbox = await net.datagrams()
        net.wire.crash(THERE)
        with pytest.raises(ConnectionResetError):
            await read(theirs, 1)
        mine[1].write(b"request")
        sender.sendto(b"request")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1000):
                await read(mine, 1)
        net.wire.revive(THERE)
        with pytest.raises(ConnectionResetError):
            await read(mine, 1)  # TCP sends the lost request again
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1000):
                await read(idle, 1)
        idle[1].write(b"and now?")
        with pytest.raises(ConnectionResetError):
            await read(idle, 1)
        sender.sendto(b"no listener")
        await wait(1)
        assert inbox.got == []

    play(scenario)


@pytest.mark.parametrize("into", ["request in flight", "reply in flight"])
def test_dialing_a_crashed_host_succeeds_after_revival(into: str) -> None:
    async def scenario(net: Net) -> None:
        net.wire.set_defaults(latency=(1, 1))
        await net.listen()
        dialling = asyncio.ensure_future(net.dial())
        await wait(1.5 if into == "reply in flight" else 0.5)
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


def test_dialing_without_a_listener_is_refused_after_revival() -> None:
    async def scenario(net: Net) -> None:
        await net.listen()
        net.wire.crash(THERE)
        dialling = asyncio.ensure_future(net.dial())
        await wait(1)
        net.wire.revive(THERE)
        with pytest.raises(ConnectionRefusedError):
            await dialling

    play(scenario)


def test_crash_fails_the_hosts_own_connection_attempts() -> None:
    async def scenario(net: Net) -> None:
        net.wire.hold(HERE, THERE)
        dialling = asyncio.ensure_future(net.dial())
        await wait(1)
        net.wire.crash(HERE)
        with pytest.raises(OSError, match="Network is down"):
            await dialling

    play(scenario)


def test_kept_udp_ports_are_open_after_revival() -> None:
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
