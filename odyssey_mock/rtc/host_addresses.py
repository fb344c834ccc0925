"""The addresses on which a peer of the mock offers ICE host candidates.

The client has the same rule, in a module of the same name: on one machine, the mock offers every address that the
client offers. Otherwise the two could choose addresses that cannot reach each other.
"""

import ipaddress
import socket
from collections.abc import Iterable

LOOPBACK = ("127.0.0.1", "::1")

_LOCAL = (
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/4",
    "255.255.255.255/32",
    "::/96",  # unspecified, loopback, and IPv4-compatible addresses, which RFC 4291 deprecates
    "::ffff:0:0/96",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
)
"""Networks whose addresses are no host candidates: each has no meaning on another machine, or is deprecated.

The loopback addresses are in them, because `chosen` adds these two itself.
"""

_NETWORKS = tuple(ipaddress.ip_network(each) for each in _LOCAL)


def host_addresses(*, loopback_only: bool) -> list[str]:
    """Return the addresses of this machine for host candidates: see `chosen`."""
    import ifaddr  # noqa: PLC0415 - only peers need it

    found = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips]
    # IPv6 addresses are (address, flow info, scope id).
    usable = (address for ip in found if _is_usable(address := ip if isinstance(ip, str) else ip[0]))
    return chosen(usable, loopback_only=loopback_only)


def chosen(usable: Iterable[str], *, loopback_only: bool) -> list[str]:
    """Return the loopback addresses of a machine, then those of its addresses that other machines can reach.

    With `loopback_only`, return only the loopback addresses. Every peer has at least one address: 127.0.0.1.
    """
    addresses = list(dict.fromkeys(usable))
    loopback = [each for each in LOOPBACK if each in addresses] or [LOOPBACK[0]]
    return loopback if loopback_only else [*loopback, *(each for each in addresses if not _is_local(each))]


def _is_local(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return any(parsed in network for network in _NETWORKS)


def _is_usable(address: str) -> bool:
    """Return whether a UDP socket can use the address now.

    For about a second after an IPv6 address was added, no socket can use it: the system checks that it is unique.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
