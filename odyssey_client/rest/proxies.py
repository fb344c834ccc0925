"""The proxy that the environment defines for a URL, and an HTTP transport that uses it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import MappingProxyType
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from odyssey_client.loopback import is_loopback
from odyssey_client.redaction import library_call, remember

_PORTS: Mapping[str, int] = MappingProxyType({"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080})
"""The default port of each supported scheme of a proxy URL."""

_HTTP_SCHEMES: Mapping[str, str] = MappingProxyType({"ws": "http", "wss": "https"})
"""For the schemes of WebSocket URLs: the scheme of the HTTP URL that has the same proxy."""


class EnvironmentProxyError(ValueError):
    """The environment defines a proxy that cannot be used. The message contains no password."""


def environment_proxy(url: str) -> str | None:
    """Return the URL of the proxy that the environment defines for ``url``, with a port; None to connect directly.

    WebSocket connections use the proxy of HTTP connections: a ``ws`` URL uses the proxy for ``http``, and a ``wss`` URL
    the proxy for ``https``. A loopback host has no proxy, because a proxy cannot reach a mock on 127.0.0.1.

    Raises:
        EnvironmentProxyError: the environment defines something else than the URL of an HTTP or SOCKS5 proxy.
        ValueError: ``url`` has an invalid port.
    """
    parts = urlsplit(url)
    scheme = _HTTP_SCHEMES.get(parts.scheme, parts.scheme)
    host = parts.hostname or ""
    if is_loopback(host) or _is_direct(host, parts.port or _PORTS.get(scheme, 0)):
        return None
    proxies = getproxies()
    proxy = (proxies.get(scheme) or proxies.get("all") or "").strip()
    return _complete(proxy if "://" in proxy else f"http://{proxy}") if proxy else None


def _is_direct(host: str, port: int) -> bool:
    """Return whether ``NO_PROXY`` or the system's settings list the host, with or without the port."""
    if ":" in host:
        return any(proxy_bypass(name) for name in (f"[{host}]:{port}", host))  # IPv6 with or without brackets
    return bool(proxy_bypass(f"{host}:{port}"))


def _complete(proxy: str) -> str:
    """Return the URL of a proxy with its port, and in ASCII.

    Raises:
        EnvironmentProxyError: ``proxy`` is not the URL of an HTTP or SOCKS5 proxy.
    """
    scheme = proxy.partition(":")[0].lower()
    if scheme not in _PORTS:
        raise _unusable(f"expected one of the schemes {', '.join(_PORTS)}, got {scheme!r}")
    try:
        parts = urlsplit(proxy)
        if not parts.hostname or parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise ValueError
        host = parts.hostname.encode("idna").decode()
        authority = f"{_user(parts)}{f'[{host}]' if ':' in host else host}:{parts.port or _PORTS[scheme]}"
    except ValueError:  # also: an invalid port or IPv6 address, a host or user that cannot be encoded
        raise _unusable(
            "expected http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, with the special characters of user and "
            "password percent-encoded, got a URL of another form"
        ) from None
    return f"{scheme}://{authority}"


def _user(parts: SplitResult) -> str:
    """Return ``USER:PASSWORD@`` for the URL of a proxy; empty without a user.

    The colon is present even without a password, because websockets expects it.

    Raises:
        ValueError: the user or the password is not UTF-8.
    """
    if parts.username is None:
        return ""
    for text in (parts.username, parts.password or ""):
        unquote(text, errors="strict").encode()
    remember(parts.password, unquote(parts.password or ""))
    return f"{parts.username}:{parts.password or ''}@"


class EnvironmentTransport(httpx.AsyncBaseTransport):
    """Sends each request directly or through the proxy for its URL.

    httpx itself reads ``HTTP_PROXY`` and similar variables only when it creates a transport.
    """

    def __init__(self, tls: Callable[[], Awaitable[ssl.SSLContext]], proxy: Callable[[str], str | None]) -> None:
        """Store the functions ``tls`` and ``proxy``.

        Args:
            tls: Returns a TLS context. Only a request with TLS calls this function.
            proxy: Returns the proxy for a URL, as `environment_proxy` does.
        """
        self._tls = tls
        self._proxy = proxy
        self._ways: dict[tuple[str, str | None], httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            proxy = self._proxy(str(request.url))
        except EnvironmentProxyError as error:
            raise httpx.UnsupportedProtocol(str(error)) from error
        way = (request.url.scheme, proxy)
        if way not in self._ways:
            context = await self._context(request.url.scheme, proxy)
            if way not in self._ways:  # another request may have added it in the meantime
                self._ways[way] = _opened(context, proxy)
        with library_call():
            response = await self._ways[way].handle_async_request(request)
        response.stream = _Body(response.stream)
        return response

    async def _context(self, scheme: str, proxy: str | None) -> ssl.SSLContext:
        if scheme == "https" or _has_tls(proxy):
            return await self._tls()
        # An empty context, which is fast to create. It trusts no server if TLS is used after all.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    async def aclose(self) -> None:
        ways, self._ways = self._ways, {}
        with library_call():
            for transport in ways.values():
                await transport.aclose()


def _has_tls(proxy: str | None) -> bool:
    return proxy is not None and proxy.startswith("https:")


def _opened(context: ssl.SSLContext, proxy: str | None) -> httpx.AsyncHTTPTransport:
    if proxy is None:
        return httpx.AsyncHTTPTransport(verify=context)
    try:
        return httpx.AsyncHTTPTransport(
            verify=context, proxy=httpx.Proxy(proxy, ssl_context=context if _has_tls(proxy) else None)
        )
    except ImportError as error:
        raise httpx.UnsupportedProtocol(str(missing_package("socksio"))) from error


class _Body(httpx.AsyncByteStream):
    """The body of a response, whose log records are shortened, like those of the request."""

    def __init__(self, stream: httpx.SyncByteStream | httpx.AsyncByteStream) -> None:
        if not isinstance(stream, httpx.AsyncByteStream):
            raise TypeError(f"expected the body of an async transport, got {type(stream).__name__}")
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = aiter(self._stream)
        while True:
            # Not around `yield`: the block would then apply to the code that reads the body.
            with library_call():
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            yield chunk

    async def aclose(self) -> None:
        with library_call():
            await self._stream.aclose()


def _unusable(why: str) -> EnvironmentProxyError:
    return EnvironmentProxyError(
        f"the environment's proxy cannot be used: {why}. "
        "Change HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, or name the host in NO_PROXY"
    )


def missing_package(name: str) -> EnvironmentProxyError:
    """Return the error for a SOCKS proxy that needs the Python package ``name``."""
    return _unusable(f"expected the Python package {name}, which a SOCKS proxy needs, got none (pip install {name})")
