"""Tests of `ClientNetworks`: when the silences of the setting begin."""

from typing import cast

from odyssey_mock.client_networks import ClientNetwork, ClientNetworks
from odyssey_mock.core.clock import ManualClock
from odyssey_mock.current_settings import CurrentSettings
from odyssey_mock.rtc.protocols import Peer
from odyssey_mock.settings import NetworkSetting, Settings


class AnyPeer:
    """A peer whose datagrams no test sends."""

    def impair(self, network: object) -> None:
        """Ignore the network."""


class Stage:
    """The networks of a mock with a manual clock."""

    def __init__(self, network: NetworkSetting) -> None:
        self.clock = ManualClock()
        self._settings = CurrentSettings(Settings(network_profile=network))
        self.networks = ClientNetworks(self._settings, self.clock, lambda: "seed")

    def change(self, network: NetworkSetting) -> None:
        self._settings.change(network_profile=network)
        self.networks.settings_changed()

    def join(self) -> ClientNetwork:
        return self.networks.join(cast("Peer", AnyPeer()), "client", lambda name, data: None)


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
