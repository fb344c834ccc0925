"""The addresses of example machines, and those that client and mock offer as ICE host candidates there."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple


class Machine(NamedTuple):
    """A machine.

    Attributes:
        has: the addresses of its interfaces.
        reachable: the addresses that other machines can reach.
        loopback: its loopback addresses, or 127.0.0.1 if it has none.
    """

    has: Sequence[str]
    reachable: Sequence[str]
    loopback: Sequence[str]


BOTH = ["127.0.0.1", "::1"]

MACHINES: Mapping[str, Machine] = MappingProxyType(
    {
        "no address": Machine([], [], ["127.0.0.1"]),
        "loopback only": Machine(BOTH, [], BOTH),
        "IPv6 loopback only": Machine(["::1"], [], ["::1"]),
        "home network": Machine(
            ["127.0.0.1", "192.168.1.4", "::1", "2a02:8070::4", "fe80::1"], ["192.168.1.4", "2a02:8070::4"], BOTH
        ),
        "without IPv6": Machine(["127.0.0.1", "10.1.2.3"], ["10.1.2.3"], ["127.0.0.1"]),
        "containers": Machine(
            ["127.0.0.1", "10.0.0.5", "172.17.0.1", "172.17.0.1"], ["10.0.0.5", "172.17.0.1"], ["127.0.0.1"]
        ),
        "unique local IPv6": Machine([*BOTH, "fd00::1"], ["fd00::1"], BOTH),
        "documentation IPv6": Machine([*BOTH, "2001:db8::1"], ["2001:db8::1"], BOTH),
        "IPv6 without loopback": Machine(["2001:db8::1"], ["2001:db8::1"], ["127.0.0.1"]),
        "carrier-grade NAT": Machine(["127.0.0.1", "100.64.0.9"], ["100.64.0.9"], ["127.0.0.1"]),
        "link-local only": Machine([*BOTH, "169.254.3.4", "fe80::1"], [], BOTH),
        "deprecated site-local": Machine([*BOTH, "fec0::1"], [], BOTH),
        "IPv4 in IPv6": Machine(["127.0.0.1", "::ffff:10.0.0.5", "::10.0.0.5"], [], ["127.0.0.1"]),
        "second loopback address": Machine(["127.0.0.1", "127.0.1.1"], [], ["127.0.0.1"]),
        "unspecified and multicast": Machine(["0.0.0.0", "::", "224.0.0.1", "ff02::1"], [], ["127.0.0.1"]),
    }
)
"""Machines by name."""

NOT_ASSIGNED = ("192.0.2.1", "2001:db8::1")
"""Addresses that belong to no machine (RFC 5737, RFC 3849)."""
