"""Tests of network faults between simulated hosts: latency, loss, reordering, cuts, and packets that are held back."""

import asyncio
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odyssey_mock.impairment.presets import NETWORK_PRESETS
from odyssey_mock.impairment.profile import Impairment
from tests.support.simulated_net import HERE, THERE, Net, now, play, read, wait

HANDSHAKE = b"\x16\xfe\xfd a flight of DTLS"


def test_latency_stays_within_its_bounds() -> None:
    async def scenario(net: Net) -> list[float]:
        net.wire.set_defaults(latency=(0.1, 0.3))
        sender, inbox = await net.datagrams()
        for _ in range(300):
            sender.sendto(b"x")
        await wait(1)
        return inbox.at

    at = play(scenario)
    assert len(at) == 300
    assert 0.1 <= min(at) < 0.11
    assert 0.29 < max(at) <= 0.3


def test_connecting_takes_a_round_trip() -> None:
    async def scenario(net: Net) -> None:
        net.wire.set_defaults(latency=(0.1, 0.1))
        await net.listen()
        mine = await net.dial()
        assert now() == pytest.approx(0.2)
        mine[1].write(b"hello")
        await read(net.accepted[0], 5)
        assert now() == pytest.approx(0.3)

    play(scenario)


def test_datagrams_are_dropped_and_duplicated_as_configured() -> None:
    async def scenario(net: Net) -> list[bytes]:
        net.wire.set_defaults(drop=0.2, duplicate=0.1)
        sender, inbox = await net.datagrams()
        for number in range(2000):
            sender.sendto(number.to_bytes(2))
        await wait(1)
        return inbox.got

    got = play(scenario)
    assert len(set(got)) == pytest.approx(1600, rel=0.05)
    assert len(got) - len(set(got)) == pytest.approx(160, rel=0.25)


def test_datagrams_arrive_out_of_order() -> None:
    async def scenario(net: Net) -> list[int]:
        net.wire.set_defaults(latency=(0.0, 0.1))
        sender, inbox = await net.datagrams()
        for number in range(100):
            sender.sendto(bytes([number]))
        await wait(1)
        return [data[0] for data in inbox.got]

    got = play(scenario)
    assert sorted(got) == list(range(100))
    assert sum(one > other for one, other in pairwise(got)) > 20


def test_tcp_data_arrives_once_and_in_order() -> None:
    async def scenario(net: Net) -> bytes:
        net.wire.set_defaults(latency=(0.0, 0.1), drop=1.0, duplicate=1.0)
        mine, theirs = await net.connected()
        for number in range(200):
            mine[1].write(bytes([number]))
        mine[1].write_eof()
        return await theirs[0].read()

    assert play(scenario) == bytes(range(200))


def test_link_faults_apply_to_one_direction() -> None:
    async def scenario(net: Net) -> tuple[int, bytes]:
        net.wire.set_link(HERE, THERE, drop=1.0)
        net.wire.set_link(THERE, HERE, latency=(2.0, 2.0))
        sender, inbox = await net.datagrams()
        sender.sendto(b"lost")
        mine, theirs = await net.connected()
        began = now()
        theirs[1].write(b"late")
        word = await read(mine, 4)
        assert now() == pytest.approx(began + 2)
        return len(inbox.got), word

    assert play(scenario) == (0, b"late")


def test_cut_loses_datagrams_and_delays_tcp() -> None:
    async def scenario(net: Net) -> None:
        mine, theirs = await net.connected()
        sender, inbox = await net.datagrams()
        net.wire.cut(HERE, THERE)
        mine[1].write(b"one")
        sender.sendto(b"lost")
        theirs[1].write(b"back")
        got = await read(mine, 4)
        assert got == b"back", f"expected the bytes b'back' in the direction that is not cut, got {got!r}"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1000):
                await read(theirs, 3)
        net.wire.mend(HERE, THERE)
        sender.sendto(b"found")
        assert await read(theirs, 3) == b"one"
        await wait(1)
        assert inbox.got == [b"found"]

    play(scenario)


def test_cut_drops_datagrams_in_flight() -> None:
    async def scenario(net: Net) -> list[bytes]:
        net.wire.set_defaults(latency=(1, 1))
        sender, inbox = await net.datagrams()
        sender.sendto(b"under way")
        await wait(0.5)
        net.wire.cut(HERE, THERE)
        await wait(10)
        net.wire.heal()
        await wait(10)
        return inbox.got

    assert play(scenario) == []


def test_connecting_over_a_cut_waits_for_mend() -> None:
    async def scenario(net: Net) -> None:
        await net.listen()
        net.part()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await net.dial()
        dialling = asyncio.ensure_future(net.dial())
        await wait(1)
        net.wire.heal()
        await dialling
        await wait(1)
        assert len(net.accepted) == 1, (
            f"expected 1 accepted connection, because the first attempt timed out, got {len(net.accepted)}"
        )

    play(scenario)


def test_hold_and_release_lose_nothing() -> None:
    async def scenario(net: Net) -> None:
        mine, theirs = await net.connected()
        sender, inbox = await net.datagrams()
        net.wire.hold(HERE, THERE)
        for number in range(50):
            sender.sendto(bytes([number]))
            mine[1].write(bytes([number]))
        await wait(100)
        assert inbox.got == []
        net.wire.release(HERE, THERE)
        assert await read(theirs, 50) == bytes(range(50))
        assert sorted(inbox.got) == [bytes([number]) for number in range(50)]

    play(scenario)


