"""The HTTP transport of the real network: the environment's proxies, but never between this machine and itself."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from urllib.request import getproxies, proxy_bypass

import httpx

from odyssey_client.loopback import is_loopback


class EnvironmentTransport(httpx.AsyncBaseTransport):
    """Sends each request directly or through the proxy that the environment names for it, each way with its own pool.

    httpx itself looks at ``HTTP_PROXY`` and its like only when it makes the transport, and then for loopback hosts too:
    a mock on 127.0.0.1 would be asked for at a proxy that cannot see it.
    """

    def __init__(self, tls: Callable[[], ssl.SSLContext]) -> None:
        """``tls`` gives the context for HTTPS, and is called only when there is HTTPS to do: it takes 20 ms to load."""
        self._tls = tls
        self._ways: dict[tuple[str, str | None], httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        proxy = environment_proxy(request.url)
        way = (request.url.scheme, proxy)
        if way not in self._ways:
            needs_tls = request.url.scheme == "https" or (proxy or "").startswith("https:")
            # A context without certificates trusts nobody, should TLS come up after all.
            context = self._tls() if needs_tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            try:
                self._ways[way] = httpx.AsyncHTTPTransport(verify=context, proxy=proxy)
            except (ImportError, ValueError) as error:
                # SOCKS without the package for it, or a scheme that httpx does not know.
                raise httpx.UnsupportedProtocol(f"the environment's proxy cannot be used: {error}") from error
        return await self._ways[way].handle_async_request(request)

    async def aclose(self) -> None:
        ways, self._ways = self._ways, {}
        for transport in ways.values():
            await transport.aclose()


def environment_proxy(url: httpx.URL) -> str | None:
    """Return the URL of the proxy that the environment names for ``url``; None to go directly."""
    if is_loopback(url.host) or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    return None if proxy is None else proxy if "://" in proxy else f"http://{proxy}"
