"""Detection of loopback hosts."""

from __future__ import annotations

import contextlib
import ipaddress


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is this machine: ``localhost``, ``*.localhost``, or a loopback address."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    with contextlib.suppress(ValueError):  # not an IP address
        return ipaddress.ip_address(name).is_loopback
    return False