def test_release_over_a_cut_loses_datagrams() -> None:
    async def scenario(net: Net) -> list[bytes]:
        sender, inbox = await net.datagrams()
        net.wire.hold(HERE, THERE)
        sender.sendto(b"lost")
        net.wire.cut(HERE, THERE)
        net.wire.release(HERE, THERE)
        net.wire.mend(HERE, THERE)
        await wait(1)
        return inbox.got

    assert play(scenario) == []


def test_dtls_flights_are_delayed_instead_of_lost() -> None:
    async def scenario(net: Net) -> tuple[list[bytes], list[float]]:
        net.wire.set_defaults(drop=0.5, duplicate=1.0)
        sender, inbox = await net.datagrams()
        for number in range(200):
            sender.sendto(HANDSHAKE + bytes([number]))
        await wait(100)
        net.part()
        sender.sendto(HANDSHAKE)
        await wait(100)
        net.wire.heal()
        await wait(100)
        return inbox.got, inbox.at

    got, at = play(scenario)
    assert len(got) == len(set(got)) == 201
    # A lost flight is sent again after 1, 2, 4, 8... seconds (RFC 6347 4.2.4.1). Half of them are lost each time.
    assert set(at[:200]) <= {0, 1, 3, 7, 15, 31, 63}
    assert at.count(0) == pytest.approx(100, abs=25)
    assert at.count(1) == pytest.approx(50, abs=20)
    assert at[200] >= 200


type Mishap = tuple[Literal["cut", "mend", "hold", "release", "slow", "wait"], bool, float]

MISHAPS = st.lists(
    st.tuples(st.sampled_from(["cut", "mend", "hold", "release", "slow", "wait"]), st.booleans(), st.floats(0, 2)),
    max_size=12,
)


@given(mishaps=MISHAPS, seed=st.integers(0, 1000))
@settings(max_examples=60)
def test_tcp_delivers_everything_after_any_faults(mishaps: list[Mishap], seed: int) -> None:
    async def scenario(net: Net) -> None:
        net.wire.set_defaults(latency=(0, 0.5), drop=0.3, duplicate=0.3)
        mine, theirs = await net.connected()
        sent = {HERE: b"", THERE: b""}
        for number, (what, outward, amount) in enumerate(mishaps):
            link = (HERE, THERE) if outward else (THERE, HERE)
            match what:
                case "slow":
                    net.wire.set_link(*link, latency=(0, amount))
                case "wait":
                    await wait(amount)
                case _:
                    getattr(net.wire, what)(*link)
            for host, (_, writer) in ((HERE, mine), (THERE, theirs)):
                word = f"{host}{number} ".encode()
                sent[host] += word
                writer.write(word)
        for _, writer in (mine, theirs):
            writer.write_eof()
        net.wire.heal()
        assert await theirs[0].read() == sent[HERE]
        assert await mine[0].read() == sent[THERE]

    play(scenario, seed=seed)


@given(mishaps=MISHAPS, seed=st.integers(0, 1000))
@settings(max_examples=30)
def test_same_seed_gives_the_same_deliveries(mishaps: list[Mishap], seed: int) -> None:
    async def scenario(net: Net) -> tuple[list[bytes], list[float]]:
        net.wire.set_defaults(latency=(0, 0.5), drop=0.3, duplicate=0.3)
        sender, inbox = await net.datagrams()
        for number, (what, _, amount) in enumerate(mishaps):
            if what == "wait":
                await wait(amount)
            elif what != "slow":
                getattr(net.wire, what)(HERE, THERE)
            sender.sendto(bytes([number]))
        net.wire.heal()
        await wait(10)
        return inbox.got, inbox.at

    assert play(scenario, seed=seed) == play(scenario, seed=seed)


def test_impaired_link_loses_delays_and_repeats_datagrams() -> None:
    async def scenario(net: Net) -> tuple[list[bytes], list[float]]:
        impairment = Impairment(loss=0.2, duplicate=0.1, delay=0.5)
        net.wire.impair(HERE, THERE, impairment)
        sender, inbox = await net.datagrams()
        for number in range(1000):
            sender.sendto(b"\x80" + number.to_bytes(2))
        await wait(1)
        return inbox.got, inbox.at

    got, at = play(scenario)
    assert got == sorted(got)
    assert len(set(got)) == pytest.approx(800, rel=0.1)
    assert len(got) - len(set(got)) == pytest.approx(80, rel=0.3)
    assert min(at) >= 0.5


def test_nothing_passes_an_impaired_link_during_silence() -> None:
    async def scenario(net: Net) -> list[float]:
        net.wire.impair(HERE, THERE, NETWORK_PRESETS["tunnel"].profile.to_client)
        sender, inbox = await net.datagrams()
        for _ in range(40):
            sender.sendto(b"\x80")
            await wait(1)
        net.wire.heal()
        return inbox.at

    passed = [*range(10), *range(30, 40)]
    assert [round(each) for each in play(scenario)] == passed


def test_tcp_data_waits_for_end_of_silence() -> None:
    async def scenario(net: Net) -> None:
        await net.listen()
        mine = await net.dial()
        net.wire.impair(HERE, THERE, Impairment(silence=20, loss=0.3))
        for number in range(10):
            mine[1].write(bytes([number]))
        assert await read(net.accepted[0], 10) == bytes(range(10))
        assert now() >= 20

    play(scenario)
