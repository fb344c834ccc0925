"""Fetching the script of a `script_url` when its job begins (`protocol.md` section 8).

The client chooses the URL, so settings limit the hosts, the time and the size. The mock follows no redirects, uses no
proxy of the environment and sends no credentials.

This module uses h11, not httpx: httpx leaves a connection open if its TLS handshake is cancelled.
"""

import asyncio
import contextlib
import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import quote

import h11

from odyssey_mock.core.network import Network, PrivateAddressError
from odyssey_mock.core.strict_json import read_json
from odyssey_mock.settings import Settings
from odyssey_mock.simulations.scripts import Script, ScriptFaultsError, describe, is_utf8, read_script

HEADERS = (
    (b"Accept", b"application/json"),
    # Content coding is neither requested nor accepted: a few bytes of gzip can be gigabytes of script.
    (b"Accept-Encoding", b"identity"),
    (b"Connection", b"close"),
    (b"User-Agent", b"odyssey-mock"),
)
HEAD_LIMIT = 64 << 10
"""Maximum bytes of a response's head."""
CHUNK = 64 << 10
"""Maximum bytes of one read."""
SHOWN = 200
"""Number of characters of a URL or a received value that an error shows."""

URL_LIMIT = 8192
"""Maximum number of characters of a URL. Servers accept few longer ones: nginx 8 KiB, most others less than 64 KiB.

Parsing one of 5 MB takes 0.1 s, during which the event loop does nothing else.
"""

DEFAULT_PORTS = {"http": 80, "https": 443}

