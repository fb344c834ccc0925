"""The range of UDP ports that a mock may use, and the error when all of them are in use."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

FEWEST = 2
"""The number of ports of the smallest range: one for the STUN server, and one for a peer."""

_RANGE = re.compile(r"(?P<first>[0-9]{1,5})-(?P<last>[0-9]{1,5})", re.ASCII)


class OutOfPortsError(OSError):
    """All ports of a range are in use. The message states the range and what to do."""

    def __str__(self) -> str:
        # The text of an OSError begins with the error number; omit it here, because `errno` has it.
        return str(self.strerror)


@dataclass(frozen=True, slots=True)
class PortRange:
    """A range of at least `FEWEST` UDP ports."""

    first: int
    last: int

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Parse text such as `50000-50100`; return None if it is not a range of at least `FEWEST` ports."""
        match = _RANGE.fullmatch(text)
        if match is None:
            return None
        first, last = int(match["first"]), int(match["last"])
        return cls(first, last) if 0 < first <= last - FEWEST + 1 and last < 2**16 else None

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


class UdpPorts:
    """The UDP ports for the peers of one mock, and which of them is tried next.

    The system knows which ports are in use, also by other programs, so this class does not keep count of them. A port
    is tried again as late as possible: datagrams for a closed peer could reach the next peer on its port.
    """

    def __init__(self, of: PortRange, *, without: int) -> None:
        """Use the ports of the range `of`, except the port `without`, on which the STUN server listens."""
        self.range = of
        self._ports = [port for port in range(of.first, of.last + 1) if port != without]
        self._next = 0

    def in_turn(self) -> Iterator[int]:
        """Yield every port once. The first is the one after the port that the latest iteration ended with."""
        begin = self._next
        for offset in range(len(self._ports)):
            index = (begin + offset) % len(self._ports)
            self._next = (index + 1) % len(self._ports)
            yield self._ports[index]
