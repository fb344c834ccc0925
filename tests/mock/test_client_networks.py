"""Tests of `ClientNetworks`: when the silences of the setting begin."""

from odyssey_mock.client_networks import ClientNetwork
from odyssey_mock.core.clock import ManualClock
from odyssey_mock.settings import NetworkSetting
from tests.support.impaired_clients import ImpairedClients


class Stage(ImpairedClients):
    """The networks of a mock, and its clock."""

    def __init__(self, network: NetworkSetting) -> None:
        self.clock = ManualClock()
        super().__init__(self.clock, network)


def is_silent(network: ClientNetwork) -> bool:
    return not network.deliveries("to_client", "media", 1000, 0.0)


async def test_silences_count_from_first_client_after_change() -> None:
    stage = Stage(None)
    stage.change("tunnel")
    await stage.clock.advance(15)
    client = stage.join()
    assert not is_silent(client)
    await stage.clock.advance(10)
    assert is_silent(client)


async def test_silences_of_a_connected_client_count_from_change() -> None:
    stage = Stage(None)
    client = stage.join()
    await stage.clock.advance(15)
    stage.change("tunnel")
    assert not is_silent(client)
    await stage.clock.advance(10)
    assert is_silent(client)


async def test_returning_client_is_in_the_same_tunnel() -> None:
    stage = Stage("tunnel")
    await stage.clock.advance(15)
    stage.join().leave()
    await stage.clock.advance(9)
    client = stage.join()
    assert not is_silent(client)
    await stage.clock.advance(1)
    assert is_silent(client)


async def test_silences_count_from_next_client_after_reset() -> None:
    stage = Stage("tunnel")
    stage.join().leave()
    await stage.clock.advance(15)
    stage.networks.reset()
    stage.networks.settings_changed()
    await stage.clock.advance(15)
    client = stage.join()
    assert not is_silent(client)
    await stage.clock.advance(10)
    assert is_silent(client)


async def test_repeated_silence_lasts_as_long_as_set() -> None:
    stage = Stage({"silence": 0.3, "silence_every": 0.7})
    client = stage.join()
    silent = []
    for _ in range(20):
        silent.append(is_silent(client))
        await stage.clock.advance(0.1)
    assert silent == [number % 7 < 3 for number in range(20)]
