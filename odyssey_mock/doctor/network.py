"""Checks of the network: the port of the mock, loopback, UDP, proxies, and a live session over all of them."""

import asyncio
import errno
import ipaddress
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping

from odyssey_mock.doctor.findings import Finding

HOST = "127.0.0.1"
LIMIT = 3.0
"""Seconds to wait for a connection, a response or a datagram on this machine."""
SESSION_LIMIT = 30.0
"""Seconds to wait for a live session, which takes about 1 s."""
MOST_ADDRESSES = 16
"""Maximum number of addresses that are checked. A machine with containers can have hundreds."""


def check_port(port: int) -> Finding:
    """Check that the mock can listen on a port."""
    name = f"port {port}"
    with socket.socket() as listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((HOST, port))
            listener.listen()
        except OSError as error:
            why = error.strerror or str(error)
            if error.errno == errno.EADDRINUSE:
                version = _mock_version(port)
                why = "in use by another program" if version is None else f"in use by odyssey-mock {version}"
            advice = f"Run `odyssey-mock serve --port 0` for a free port, or stop the program on port {port}."
            return Finding(check=name, status="warning", found=why, advice=advice)
    return Finding(check=name, status="ok", found=f"free on {HOST}")


def _mock_version(port: int) -> str | None:
    """Return the version of the mock that listens on a port; None if it is another program."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{HOST}:{port}/_mock/health", timeout=LIMIT) as response:
            health = json.loads(response.read(10_000))
    except (OSError, ValueError):  # no HTTP server, or another one
        return None
    return str(health["version"]) if isinstance(health, dict) and "version" in health else None


def check_loopback(resolve: Callable[[str], Iterable[str]] | None = None) -> Finding:
    """Check TCP over 127.0.0.1, and the name `localhost`. `resolve(name)` returns the addresses of a name."""
    try:
        _connect_to_self()
    except OSError as error:
        found = f"no TCP connection to {HOST}: {error.strerror or error}"
        advice = "Activate the loopback interface (`ip link set lo up`), or permit it in the sandbox or firewall."
        return Finding(check="loopback", status="error", found=found, advice=advice)
    advice = "Add this line to the hosts file of the system: 127.0.0.1 localhost"
    try:
        addresses = list((resolve or _addresses)("localhost"))
    except OSError as error:
        found = f"localhost has no address: {error.strerror or error}"
        return Finding(check="loopback", status="warning", found=found, advice=advice)
    shown = f"localhost is {' and '.join(addresses)}"
    if not all(ipaddress.ip_address(address).is_loopback for address in addresses):
        return Finding(check="loopback", status="warning", found=shown, advice=advice)
    return Finding(check="loopback", status="ok", found=f"TCP works; {shown}")


def _connect_to_self() -> None:
    """Send a byte over a TCP connection on this machine.

    Raises:
        OSError: the connection does not work.
    """
    with socket.create_server((HOST, 0)) as server:
        server.settimeout(LIMIT)
        with socket.create_connection(server.getsockname(), timeout=LIMIT) as near:
            far, _ = server.accept()
            with far:
                far.settimeout(LIMIT)
                near.sendall(b"!")
                if far.recv(1) != b"!":
                    raise OSError("the connection was closed")


def _addresses(name: str) -> Iterable[str]:
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found)


def check_udp(addresses: Iterable[str] | None = None) -> Finding:
    """Check that datagrams arrive at the addresses that WebRTC offers. `addresses`: None uses those of this machine."""
    if addresses is None:
        from odyssey_mock.rtc.host_addresses import host_addresses  # noqa: PLC0415

        addresses = host_addresses(loopback_only=False)
    tried = list(addresses)[:MOST_ADDRESSES]
    broken = {address: why for address in tried if (why := _datagram_problem(address)) is not None}
    if not broken:
        return Finding(check="UDP", status="ok", found=f"datagrams arrive at {', '.join(tried)}")
    found = "; ".join(f"no datagram arrives at {address}: {why}" for address, why in broken.items())
    advice = "WebRTC needs UDP. Permit it in the firewall or the sandbox."
    is_fatal = any(ipaddress.ip_address(address).is_loopback for address in broken)
    return Finding(check="UDP", status="error" if is_fatal else "warning", found=found, advice=advice)


def _datagram_problem(address: str) -> str | None:
    """Send a datagram from an address to itself; return why it does not arrive, or None."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as far, socket.socket(family, socket.SOCK_DGRAM) as near:
            far.bind((address, 0))
            near.bind((address, 0))
            far.settimeout(LIMIT)
            near.sendto(b"!", far.getsockname())
            far.recvfrom(1)
    except TimeoutError:
        return f"none within {LIMIT:g} s"
    except OSError as error:
        return error.strerror or str(error)
    return None


def check_proxies(environment: Mapping[str, str]) -> Finding:
    """Check that HTTP clients do not send requests for the mock to a proxy."""
    variables = {name: value for name, value in environment.items() if value}
    proxies = sorted(name for name in variables if name.lower() in {"http_proxy", "all_proxy"})
    excluded = {
        name.strip().lower() for variable in ("no_proxy", "NO_PROXY") for name in variables.get(variable, "").split(",")
    }
    missing = [] if "*" in excluded else [name for name in ("localhost", HOST) if name not in excluded]
    if proxies and missing:
        # The value of the variable can contain a password.
        found = f"{' and '.join(proxies)} is set, and NO_PROXY does not contain {' and '.join(missing)}"
        advice = (
            "Other clients than odyssey_client may send requests for the mock to the proxy. Run: "
            f"export NO_PROXY={','.join([*sorted(excluded - {''}), *missing])}"
        )
        return Finding(check="proxies", status="warning", found=found, advice=advice)
    return Finding(check="proxies", status="ok", found="not used for the mock" if proxies else "none")


def check_session() -> Finding:
    """Check a live session: start a mock, connect a client, start a stream, and receive a frame."""
    try:
        seconds = asyncio.run(_first_frame())
    except Exception as error:
        found = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        advice = "First do what the other checks advise. `odyssey-mock demo` then shows each step of a session."
        return Finding(check="live session", status="error", found=found, advice=advice)
    return Finding(check="live session", status="ok", found=f"video {seconds:.1f} s after the start of the mock")


async def _first_frame() -> float:
    """Return the seconds from the start of a mock to the first frame of a stream."""
    from odyssey_client import Odyssey  # noqa: PLC0415
    from odyssey_mock.server import MockOdyssey  # noqa: PLC0415

    now = asyncio.get_running_loop().time
    began = now()
    async with (
        asyncio.timeout(SESSION_LIMIT),
        MockOdyssey() as mock,
        Odyssey(mock.api_key, api_url=mock.url) as client,
    ):
        video = await client.connect()
        await client.start_stream("A cat")
        await anext(video.frames())
        return now() - began
