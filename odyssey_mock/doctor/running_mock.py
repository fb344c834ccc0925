"""Checks of a running mock, from the machine of its clients: its HTTP server, and the UDP ports of its video."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from odyssey_mock.core.strict_json import JSON, read_json
from odyssey_mock.core.url_parts import Authority
from odyssey_mock.doctor.findings import Finding
from odyssey_mock.http.control_api import HEALTH_PATH, UNKNOWN_HOST

if TYPE_CHECKING:
    from odyssey_client.rest.response_body import Answer

LIMIT = 5.0
"""Seconds until a response must have arrived completely.

A lookup of the host's name can take longer: it is a call of the system, which has limits of its own.
"""
MAX_BODY_BYTES = 64 << 10
"""Maximum size of a response body. A mock sends some hundred bytes."""
STUN_PORT = 3478
"""The default port of STUN servers (RFC 7064)."""
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
        status, health = _get(f"{url}{HEALTH_PATH}")
    except _RequestError as error:
        return Finding(check="mock", status="error", found=f"no response: {error}", advice=UNREACHABLE)
    if status == 403 and _is_refused_host(health):
        host = urlsplit(url).hostname
        found = f"a mock, whose control API does not accept the host {host}"
        advice = f"Start the mock with --control-host {host}, to use its console and control API at this URL."
        return Finding(check="mock", status="warning", found=found, advice=advice)
    if not isinstance(health, dict) or "version" not in health:
        found = f"another program, which answers {HEALTH_PATH} with status {status}"
        return Finding(check="mock", status="error", found=found, advice="Check host, port and path of the URL.")
    return Finding(check="mock", status="ok", found=f"odyssey-mock {health['version']}")


def check_stun(url: str) -> Finding:
    """Check that datagrams reach the STUN server that the mock names, which uses one of its UDP ports."""
    from odyssey_client.rtc.ice_servers import read_ice_servers  # noqa: PLC0415

    try:
        urls = [each for server in read_ice_servers(_get(f"{url}/config")[1]) for each in server.urls]
    except _RequestError as error:
        return Finding(check="STUN", status="error", found=f"no response for /config: {error}", advice=UNREACHABLE)
    except ValueError:
        advice = "Check host, port and path of the URL."
        return Finding(check="STUN", status="error", found="no list of ICE servers in /config", advice=advice)
    server = next((parsed for each in urls if (parsed := _StunServer.read(each)) is not None), None)
    if server is None:
        found = f"not checked: /config names {' and '.join(urls) or 'no server'}"
        return Finding(check="STUN", status="ok", found=found)
    try:
        address = _own_address(server)
    except (OSError, ValueError) as error:
        found = f"no answer from {server.url}: {error}"
        return Finding(check="STUN", status="warning", found=found, advice=NO_UDP)
    return Finding(check="STUN", status="ok", found=f"{server.url} answers, and sees this machine at {address}")


def _is_refused_host(body: JSON) -> bool:
    """Return whether `body` is that of a mock whose control API refuses the host; the service accepts every host."""
    detail = body.get("detail") if isinstance(body, Mapping) else None
    return isinstance(detail, str) and detail.startswith(UNKNOWN_HOST)


class _RequestError(Exception):
    """No complete HTTP response was received. The message says why."""


def _get(url: str) -> tuple[int, JSON]:
    """Return status and JSON of a response; None if it is not JSON, or too large. No proxy is used.

    Raises:
        _RequestError: no complete response was received within `LIMIT`.
    """
    import httpx  # noqa: PLC0415

    from odyssey_client.errors import OdysseyConfigError  # noqa: PLC0415
    from odyssey_client.trusted_roots import create_tls_context  # noqa: PLC0415

    try:
        tls = create_tls_context(None, os.environ) if httpx.URL(url).scheme == "https" else None
        answer = asyncio.run(_received(url, tls))
    except (TimeoutError, httpx.TimeoutException) as error:
        raise _RequestError(f"none that was complete within {LIMIT:g} s") from error
    except (OdysseyConfigError, httpx.HTTPError, httpx.InvalidURL) as error:
        raise _RequestError(_reason(error)) from error
    try:
        return answer.status, read_json(answer.body)
    except ValueError:
        return answer.status, None


def _reason(error: Exception) -> str:
    """Return why a request failed: each reason for which an attempt to connect did, which httpx does not say."""
    reasons = {
        os.strerror(cause.errno): None
        for cause in _causes(error)
        if isinstance(cause, OSError) and cause.errno and not isinstance(cause, ssl.SSLError | socket.gaierror)
    }
    return "; ".join(reasons) or str(error) or type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the first causes of an error. It has several if its cause is a group: one for each address of a host."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _causes(each)
    elif (behind := error.__cause__ or error.__context__) is not None:
        yield from _causes(behind)
    else:
        yield error


async def _received(url: str, tls: ssl.SSLContext | None) -> Answer:
    """Request `url`. One limit applies to all steps, because those of httpx apply to each read."""
    import httpx  # noqa: PLC0415

    from odyssey_client.rest.response_body import NO_ENCODING, read_answer  # noqa: PLC0415

    async with (
        asyncio.timeout(LIMIT),
        httpx.AsyncClient(verify=tls or False, trust_env=False, timeout=LIMIT, headers=NO_ENCODING) as http,
        http.stream("GET", url) as response,
    ):
        return await read_answer(response, MAX_BODY_BYTES)


@dataclass(frozen=True, slots=True)
class _StunServer:
    """A STUN server, and its URL (RFC 7064)."""

    url: str
    host: str
    port: int

    @classmethod
    def read(cls, url: str) -> Self | None:
        """Parse the URL of an ICE server; return None if it is not one of a STUN server over UDP."""
        scheme, _, text = url.partition(":")
        authority = Authority.read(text) if scheme == "stun" else None
        return None if authority is None else cls(url, authority.host.strip("[]"), authority.port or STUN_PORT)


def _own_address(server: _StunServer) -> str:
    """Return the address of this machine that a STUN server sees.

    Raises:
        OSError: no answer arrived (`TimeoutError`), or nothing can be sent to the server.
        ValueError: the server sent something else.
    """
    from aioice import stun  # noqa: PLC0415

    (family, _, _, _, address), *_ = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_DGRAM)
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
