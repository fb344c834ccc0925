"""The networks of clients that have no real peer: a test changes the setting `network_profile` and its clock."""

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


class ImpairedClients:
    """The networks of a mock with a manual clock."""

    def __init__(self, clock: ManualClock, network: NetworkSetting) -> None:
        """Create it without clients. `network`: the first value of the setting."""
        self._settings = CurrentSettings(Settings(network_profile=network))
        self.networks = ClientNetworks(self._settings, clock, lambda: "seed")

    def change(self, network: NetworkSetting) -> None:
        """Change the setting."""
        self._settings.change(network_profile=network)
        self.networks.settings_changed()

    def join(self) -> ClientNetwork:
        """Return the network of a new client."""
        return self.networks.join(cast("Peer", AnyPeer()), "client", lambda name, data: None)
