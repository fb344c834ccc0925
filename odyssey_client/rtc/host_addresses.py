"""The addresses on which a peer offers ICE host candidates (RFC 8445 section 5.1.1.1).

The mock has the same rule, in a module of the same name: on one machine, it offers every address that the client
offers. Otherwise the two could choose addresses that cannot reach each other.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

import ifaddr

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
"""Networks whose addresses are no host candidates: each has no meaning on another machine, or is deprecated."""

_NETWORKS = tuple(ipaddress.ip_network(each) for each in _LOCAL)


def host_addresses() -> list[str]:
    """Return the addresses of this machine for host candidates: see `chosen`."""
    found = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips]
    # IPv6 addresses are (address, flow info, scope id).
    return chosen(address for ip in found if _is_usable(address := ip if isinstance(ip, str) else ip[0]))


def chosen(usable: Iterable[str]) -> list[str]:
    """Return those of a machine's addresses that other machines can reach; the loopback addresses if there are none.

    Unique local addresses (RFC 4193) are included. Every peer has at least one address: 127.0.0.1.
    """
    addresses = list(dict.fromkeys(usable))
    reachable = [each for each in addresses if not _is_local(each)]
    return reachable or [each for each in LOOPBACK if each in addresses] or [LOOPBACK[0]]


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
