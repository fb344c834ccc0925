"""The HTTP calls of WHEP: send an offer, receive an answer, check and delete the resource (protocol.md section 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urljoin, urlsplit, urlunsplit

from odyssey_client.errors import OdysseyError, ServiceUnreachableError, UnexpectedResponseError, excerpt
from odyssey_client.models import JSON
from odyssey_client.platform import Network
from odyssey_client.received_json import parse_json
from odyssey_client.redaction import get_logger, remember, remember_url, without_query
from odyssey_client.rest.error_mapping import Failure, detail_of
from odyssey_client.rest.response_body import NO_ENCODING, Answer, read_answer
from odyssey_client.rest.transport import no_answer, unreachable
from odyssey_client.service_errors import Source
from odyssey_client.version import client_version

logger = get_logger("odyssey_client")

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"

MAX_BODY_BYTES = 2**20
"""Maximum size of a response body. An SDP has a few kilobytes; the limit protects the client's memory."""

_GONE = frozenset({404, 410})

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class WhepAnswer:
    """The response to an offer.

    Attributes:
        sdp: The SDP answer.
        resource: The URL to delete when the spectator leaves; None if the service sent no valid URL.
    """

    sdp: str
    resource: str | None


class Whep:
    """HTTP client for one broadcast. Call `aclose` at the end. Its methods have no timeout; the caller must set one."""

    def __init__(self, webrtc_url: str, token: str, network: Network) -> None:
        self._webrtc_url = urlsplit(webrtc_url)
        self._token = token
        remember(token, quote(token, safe=""))
        remember_url(webrtc_url)
        self._wire = network.http_transport()

    @property
    def config_url(self) -> str:
        """The URL that lists the ICE servers: ``/config`` at the origin of the broadcast's URL."""
        return urlunsplit((self._webrtc_url.scheme, self._webrtc_url.netloc, "/config", "", ""))

    async def fetch(self, url: str) -> object:
        """Return the JSON at ``url``.

        Raises:
            ServiceUnreachableError: there was no response.
            ValueError: the status is not 2xx, or the body is not JSON or too large.
        """
        answer = await self._send("GET", url, accept="application/json")
        if not answer.is_success:
            raise ValueError(f"expected a 2xx status, got HTTP {answer.status}")
        if answer.fault is not None:
            raise answer.fault
        return parse_json(answer.body)

    async def offer(self, sdp: str) -> WhepAnswer:
        """Send an SDP offer and return the answer.

        Raises:
            OdysseyAuthError: the service rejects the token.
            BroadcastNotFoundError: the broadcast does not exist or has ended.
            UnexpectedResponseError: a success status without an SDP answer.
            OdysseyApiError: any other error status.
            ServiceUnreachableError: there was no response.
        """
        where = self._webrtc_url
        query = "&".join(part for part in (where.query, f"token={quote(self._token, safe='')}") if part)
        url = urlunsplit((where.scheme, where.netloc, f"{where.path.rstrip('/')}/whep", query, ""))
        answer = await self._send("POST", url, accept=SDP, content=sdp.encode(), content_type=SDP)
        if not answer.is_success:
            raise self._refusal(f"POST {without_query(url)}", answer)
        resource = _resource(url, answer.headers.get("Location", ""))
        # The last segment is a secret: a request to this URL can end the session.
        remember(urlsplit(resource or "").path.rpartition("/")[2])
        text = answer.body.decode(errors="replace")
        if not text.startswith("v="):
            if resource is not None:
                await self.delete(resource)
            got = excerpt(answer.headers.get("Content-Type", "") or "a body without a content type", 100)
            if answer.fault is not None:
                got = str(answer.fault)
            raise UnexpectedResponseError(
                f"POST {without_query(url)}: HTTP {answer.status} without an SDP answer ({got}). "
                "Check that the URL is the webrtc_url of a broadcast.",
                expected="an SDP answer",
                got=got,
                status=answer.status,
            )
        return WhepAnswer(text, resource)

    async def exists(self, resource: str, fragment: str) -> bool | None:
        """Send an SDP fragment for a WHEP resource; return whether the resource exists, or None if that is unknown."""
        try:
            answer = await self._send("PATCH", resource, accept="*/*", content=fragment.encode(), content_type=FRAGMENT)
        except ServiceUnreachableError as error:
            logger.debug("it is unknown whether the WHEP resource exists: %s", error)
            return None
        logger.debug("response to the end of candidates: HTTP %d", answer.status)
        if answer.status in _GONE:
            return False
        return True if answer.is_success else None

    async def delete(self, resource: str) -> None:
        """Delete the WHEP resource of this spectator; failures are only logged."""
        try:
            answer = await self._send("DELETE", resource, accept="*/*")
        except ServiceUnreachableError as error:
            logger.debug("the WHEP resource could not be deleted: %s", error)
        else:
            logger.debug("response to deleting the WHEP resource: HTTP %d", answer.status)

    async def aclose(self) -> None:
        """Close all HTTP connections."""
        await self._wire.aclose()

    async def _send(
        self, method: str, url: str, *, accept: str, content: bytes | None = None, content_type: str | None = None
    ) -> Answer:
        """Send a request; return the response."""
        import httpx  # noqa: PLC0415 - slow to import

        headers = {"User-Agent": f"odyssey-testkit/{client_version()}", "Accept": accept, **NO_ENCODING}
        if content_type is not None:
            headers["Content-Type"] = content_type
        try:
            # Use the transport, not a client of httpx (redaction.py).
            request = httpx.Request(method, url, headers=headers, content=content)
            response = await self._wire.handle_async_request(request)
            try:
                return await read_answer(response, MAX_BODY_BYTES)
            finally:
                await response.aclose()
        except no_answer() as error:
            failure = unreachable(method, url, error)
        raise failure  # outside of `except`: the exception of httpx must not become the context

    def _refusal(self, call: str, answer: Answer) -> OdysseyError:
        detail = _said(answer.body)
        error = Failure(call=call, status=answer.status, detail=detail, request_id="", source=Source.WHEP).error()
        if answer.fault is not None:
            error.add_note(f"The body of the response was not read: {answer.fault}.")
        return error


def end_of_candidates(offer: str) -> str | None:
    """Return the SDP fragment for the end of the candidates of ``offer``; None if the offer has no ICE credentials.

    The fragment contains the ICE credentials and one media section (RFC 8840 section 9).
    """
    lines = offer.splitlines()
    found = [
        next((line for line in lines if line.startswith(start)), "")
        for start in ("a=ice-ufrag:", "a=ice-pwd:", "m=", "a=mid:")
    ]
    return "".join(f"{line}\r\n" for line in (*found, "a=end-of-candidates")) if all(found) else None


def _said(content: bytes) -> JSON:
    """Return the reason from an error body.

    The body is ``{"status": "error", "error": why}``, or has the form of a REST error.
    """
    try:
        body = parse_json(content)
    except ValueError:
        body = content.decode(errors="replace").strip() or None
    why = body.get("error") if isinstance(body, Mapping) else None
    return why if isinstance(why, str) else detail_of(body)


def _resource(url: str, location: str) -> str | None:
    """Resolve ``location`` against ``url``; return None if it is missing, invalid or of another origin."""
    try:
        resource = urljoin(url, location)
        is_there = _origin(urlsplit(resource)) == _origin(urlsplit(url))
    except ValueError:  # not a URL
        return None
    return resource if location and is_there else None


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    """Return the origin of a URL (RFC 6454 section 4)."""
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
