"""The public URL: the URL at which a client reaches the mock. It is the base of all URLs in the mock's responses.

The public URL is the setting `public_url`. Without the setting, its scheme, host and path prefix are those that a
trusted proxy states in `X-Forwarded-*` or `Forwarded` (RFC 7239). Values that no proxy states are those of the request
itself.

The middleware `PublicUrls` writes the public URL into the ASGI scope of each request: into `scheme`, the `Host` header
and `root_path`. All URLs that Starlette derives from a request therefore begin with the public URL, also redirects.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from odyssey_mock.core.journal import Journal
from odyssey_mock.core.redaction import get_logger
from odyssey_mock.core.url_parts import (
    Authority,
    BaseUrl,
    Scheme,
    is_ambiguous,
    is_loopback,
    read_ip,
    read_port,
    read_prefix,
)
from odyssey_mock.http.raw_headers import header
from odyssey_mock.settings import IceServer

logger = get_logger("odyssey_mock.http")

type IsTrusted = Callable[[str], bool]
"""A function that returns whether the proxy at an address is trusted."""

_ICE_SERVERS = "odyssey_mock.ice_servers"
"""Key of a function that returns the ICE servers for a client, in the `extensions` of a request's ASGI scope."""

_RECEIVED = "odyssey_mock.received"
"""Key of the `Received` in the `extensions` of a request's ASGI scope."""

_FORWARDING = frozenset(
    {
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-proto",
        b"x-real-ip",
    }
)
"""The headers in which proxies state the public URL or the senders. Most requests have none of them."""

_STATING = tuple(sorted(_FORWARDING - {b"x-forwarded-for", b"x-real-ip"}))
"""The headers in which proxies state the public URL."""

IGNORED_KEPT = 100
"""Maximum number of ignored headers that are reported, each once for each sender. A client can invent any number."""

_SCHEMES: Mapping[str, Scheme] = {"http": "http", "ws": "http", "https": "https", "wss": "https"}

LONGEST_LIST = 8192
"""Maximum length in characters of a header in which proxies state the public URL. Longer headers are ignored."""

_PARAMETER = re.compile(
    r"""[ \t]*+(?:(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]++)=(?:"(?P<quoted>(?:[^"\\]|\\.)*+)"|(?P<value>[^ \t",;]*+)))?+"""
    r"""[ \t]*+(?P<end>[;,]|\Z)"""
)
"""A parameter of `Forwarded` with the delimiter after it. Values need no quotes, because some proxies omit them.

All quantifiers are possessive, so that the time for a malformed text is proportional to its length.
"""


@dataclass(frozen=True, slots=True)
class Received:
    """The addresses that a request stated, before `PublicUrls` wrote the public URL into its scope.

    Attributes:
        host: the header `Host`, unchanged; None if the request has none.
        url: the base URL to which the request was sent; with an invalid `Host`, that of the listening address.
        stated: the base URL that trusted proxies state; `url` if they state none.
        senders: the addresses of all senders that proxies state, trusted or not, as received.
    """

    host: str | None
    url: BaseUrl
    stated: BaseUrl
    senders: Sequence[str]


def received(scope: Scope) -> Received:
    """Return the addresses that a request stated."""
    found: Received = scope["extensions"][_RECEIVED]
    return found


def base_url(connection: HTTPConnection) -> str:
    """Return the http or https URL at which the client reaches the mock, without a trailing slash."""
    url = connection.base_url
    return str(url.replace(scheme=_SCHEMES[url.scheme])).rstrip("/")


def ice_servers(connection: HTTPConnection) -> Sequence[IceServer]:
    """Return the ICE servers for the client of a request: those of the setting, or else the mock's STUN server."""
    servers: Callable[[], Sequence[IceServer]] = connection.scope["extensions"][_ICE_SERVERS]
    return servers()


def service_path(scope: Scope) -> str:
    """Return the path of a request without the path prefix of the public URL."""
    path: str = scope["path"]
    return path.removeprefix(_root(scope))


def raw_service_path(scope: Scope) -> bytes:
    """Return the percent-encoded path of a request as it was sent, without the path prefix of the public URL."""
    path: bytes = scope["raw_path"]
    return path.removeprefix(_root(scope).encode())


