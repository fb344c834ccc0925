"""`HostCandidates`: the ICE host candidates that the peers of one mock offer."""

from collections.abc import Sequence
from dataclasses import dataclass

from odyssey_mock.core.udp_ports import UdpPorts


@dataclass(frozen=True, slots=True)
class HostCandidates:
    """The ICE host candidates (RFC 8445 section 5.1.1.1) that the peers of one mock offer.

    Attributes:
        loopback_only: whether the sockets of a peer listen only on loopback addresses.
        ports: the ports on which the sockets listen: all sockets of one peer have the same port. None for any free
            ports, a different one for each socket.
        advertised: the addresses of the candidates, if clients reach the sockets at other addresses than those on
            which the sockets listen.
    """

    loopback_only: bool = False
    ports: UdpPorts | None = None
    advertised: Sequence[str] = ()
