"""An HTTP transport that uses the proxies of the environment, except for loopback hosts."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from urllib.request import getproxies, proxy_bypass

import httpx

from odyssey_client.loopback import is_loopback


class EnvironmentTransport(httpx.AsyncBaseTransport):
    """Sends each request directly or through the proxy that the environment defines for its URL.

    httpx itself reads ``HTTP_PROXY`` and similar variables only when it creates a transport. httpx also uses the proxy
    for loopback hosts, but a proxy cannot reach a mock on the 127.0.0.1 of this machine.
    """

    def __init__(self, tls: Callable[[], ssl.SSLContext]) -> None:
        """Store ``tls``, which creates a TLS context in 20 ms. To save time, only a request with TLS calls it."""
        self._tls = tls
        self._ways: dict[tuple[str, str | None], httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        proxy = environment_proxy(request.url)
        way = (request.url.scheme, proxy)
        if way not in self._ways:
            needs_tls = request.url.scheme == "https" or (proxy or "").startswith("https:")
            # An empty context, which is fast to create. It trusts no server if TLS is used after all.
            context = self._tls() if needs_tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            try:
                self._ways[way] = httpx.AsyncHTTPTransport(verify=context, proxy=proxy)
            except (ImportError, ValueError) as error:
                # httpx lacks the package for a SOCKS proxy, or does not support the scheme of the proxy.
                raise httpx.UnsupportedProtocol(f"the environment's proxy cannot be used: {error}") from error
        return await self._ways[way].handle_async_request(request)

    async def aclose(self) -> None:
        ways, self._ways = self._ways, {}
        for transport in ways.values():
            await transport.aclose()


def environment_proxy(url: httpx.URL) -> str | None:
    """Return the proxy URL that the environment defines for ``url``; None to connect directly."""
    if is_loopback(url.host) or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    return None if proxy is None else proxy if "://" in proxy else f"http://{proxy}"