def _root(scope: Scope) -> str:
    root: str = scope.get("app_root_path", scope.get("root_path", ""))  # a `Mount` extends `root_path`
    return root


class IgnoredHeaders:
    """Reports the headers of untrusted senders, in the log and as a note in the journal: each header once per sender.

    At most `IGNORED_KEPT` are reported. When the journal is cleared, the count begins again.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._reported: set[tuple[str, str]] = set()
        journal.observe_clear(self._reported.clear)

    def report(self, sender: str, header: str) -> None:
        """Report that a header of `sender` was ignored, unless that was reported before."""
        address = str(read_ip(sender) or sender)  # an IPv4 address as IPv4, also where the mock listens on ::
        key = (address, header)
        if key in self._reported or len(self._reported) >= IGNORED_KEPT:
            return
        self._reported.add(key)
        why = (
            f"{address} is no trusted proxy; if it is a proxy of yours, start the mock with --trusted-proxy {address} "
            "(the setting trusted_proxies)"
        )
        logger.warning("the header %s of %s was ignored: %s", header, address, why)
        self._journal.record("note", "header ignored", header=header, sender=address, why=why)


class PublicUrls:
    """ASGI middleware that writes the public URL of the mock into the scope of each request.

    Requests may arrive with or without the path prefix of the public URL, because most proxies remove the prefix.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        public_url: str | None,
        trusted_proxies: Sequence[str],
        stun_port: int,
        udp_addresses: Sequence[str] = (),
        servers: Sequence[IceServer] = (),
        ignored: Callable[[str, str], None],
    ) -> None:
        """Wrap `app`.

        Args:
            app: the application.
            public_url: the setting of this name.
            trusted_proxies: addresses and networks of trusted proxies. Loopback addresses are always trusted.
            stun_port: the UDP port of the STUN server.
            udp_addresses: the addresses at which clients reach this port, if they are not the address of the request.
            servers: the ICE servers for clients; if empty, the STUN server is the only one.
            ignored: called with an untrusted sender and the name of its header that states another public URL.
        """
        self._app = app
        self._public_url = BaseUrl.read(public_url) if public_url else None
        self._trusted = [ipaddress.ip_network(each, strict=False) for each in trusted_proxies]
        self._stun_port = stun_port
        self._udp_hosts = {Authority.of(address).host: is_loopback(address) for address in udp_addresses}
        """Whether each of these hosts is a loopback address."""
        self._servers = servers
        self._ignored = ignored

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(self._addressed(scope), receive, send)

    def _addressed(self, scope: Scope) -> Scope:
        own = _address_of(scope)
        if not _FORWARDING.isdisjoint(dict(scope["headers"])):
            headers = Headers(scope=scope)
            stated = self._stated(scope, headers, own)
            senders = _stated_senders(headers)
        else:
            stated, senders = own, ()
        url = self._public_url or stated
        prefix, path = url.prefix, scope["path"]
        added = "" if path.startswith(f"{prefix}/") else prefix
        host = url.authority.under(url.scheme)
        is_websocket = scope["type"] == "websocket"
        raw: bytes | None = scope.get("raw_path")
        return {
            **scope,
            "scheme": url.scheme.replace("http", "ws") if is_websocket else url.scheme,
            "headers": [(b"host", host.encode()), *[each for each in scope["headers"] if each[0] != b"host"]],
            "root_path": prefix,
            "path": added + path,
            "raw_path": raw if raw is None else added.encode() + raw,
            "extensions": {
                **scope.get("extensions", {}),
                _ICE_SERVERS: partial(self._ice_servers, scope, own, url),
                _RECEIVED: Received(header(scope["headers"], b"host"), own, stated, senders),
            },
        }

    def _ice_servers(self, scope: Scope, own: BaseUrl, url: BaseUrl) -> Sequence[IceServer]:
        # The STUN server is not added to others: where UDP is blocked, clients would wait for it.
        return self._servers or [{"urls": self._stun_url(scope, own, url)}]

    def _stated(self, scope: Scope, headers: Headers, own: BaseUrl) -> BaseUrl:
        """Return the public URL that a trusted proxy states; `own` if the sender is not trusted."""
        sender = _peer(scope)
        if self._is_trusted(sender):
            return read_forwarded(headers, own, self._is_trusted)
        if self._public_url is None:  # with the setting, the headers of trusted proxies have no effect either
            for name in _STATING:
                if name.decode() in headers:
                    self._ignored(sender, name.decode())
        return own

    def _stun_url(self, scope: Scope, own: BaseUrl, url: BaseUrl) -> str:
        """Return the URL of the STUN server (RFC 7064) for the client of a request.

        If addresses are given at which clients reach UDP ports, its host is one of them: `_udp_host`. Otherwise, it is
        the host of the public URL, with two exceptions, which use the address at which the request arrived:

        - A proxy on another machine sent the request. The client then uses HTTP on that machine, but WebRTC and STUN on
          the machine of the mock.
        - The host is `localhost` or a loopback address. It may resolve to an address at which no STUN server listens.
        """
        host = url.authority.host
        if self._udp_hosts:
            return f"stun:{self._udp_host(url.authority)}:{self._stun_port}"
        is_proxied = url != own and not is_loopback(_peer(scope))
        server = scope.get("server")
        if server is not None and (is_proxied or host.lower() == "localhost" or is_loopback(host)):
            host = Authority.of(str(read_ip(server[0]) or server[0])).host
        return f"stun:{host}:{self._stun_port}"

    def _udp_host(self, used: Authority) -> str:
        """Return the host at which a client reaches UDP ports, if it uses the host `used` for HTTP.

        It is the same host if that is possible. Other clients on this machine get a loopback address, and all others
        get another one, as far as there is one of this kind.
        """
        if used.host in self._udp_hosts:
            return used.host
        fitting = (host for host, is_local in self._udp_hosts.items() if is_local == used.is_local)
        return next(fitting, next(iter(self._udp_hosts)))

    def _is_trusted(self, sender: str) -> bool:
        address = read_ip(sender)
        return address is not None and (address.is_loopback or any(address in network for network in self._trusted))


