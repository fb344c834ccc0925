"""Parsers for base URLs of the service, and for the parts of a base URL: authority, host, port and path prefix."""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Self

type Scheme = Literal["http", "https"]
type IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]{1,253})(?::(?P<port>[0-9]{0,5}))?")
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*")
_BASE_URL = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/]*)(?P<path>.*)", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LONGEST_AUTHORITY = 300
"""Number of characters that a valid authority does not reach, and an IP address with a port and a zone neither."""
_REMEMBERED = 256
"""Number of parsed hosts and addresses that are kept, because the requests of a client state the same ones."""

SERVICE_SEGMENTS = frozenset(
    {
        "_mock",
        "artifacts",
        "auth",
        "broadcast",
        "config",
        "openapi.json",
        "ping",
        "recordings",
        "regions",
        "sessions",
        "signaling",
        "simulation-jobs",
        "stream-recordings",
        "telemetry",
    }
)
"""The first segments of the paths of the service and the control API."""


@dataclass(frozen=True, slots=True)
class Authority:
    """Host and port of a URL, without user information (RFC 3986 section 3.2).

    Attributes:
        host: a name or an IP address; IPv6 addresses are in brackets.
        port: the port; None if the URL has the default port of its scheme.
    """

    host: str
    port: int | None = None

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Parse `text`, such as a `Host` header; return None if it is not a valid authority."""
        parts = _read_authority(text) if len(text) < _LONGEST_AUTHORITY else None
        return None if parts is None else cls(*parts)

    @classmethod
    def of(cls, host: str, port: int | None = None) -> Self:
        """Return the authority for a host name or IP address without brackets."""
        return cls(f"[{host}]" if ":" in host else host, port)

    def under(self, scheme: Scheme) -> str:
        """Return the authority as text for a URL with this scheme; the default port of the scheme is left out."""
        return self.host if self.port in (None, _DEFAULT_PORTS[scheme]) else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether the host is a loopback address, or a name that always resolves to one (RFC 6761 section 6.3)."""
        name = canonical_host(self.host)
        return name == "localhost" or name.endswith(".localhost") or is_loopback(name)


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """The URL at which the service is reached; the paths of the service are appended to it.

    Attributes:
        scheme: `http` or `https`.
        authority: host and port.
        prefix: a path that ends without a slash, such as `/mock`; empty if the service is at the root. Its first
            segment is not in `SERVICE_SEGMENTS`.
    """

    scheme: Scheme
    authority: Authority
    prefix: str = ""

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Parse an http or https URL; return None if it is invalid, or has a query, fragment or ambiguous prefix."""
        match = _BASE_URL.fullmatch(text)
        authority = Authority.read(match["authority"]) if match else None
        prefix = read_prefix(match["path"]) if match else None
        if match is None or authority is None or prefix is None or is_ambiguous(prefix):
            return None
        return cls("https" if match["scheme"].lower() == "https" else "http", authority, prefix)

    @classmethod
    def at(cls, scheme: Scheme, authority: str) -> "BaseUrl | None":
        """Return the URL without a path for a text such as a `Host` header; None if it is not a valid authority."""
        return _url_at(scheme, authority) if len(authority) < _LONGEST_AUTHORITY else None

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority.under(self.scheme)}{self.prefix}"


def read_prefix(text: str) -> str | None:
    """Return a path without slashes at its end; None if it is not a valid prefix.

    The segments of a valid prefix consist of characters that need no encoding in a URL (RFC 3986 section 2.3), and are
    not `.` or `..`.
    """
    prefix = text.rstrip("/")
    return prefix if _PREFIX.fullmatch(prefix) else None


def is_ambiguous(prefix: str) -> bool:
    """Return whether a path of the service can begin with `prefix`.

    Such a prefix is ambiguous, because proxies may remove the prefix from a path or keep it. With the prefix `/auth`,
    the path `/auth/token` could be the token route without the prefix, or the path `/token` with the prefix.
    """
    return prefix.removeprefix("/").partition("/")[0] in SERVICE_SEGMENTS


def read_port(text: str) -> int | None:
    """Return the port in `text`; None if it is not a number from 1 to 65535."""
    is_number = text.isascii() and text.isdigit() and len(text) <= 5
    port = int(text) if is_number else 0
    return port if 1 <= port <= 65535 else None


def is_loopback(text: str) -> bool:
    """Return whether `text` is a loopback address, with or without a port."""
    address = read_ip(text)
    return address is not None and address.is_loopback


def read_ip(text: str) -> IPAddress | None:
    """Return the IP address in `text`, which may also have a port; None if `text` has no IP address."""
    return _read_ip(text) if len(text) < _LONGEST_AUTHORITY else None


@lru_cache(maxsize=_REMEMBERED)
def _read_ip(text: str) -> IPAddress | None:
    bare = text.partition("]")[0].removeprefix("[") if text.startswith("[") else text
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def canonical_host(host: str) -> str:
    """Return a host in lower case and without the dot at the end of an absolute name; an IP address in one spelling."""
    name = host.lower().removesuffix(".")
    address = read_ip(name)
    return name if address is None else str(address)


@lru_cache(maxsize=_REMEMBERED)
def _read_authority(text: str) -> tuple[str, int | None] | None:
    match = _AUTHORITY.fullmatch(text)
    if match is None or (match["host"].startswith("[") and not _is_ipv6(match["host"][1:-1])):
        return None
    port = read_port(match["port"]) if match["port"] else None
    return None if match["port"] and port is None else (match["host"], port)


@lru_cache(maxsize=_REMEMBERED)
def _url_at(scheme: Scheme, text: str) -> BaseUrl | None:
    authority = Authority.read(text)
    return None if authority is None else BaseUrl(scheme, authority)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
