"""Tests of the setting `network_profile` with real WebRTC: what clients and spectators notice."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from aiortc.mediastreams import MediaStreamTrack

from odyssey_mock import MockOdyssey
from tests.support.raw import LIMIT, raw_peer
from tests.support.streams import start
from tests.support.visits import SMALL, goes, picture, stamp_of
from tests.support.whep import RawSpectator, go_live

pytestmark = pytest.mark.odyssey(clock="manual", portrait_size=SMALL, seed=7)


async def losses(mock: MockOdyssey, client: str = "client 1") -> Mapping[str, Any]:
    """Wait until `client` has left, and return what the journal says about its packets."""
    entry = await mock.wait_for("note", "network losses")
    assert entry.data["client"] == client
    return entry.data


async def lost_media(packets: int) -> Sequence[int]:
    """Show `packets` packets or more of a stream to a client; return the numbers of those that were lost of these."""
    async with MockOdyssey(
        seed=7, portrait_size=SMALL, network_profile={"loss": 0.3, "loss_burst": 2, "traffic": ["media"]}
    ) as mock:
        async with raw_peer(mock) as peer:
            await start(peer)
            async with asyncio.timeout(LIMIT):
                while mock.sessions and await sent_media(mock) < packets:
                    await picture(peer)
        counts = (await losses(mock))["to_client"]["media"]
    return [number for number in counts["lost_numbers"] if number <= packets]


async def sent_media(mock: MockOdyssey) -> int:
    (session,) = mock.sessions.values()
    reports = await session.statistics()
    counts: list[Any] = [
        each["packetsSent"] for each in reports.values() if each["type"] == "outbound-rtp"
    ]  # Any: JSON
    return int(max(counts, default=0))


async def test_same_seed_loses_same_packets() -> None:
    first, second = await asyncio.gather(lost_media(80), lost_media(80))
    assert first == second
    assert len(first) > 10


@pytest.mark.odyssey(network_profile={"delay": 0.2, "traffic": ["data_channels"]})
async def test_delay_of_setting_applies_in_both_directions(odyssey_mock: MockOdyssey) -> None:
    loop = asyncio.get_running_loop()
    async with raw_peer(odyssey_mock) as peer:
        begun = loop.time()
        await start(peer)
        assert loop.time() - begun >= 0.4


async def test_network_of_live_session_changes_at_once(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await start(peer)
        await picture(peer)
        odyssey_mock.change_settings(network_profile={"loss": 1, "traffic": ["media"]})
        await no_picture(peer.track)
        odyssey_mock.change_settings(network_profile=None)
        await picture(peer)
    changes = [each.data["profile"] for each in odyssey_mock.journal.find("note", "network changed")]
    lossy = {"loss": 1}
    assert changes == [{"to_client": lossy, "from_client": lossy, "traffic": ["media"]}, None]


async def no_picture(track: MediaStreamTrack | None) -> None:
    """Wait until no frame of `track` arrives for some frame times."""
    assert track is not None
    with pytest.raises(TimeoutError):
        await read_without_pauses(track)


async def read_without_pauses(track: MediaStreamTrack) -> None:
    """Read frames; raise TimeoutError once none arrives for half a second."""
    while True:
        async with asyncio.timeout(0.5):
            await track.recv()


@pytest.mark.odyssey(network_profile={"silence": 20, "silence_after": 10, "traffic": ["media"]})
async def test_silence_begins_and_ends_on_clock_of_mock(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await start(peer)
        await picture(peer)
        await odyssey_mock.advance(10)
        await no_picture(peer.track)
        await odyssey_mock.advance(20)
        await picture(peer)
    assert (await losses(odyssey_mock))["to_client"]["media"]["silenced"] > 0


async def test_spectators_have_impaired_networks_too(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as host:
        live = await go_live(odyssey_mock, host)
        async with RawSpectator(live) as spectator:
            await spectator.stamp()
            odyssey_mock.change_settings(network_profile={"loss": 1, "traffic": ["media"]})
            await no_picture(spectator.track)
        changed = odyssey_mock.journal.find("note", "network changed")
        assert {each.data["client"] for each in changed} == {"client 1", "spectator 1"}


@pytest.mark.odyssey(network_profile={"duplicate": 1, "delay": 0.01, "jitter": 0.01, "reorder": 0.3})
async def test_repeated_and_reordered_datagrams_do_not_disturb_stream(odyssey_mock: MockOdyssey) -> None:
    async with raw_peer(odyssey_mock) as peer:
        await start(peer)
        indexes = [stamp_of(await picture(peer)).frame_index for _ in range(10)]
        assert indexes == sorted(set(indexes))


@pytest.mark.odyssey(network_profile={"delay": 0.3})
async def test_client_learns_of_end_through_delayed_network(odyssey_mock: MockOdyssey) -> None:
    """The datagrams that close the connection are still delivered after the peer is closed."""
    async with raw_peer(odyssey_mock) as peer:
        (session,) = odyssey_mock.sessions.values()
        await session.shut_down()
        assert await goes(peer, "closed", "failed") == "closed"


async def test_losses_of_clients_differ(odyssey_mock: MockOdyssey) -> None:
    """Each client has its own random decisions, although all have the seed of the mock."""
    odyssey_mock.change_settings(network_profile={"loss": 0.3, "traffic": ["media"]})
    numbers = []
    for client in ("client 1", "client 2"):
        async with raw_peer(odyssey_mock) as peer:
            await start(peer)
            async with asyncio.timeout(LIMIT):
                while await sent_media(odyssey_mock) < 30:
                    await picture(peer)
        entry = await odyssey_mock.wait_for("note", "network losses", client=client)
        lost: Any = entry.data["to_client"]  # Any: JSON
        numbers.append([each for each in lost["media"]["lost_numbers"] if each <= 30])
    assert numbers[0] != numbers[1]