def _address_of(scope: Scope) -> BaseUrl:
    """Return the base URL to which a request was sent; without a valid `Host`, that of the listening address."""
    scheme = _SCHEMES[scope.get("scheme", "http")]
    url = BaseUrl.at(scheme, header(scope["headers"], b"host") or "")
    if url is None:
        host, port = scope.get("server") or ("localhost", None)
        url = BaseUrl(scheme, Authority.of(str(read_ip(host) or host), port))
    return url


@dataclass(frozen=True, slots=True)
class _Stated:
    """The scheme and authority of the public URL that trusted proxies state; None if missing or invalid."""

    scheme: Scheme | None
    authority: Authority | None


def read_forwarded(headers: Headers, own: BaseUrl, is_trusted: IsTrusted) -> BaseUrl:
    """Return the public URL that trusted proxies state in the headers of a request from a trusted proxy.

    Each of these headers contains a list, and each proxy appends its value. Values before those of the outermost
    trusted proxy are ignored, because they may come from the client. Invalid values are ignored too.

    If a request has `X-Forwarded-*` headers for scheme, host or port, `Forwarded` is ignored. Most proxies write only
    `X-Forwarded-*`, so that `Forwarded` may come from the client. The path prefix always comes from
    `X-Forwarded-Prefix`, because `Forwarded` has no parameter for it.

    Args:
        headers: the headers of the request.
        own: the base URL to which the request was sent. It supplies the parts that the proxies do not state.
        is_trusted: returns whether the proxy at an address is trusted.
    """
    senders = _values(headers, "x-forwarded-for")
    hops = _hops(senders, is_trusted)

    def near(name: str) -> Sequence[str]:
        """Return the values of the trusted proxies in the header `X-Forwarded-{name}`, the outermost proxy first.

        If `X-Forwarded-For` has another number of values, not every proxy appends to both headers. Only the last value
        is then certainly from a trusted proxy.
        """
        values = _values(headers, f"x-forwarded-{name}")
        return values[-hops:] if len(values) == len(senders) else values[-1:]

    schemes, hosts, ports = near("proto"), near("host"), near("port")
    is_common = bool(schemes or hosts or ports)
    stated = _common(schemes, hosts, ports, own) if is_common else _standard(headers, is_trusted)
    # Each proxy removes its own prefix, so the path that the client sent begins with that of the outermost proxy.
    prefix = "".join(each for value in near("prefix") if (each := read_prefix(value)) is not None)
    return BaseUrl(
        stated.scheme or own.scheme, stated.authority or own.authority, "" if is_ambiguous(prefix) else prefix
    )


