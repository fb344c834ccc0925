"""The HTTP of WHEP: an offer goes out, an answer comes back, a resource is to be deleted (protocol.md section 5)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, urljoin, urlsplit, urlunsplit

from odyssey_client.errors import OdysseyError, ServiceUnreachableError, UnexpectedResponseError, excerpt
from odyssey_client.models import JSON
from odyssey_client.platform import Network
from odyssey_client.rest.error_mapping import Failure, detail_of
from odyssey_client.rest.transport import no_answer, parse_json, unreachable, without_query
from odyssey_client.service_errors import Source
from odyssey_client.version import client_version

if TYPE_CHECKING:  # httpx takes 100 ms to import: not before the first call
    import httpx

logger = logging.getLogger("odyssey_client")

SDP = "application/sdp"

MAX_BODY_BYTES = 2**20
"""What an answer may bring. An SDP has some kilobytes; a service may not fill the memory of who asks it."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class WhepAnswer:
    """What came back.

    Attributes:
        sdp: The SDP answer.
        resource: What is to be deleted in the end; None where the service did not say.
    """

    sdp: str
    resource: str | None


class Whep:
    """The way to one broadcast. Close it in the end. None of its calls has a time limit: the caller has one."""

    def __init__(self, webrtc_url: str, token: str, network: Network) -> None:
        self._webrtc_url = urlsplit(webrtc_url)
        self._token = token
        self._wire = network.http_transport()

    @property
    def config_url(self) -> str:
        """Where the ICE servers are told: at the origin."""
        return urlunsplit((self._webrtc_url.scheme, self._webrtc_url.netloc, "/config", "", ""))

    async def fetch(self, url: str) -> object:
        """Get the JSON at ``url``.

        Raises:
            ServiceUnreachableError: there was no answer.
            ValueError: another status than 2xx, or no JSON.
        """
        response, body = await self._send("GET", url, accept="application/json")
        if not response.is_success:
            raise ValueError(f"HTTP {response.status_code}")
        return parse_json(body)

    async def offer(self, sdp: str) -> WhepAnswer:
        """Send an SDP offer; return the answer.

        Raises:
            OdysseyAuthError: the token is not that of the broadcast.
            BroadcastNotFoundError: there is no such broadcast, or it has ended.
            UnexpectedResponseError: a success without an SDP answer.
            OdysseyApiError: another refusal.
            ServiceUnreachableError: there was no answer.
        """
        where = self._webrtc_url
        query = "&".join(part for part in (where.query, f"token={quote(self._token, safe='')}") if part)
        url = urlunsplit((where.scheme, where.netloc, f"{where.path.rstrip('/')}/whep", query, ""))
        response, body = await self._send("POST", url, accept=SDP, content=sdp.encode(), content_type=SDP)
        if not response.is_success:
            raise self._refusal(f"POST {without_query(url)}", response.status_code, body)
        resource = _resource(url, response.headers.get("Location", ""))
        text = body.decode(errors="replace")
        if not text.startswith("v=") or len(body) > MAX_BODY_BYTES:
            if resource is not None:
                await self.delete(resource)
            got = excerpt(response.headers.get("Content-Type", "") or "a body without a content type", 100)
            if len(body) > MAX_BODY_BYTES:
                got = f"more than {MAX_BODY_BYTES} bytes"
            raise UnexpectedResponseError(
                f"POST {without_query(url)}: HTTP {response.status_code} without an SDP answer ({got}). "
                "Check that the URL is the webrtc_url of a broadcast.",
                expected="an SDP answer",
                got=got,
                status=response.status_code,
            )
        return WhepAnswer(text, resource)

    async def delete(self, resource: str) -> None:
        """Say that nobody watches any longer; whether the service hears it makes no difference to the caller."""
        try:
            response, _ = await self._send("DELETE", resource, accept="*/*")
        except ServiceUnreachableError as error:
            logger.debug("leaving a broadcast: %s", error)
        else:
            logger.debug("left a broadcast: HTTP %d", response.status_code)

    async def aclose(self) -> None:
        """Close all HTTP connections."""
        await self._wire.aclose()

    async def _send(
        self, method: str, url: str, *, accept: str, content: bytes | None = None, content_type: str | None = None
    ) -> tuple[httpx.Response, bytes]:
        """Return what came, and its body: what is above `MAX_BODY_BYTES` is cut off, but for a byte that tells so."""
        import httpx  # noqa: PLC0415 - see above

        headers = {"User-Agent": f"odyssey-testkit/{client_version()}", "Accept": accept}
        if content_type is not None:
            headers["Content-Type"] = content_type
        try:
            # Not by a client of httpx, which logs URLs whole: there is a token in one.
            request = httpx.Request(method, url, headers=headers, content=content)
            response = await self._wire.handle_async_request(request)
            try:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk[: MAX_BODY_BYTES + 1 - len(body)]
                    if len(body) > MAX_BODY_BYTES:
                        break
            finally:
                await response.aclose()
        except no_answer() as error:
            raise unreachable(method, without_query(url), error) from error
        return response, bytes(body)

    def _refusal(self, call: str, status: int, body: bytes) -> OdysseyError:
        detail = _said(body, self._token)
        return Failure(call=call, status=status, detail=detail, request_id="", source=Source.WHEP).error()


def _said(content: bytes, token: str) -> JSON:
    """Return what the body of an error says (``{"status": "error", "error": why}``, or as elsewhere), blanked."""
    try:
        body = parse_json(content)
    except ValueError:
        body = content.decode(errors="replace").strip() or None
    why = body.get("error") if isinstance(body, Mapping) else None
    return detail_of(why if isinstance(why, str) else body, {token})


def _resource(url: str, location: str) -> str | None:
    """Resolve ``location`` against ``url``; None where there is none, or it leads away from the service."""
    try:
        resource = urljoin(url, location)
        is_there = _origin(urlsplit(resource)) == _origin(urlsplit(url))
    except ValueError:  # no URL
        return None
    return resource if location and is_there else None


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    """The origin (RFC 6454 section 4)."""
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
