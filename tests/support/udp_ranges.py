"""Ranges of free UDP ports for tests of the setting `udp_ports`."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from odyssey_mock.core.udp_ports import PortRange

_FIRST, _LAST = 20_000, 32_000
"""Ports below those that Linux gives to sockets without a port."""


@contextmanager
def free_range(count: int) -> Iterator[PortRange]:
    """Yield a range of `count` free UDP ports, which no other test uses meanwhile.

    The TCP port with the number of the first port is reserved, so that a test of another process chooses another range.
    """
    for first in range(_FIRST, _LAST, 16):
        with ExitStack() as bound, suppress(OSError):
            claim = bound.enter_context(socket.socket())
            claim.bind(("127.0.0.1", first))
            with ExitStack() as probes:
                for port in range(first, first + count):
                    probe = probes.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                    probe.bind(("0.0.0.0", port))
            bound.pop_all()
            break
    else:
        raise RuntimeError(f"expected {count} free UDP ports in a row between {_FIRST} and {_LAST}, got none")
    with claim:
        yield PortRange(first, first + count - 1)
