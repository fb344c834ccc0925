"""Telling this machine itself from all other hosts."""

from __future__ import annotations

import contextlib
import ipaddress


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine itself: ``localhost``, a name below it, or a loopback address."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    with contextlib.suppress(ValueError):  # a name, then
        return ipaddress.ip_address(name).is_loopback
    return False