def _common(schemes: Sequence[str], hosts: Sequence[str], ports: Sequence[str], own: BaseUrl) -> _Stated:
    """Return the scheme and authority that `X-Forwarded-Proto`, `-Host` and `-Port` state.

    The port is added to a host without a port. If no host is stated, the port replaces the port of `own`.
    """
    authority = _authority(hosts)
    port = next((port for value in ports if (port := read_port(value)) is not None), None)
    if port is not None and (authority is None or authority.port is None):
        authority = replace(authority or own.authority, port=port)
    return _Stated(_scheme(schemes), authority)


def _standard(headers: Headers, is_trusted: IsTrusted) -> _Stated:
    elements = parse_forwarded(_joined(headers, "forwarded"))
    near = elements[-_hops([each.get("for", "") for each in elements], is_trusted) :]
    return _Stated(
        _scheme([each["proto"] for each in near if "proto" in each]),
        _authority([each["host"] for each in near if "host" in each]),
    )


def parse_forwarded(text: str) -> Sequence[Mapping[str, str]]:
    """Return the parameters of each element of `Forwarded`, by lowercase name; none if the header is malformed."""
    elements: list[dict[str, str]] = [{}]
    position = 0
    while True:
        match = _PARAMETER.match(text, position)
        if match is None:
            return ()
        if (name := match["name"]) is not None:
            if name.lower() in elements[-1]:
                return ()  # RFC 7239 section 4: a parameter occurs once per element
            quoted = match["quoted"]
            elements[-1][name.lower()] = match["value"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        position = match.end()
        if match["end"] == ",":
            elements.append({})
        elif not match["end"]:
            return [each for each in elements if each]


def _hops(senders: Sequence[str], is_trusted: IsTrusted) -> int:
    """Return the number of consecutive trusted proxies, counted from the mock outwards.

    `senders` are the addresses from which the proxies got the request, the outermost proxy first. The proxy nearest to
    the mock is trusted. Each proxy further out is trusted if its address in `senders` is trusted.
    """
    return 1 + sum(1 for _ in takewhile(is_trusted, reversed(senders)))


def _stated_senders(headers: Headers) -> Sequence[str]:
    """Return the addresses in `X-Forwarded-For`, `X-Real-IP` and the parameter `for` of `Forwarded`.

    Those of an unreadable header are `unknown`. Some proxies write only `X-Real-IP`, such as nginx with one line.
    """
    senders: list[str] = []
    for name in ("x-forwarded-for", "x-real-ip"):
        if name in headers:
            senders += _values(headers, name) or ["unknown"]
    if "forwarded" in headers:
        elements = parse_forwarded(_joined(headers, "forwarded"))
        senders += [each.get("for", "unknown") for each in elements] or ["unknown"]
    return senders


def _values(headers: Headers, name: str) -> Sequence[str]:
    return [value for part in _joined(headers, name).split(",") if (value := part.strip())]


def _joined(headers: Headers, name: str) -> str:
    """Return the values of all headers with this name, joined with commas; empty if longer than `LONGEST_LIST`."""
    text = ",".join(headers.getlist(name))
    return text if len(text) <= LONGEST_LIST else ""


def _scheme(values: Sequence[str]) -> Scheme | None:
    return next((_SCHEMES[value.lower()] for value in values if value.lower() in _SCHEMES), None)


def _authority(values: Sequence[str]) -> Authority | None:
    return next((authority for value in values if (authority := Authority.read(value)) is not None), None)


def _peer(scope: Scope) -> str:
    """Return the address from which the connection of a request comes."""
    client = scope.get("client")
    return "" if client is None else str(client[0])
