"""Ports and addresses of this machine on which a test can run a server."""

import socket
from contextlib import suppress

ATTEMPTS = 100
"""Maximum number of ports to try."""


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port of `host` on which no program listens, neither with TCP nor with UDP."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(ATTEMPTS):
        with socket.create_server((host, 0), family=family) as tcp, socket.socket(family, socket.SOCK_DGRAM) as udp:
            port: int = tcp.getsockname()[1]
            with suppress(OSError):  # another program uses the port with UDP
                udp.bind((host, port))
                return port
    raise RuntimeError(f"expected a free port on {host} within {ATTEMPTS} attempts, got none")


def missing_ipv6() -> str | None:
    """Return a description of the missing address; None if this machine has the address `::1`."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return None
    except OSError as error:
        return f"this machine has no address ::1 ({error.strerror})"