_URL = re.compile(
    r"""
    (?P<scheme> https? ) ://
    (?-i: [^/?\#\[\]\x80-\U0010ffff]* @ )?                    # userinfo, which is not sent
    (?: \[ (?P<address> [0-9a-f:.]+ ) \] | (?P<name> [^/?\#@:\[\]\\%\s]+ ) )
    (?: : (?P<port> [0-9]* ) )?
    (?P<path> / [^?#]* )?
    (?: \? (?P<query> [^#]* ) )?
    (?: \# .* )?
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DELIMITERS = frozenset("/?#@:")
"""Delimiters of a URL. Name resolution may turn other characters into them (NFKC), which would change the host."""

_PATH_SAFE = "/%:@!$&'()*+,;="
"""Characters of a path that are not encoded, apart from letters, digits and `-._~` (RFC 3986); `%` begins an escape."""


class ScriptUrlError(ValueError):
    """No valid script could be fetched from a `script_url`. The message is for the client, which chose the URL.

    The message states the URL and what was expected. It does not depend on what the network and the server did, because
    it would otherwise show the client which ports are open, and parts of the responses.

    Attributes:
        cause: what went wrong, for the journal; empty if the message states it.
    """

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause


class _UnusableError(ValueError):
    """The request failed, or the response is not a valid script. The message may quote what was received."""


@dataclass(frozen=True, slots=True)
class ScriptUrl:
    """A parsed URL without userinfo and fragment, which are not sent in a request."""

    scheme: str
    host: str
    """The host to resolve: a name in lower case, or an IP address (IPv6 without brackets)."""
    port: int
    path: str
    query: str | None

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        """Return the URL without its query, which may contain a secret."""
        text = f"{self.scheme}://{self.authority}{self.path}"
        return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def parse_url(text: str) -> ScriptUrl:
    """Parse an http or https URL with a host.

    Raises:
        ScriptUrlError: the URL is invalid; the error does not show it, because it may contain a password.
    """
    if len(text) > URL_LIMIT:
        raise ScriptUrlError(f"expected a URL of at most {URL_LIMIT} characters, got {len(text)}")
    match = _URL.fullmatch(text)
    if match is None or not is_utf8(text) or _CONTROL.search(text) or not _is_host(match["address"], match["name"]):
        raise ScriptUrlError(
            "expected an http or https URL with a host, such as http://localhost/script.json, got another value"
        )
    scheme = match["scheme"].lower()
    port = match["port"]
    if port and not (len(port) <= 5 and 0 < int(port) < 2**16):
        raise ScriptUrlError(f"expected a port from 1 to 65535 in the URL, got {port[:SHOWN]}")
    return ScriptUrl(
        scheme,
        _canonical(match["address"] or match["name"]),
        int(port or DEFAULT_PORTS[scheme]),
        quote(match["path"] or "/", safe=_PATH_SAFE),
        None if match["query"] is None else quote(match["query"], safe=f"{_PATH_SAFE}?"),
    )


async def fetch_script(url: str, settings: Settings, network: Network, *, from_page: bool = False) -> Script:
    """Fetch and validate the script at `url`. `from_page`: whether a web page of another origin submitted the URL.

    Such a page could otherwise let the mock read services that the page itself cannot reach.

    Raises:
        ScriptUrlError: the URL or the script is invalid, the request failed, or the settings do not allow it.
    """
    which = "script_url"
    try:
        parsed = parse_url(url)
        which = f"script_url {parsed}"
        body = await _body(parsed, settings, network, from_page=from_page)
        # In a thread: the body may be megabytes, and parsing it would delay the video of other sessions.
        return await asyncio.to_thread(_read, body)
    except _UnusableError as error:
        cause = str(error)
    except ScriptUrlError as error:
        raise ScriptUrlError(f"{which}: {error}") from None
    raise ScriptUrlError(
        f"{which}: the script could not be fetched: expected HTTP status 2xx with a valid script as JSON, of at most "
        f"{settings.script_url_bytes} bytes (setting script_url_bytes) and without content coding, within "
        f"{settings.script_url_timeout:g} s (setting script_url_timeout). The journal of the mock has the cause",
        cause,
    )


async def _body(url: ScriptUrl, settings: Settings, network: Network, *, from_page: bool) -> bytes:
    """Fetch the body at `url`, if the settings allow its host."""
    if url.host not in {_canonical(each) for each in settings.script_url_hosts}:
        hosts = ", ".join(settings.script_url_hosts) or "none"
        raise ScriptUrlError(f"expected a host of the setting script_url_hosts ({hosts}), got {url.host[:SHOWN]!r}")
    limit = asyncio.timeout(settings.script_url_timeout)
    try:
        async with limit:
            public_only = from_page and not settings.private_script_urls_from_pages
            return await _get(url, settings.script_url_bytes, network, public_only=public_only)
    except PrivateAddressError:
        raise ScriptUrlError(
            "expected a host with public addresses only, because a web page of another origin submitted the job, got "
            "one with a loopback, link-local or private address. To allow such hosts to pages, set "
            "private_script_urls_from_pages"
        ) from None
    except (OSError, UnicodeError, h11.RemoteProtocolError) as error:
        if limit.expired():
            raise _UnusableError(
                f"expected a script within {settings.script_url_timeout:g} s (setting script_url_timeout), "
                "timed out before it was complete"
            ) from None
        raise _UnusableError(f"expected an HTTP response, got {type(error).__name__}: {str(error)[:SHOWN]}") from error


async def _get(url: ScriptUrl, limit: int, network: Network, *, public_only: bool) -> bytes:
    reader, writer = await network.dial(url.host, url.port, tls=url.scheme == "https", public_only=public_only)
    try:
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
        target = url.path if url.query is None else f"{url.path}?{url.query}"
        # IDNA cannot encode an IPv6 address, which needs no encoding.
        host = url.authority.encode("ascii" if ":" in url.host else "idna")
        request = h11.Request(method="GET", target=target, headers=[(b"Host", host), *HEADERS])
        writer.write((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
        return await _receive(connection, reader, limit)
    finally:
        # Abort: a server that does not respond would not complete an orderly close either.
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _receive(connection: h11.Connection, reader: asyncio.StreamReader, limit: int) -> bytes:
    """Return the body of the response.

    Raises:
        _UnusableError: the status, the content coding or the size is not allowed.
        h11.RemoteProtocolError: the response is not HTTP, or incomplete.
    """
    body = bytearray()
    while True:
        event = connection.next_event()
        match event:
            case h11.Response():
                _check_head(event, limit)
            case h11.Data():
                body += event.data
                if len(body) > limit:
                    raise _too_big(limit, "more")
            case h11.InformationalResponse():
                pass
            case h11.NEED_DATA:
                connection.receive_data(await reader.read(CHUNK))
            case _:
                return bytes(body)


def _check_head(answer: h11.Response, limit: int) -> None:
    status = answer.status_code
    if not 200 <= status < 300:
        hint = "; redirects are not followed" if 300 <= status < 400 else ""
        reason = bytes(answer.reason).decode("ascii", "replace")
        raise _UnusableError(f"expected status 2xx, got {f'{status} {reason}'.strip()[:SHOWN]}{hint}")
    headers = [(bytes(name), bytes(value).decode("latin-1")) for name, value in answer.headers]
    for coding in (value.strip().lower() for name, value in headers if name == b"content-encoding"):
        if coding != "identity":
            received = repr(coding[:SHOWN])
            raise _UnusableError(f"expected no content coding (Accept-Encoding: identity), got {received}")
    for length in (value for name, value in headers if name == b"content-length"):
        if int(length) > limit:
            raise _too_big(limit, length)


def _too_big(limit: int, size: str) -> _UnusableError:
    return _UnusableError(f"expected at most {limit} bytes (setting script_url_bytes), got {size}")


def _read(body: bytes) -> Script:
    try:
        value = read_json(body)
    except ValueError as error:
        start = describe(body[:SHOWN].decode("utf-8", "replace")) if body else "nothing"
        raise _UnusableError(f"expected a script as JSON, got {start} ({error})") from error
    try:
        return read_script(value, "script")
    except ScriptFaultsError as error:
        raise _UnusableError(f"the script is invalid: {error}") from error


def _is_host(address: str | None, name: str | None) -> bool:
    """Return whether a URL's host is valid: an IPv6 `address` without brackets, or a `name` without `_DELIMITERS`."""
    if address is None:
        return not _DELIMITERS & set(unicodedata.normalize("NFKC", name or ""))
    try:
        return ipaddress.ip_address(address).version == 6
    except ValueError:
        return False


def _canonical(host: str) -> str:
    """Return the canonical form of a host: `::1` for `[0:0:0:0:0:0:0:1]`, and lower case for a host name."""
    name = host.strip("[]").lower()
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name
