"""Checks of a running mock, from the machine of its clients: its HTTP server, and the UDP ports of its video."""

import os
import socket
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from odyssey_mock.doctor.findings import Finding

LIMIT = 5.0
"""Seconds to wait for a response."""
ATTEMPTS = 3
"""Number of datagrams before a server counts as unreachable. One can be lost."""
ATTEMPT_LIMIT = 1.0
"""Seconds to wait for the answer to one datagram."""

UNREACHABLE = (
    "If the mock runs on another machine, start it with --host 0.0.0.0, and permit the port in the firewall. If it "
    "runs in a container, also publish the port: docker run --publish 8400:8400."
)
NO_UDP = (
    "Video connects only if UDP reaches the mock. Start it with --udp-ports 50000-50100, permit these ports in the "
    "firewall, and publish them if it runs in a container: --publish 50000-50100:50000-50100/udp. --udp-address is the "
    "address of its machine. On Linux, the machine of a container needs none of this."
)


def running_checks(url: str) -> Mapping[str, Callable[[], Finding]]:
    """Return the checks of the mock at `url`, by name."""
    return {"mock": lambda: check_mock(url), "STUN": lambda: check_stun(url)}


def check_mock(url: str) -> Finding:
    """Check that a mock answers at `url`, and that its control API accepts the host of the URL."""
    try:
        status, health = _get(f"{url}/_mock/health")
    except _RequestError as error:
        return Finding(check="mock", status="error", found=f"no response: {error}", advice=UNREACHABLE)
    if status == 403:  # the service accepts every host, the control API only known ones
        host = urlsplit(url).hostname
        found = f"a mock, whose control API does not accept the host {host}"
        advice = f"Start the mock with --control-host {host}, to use its console and control API at this URL."
        return Finding(check="mock", status="warning", found=found, advice=advice)
    if not isinstance(health, dict) or "version" not in health:
        found = f"another program, which answers /_mock/health with status {status}"
        return Finding(check="mock", status="error", found=found, advice="Check host, port and path of the URL.")
    return Finding(check="mock", status="ok", found=f"odyssey-mock {health['version']}")


def check_stun(url: str) -> Finding:
    """Check that datagrams reach the STUN server that the mock names, which uses one of its UDP ports."""
    try:
        _, config = _get(f"{url}/config")
        urls = [each["urls"] for each in config["iceServers"]]
    except _RequestError as error:
        return Finding(check="STUN", status="error", found=f"no response for /config: {error}", advice=UNREACHABLE)
    except (LookupError, TypeError):
        advice = "Check host, port and path of the URL."
        return Finding(check="STUN", status="error", found="no list of ICE servers in /config", advice=advice)
    name = next((each for each in urls if isinstance(each, str) and each.startswith("stun:")), None)
    if name is None:
        return Finding(check="STUN", status="ok", found=f"not checked: /config names {urls or 'no server'}")
    try:
        address = _own_address(name)
    except (OSError, ValueError) as error:
        found = f"no answer from {name}: {error}"
        return Finding(check="STUN", status="warning", found=found, advice=NO_UDP)
    return Finding(check="STUN", status="ok", found=f"{name} answers, and sees this machine at {address}")


class _RequestError(Exception):
    """No HTTP response was received. The message says why."""


def _get(url: str) -> tuple[int, Any]:  # Any: JSON
    """Return status and JSON of a response; None if it is not JSON. No proxy is used.

    Raises:
        _RequestError: no response was received.
    """
    import httpx  # noqa: PLC0415

    from odyssey_client.errors import OdysseyConfigError  # noqa: PLC0415
    from odyssey_client.trusted_roots import create_tls_context  # noqa: PLC0415

    try:
        verify = create_tls_context(None, os.environ) if url.startswith("https:") else False
        response = httpx.get(url, verify=verify, trust_env=False, timeout=LIMIT)
    except (OdysseyConfigError, httpx.HTTPError, httpx.InvalidURL) as error:
        raise _RequestError(str(error) or type(error).__name__) from error
    try:
        return response.status_code, response.json()
    except ValueError:
        return response.status_code, None


def _own_address(server: str) -> str:
    """Return the address of this machine that a STUN server sees. `server`: such as `stun:192.0.2.1:50000`.

    Raises:
        OSError: no answer arrived (`TimeoutError`), or nothing can be sent to the server.
        ValueError: the server sent something else, or `server` has no port.
    """
    from aioice import stun  # noqa: PLC0415

    host, _, port = server.removeprefix("stun:").rpartition(":")
    (family, _, _, _, address), *_ = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    with socket.socket(family, socket.SOCK_DGRAM) as udp:
        udp.settimeout(ATTEMPT_LIMIT)
        udp.connect(address)
        for _ in range(ATTEMPTS):
            udp.send(bytes(request))
            try:
                answer = stun.parse_message(udp.recv(1500))
            except TimeoutError:
                continue
            mapped = answer.attributes.get("XOR-MAPPED-ADDRESS")
            if mapped is None or answer.transaction_id != request.transaction_id:
                raise ValueError("the server sent something else")
            return str(mapped[0])
    raise TimeoutError(f"none within {ATTEMPTS * ATTEMPT_LIMIT:g} s")
