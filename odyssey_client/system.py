"""The operating system's clock, entropy and network, and the default platform of clients.

A platform consists of a clock, a source of randomness and a network. `platform_by_default` changes the default
platform of all clients that are created in a block, `wrap_system_network` the network of all clients of the process.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import random  # noqa: TID251 - this module implements Entropy
import time
import uuid
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from odyssey_client.event_loop import in_thread
from odyssey_client.platform import Platform
from odyssey_client.redaction import watch_library_logs

if TYPE_CHECKING:  # a client that is only constructed needs neither httpx nor websockets, which take 60 ms to import
    import ssl
    from collections.abc import AsyncIterator, Callable, Iterator

    import av
    import httpx
    from websockets.asyncio.client import ClientConnection

    from odyssey_client.errors import PeerError
    from odyssey_client.platform import ClientPeer, Clock, Network, PeerListener, SpectatorPeer

MAX_MESSAGE_BYTES = 2**20
"""Maximum size of a received signaling message. The longest are SDP offers of a few kilobytes."""


class SystemClock:
    """The system clock and the timers of the running event loop."""

    def time(self) -> float:
        return time.time()  # noqa: TID251

    def monotonic(self) -> float:
        return time.monotonic()  # noqa: TID251

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)  # noqa: TID251

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        return asyncio.timeout(seconds)


class SystemEntropy:
    """The system's random numbers."""

    def uuid(self) -> str:
        return str(uuid.uuid4())  # noqa: TID251

    def uniform(self, low: float, high: float) -> float:
        return random.uniform(low, high)  # noqa: S311 - jitter, not a secret


class SystemNetwork:
    """The system's network. Uses the proxies of the environment, except for loopback hosts."""

    def __init__(self, *, ca_file: str | os.PathLike[str] | None = None) -> None:
        """Create a network.

        The first connection with TLS, also to a TURN server, raises `OdysseyConfigError` if a file with root
        certificates cannot be used.

        Args:
            ca_file: PEM file with root certificates to trust in addition to the usual ones; by default, the file that
                the environment variable ``ODYSSEY_CA_FILE`` names, if any.
        """
        self._ca_file = ca_file
        self._context: ssl.SSLContext | None = None

    def http_transport(self) -> httpx.AsyncBaseTransport:
        from odyssey_client.rest.proxies import EnvironmentTransport  # noqa: PLC0415 - see the top of this module

        watch_library_logs()
        return EnvironmentTransport(self._tls, self.proxy)

    def websocket(self, url: str) -> AbstractAsyncContextManager[ClientConnection]:
        from websockets.exceptions import WebSocketException  # noqa: PLC0415 - see the top of this module

        from odyssey_client.rest.proxies import EnvironmentProxyError, missing_package  # noqa: PLC0415

        try:
            proxy = self.proxy(url)
            if (proxy or "").startswith("socks") and importlib.util.find_spec("python_socks") is None:
                raise missing_package("python-socks")
        except EnvironmentProxyError as error:
            raise WebSocketException(str(error)) from error
        return self._connected(url, proxy)

    @asynccontextmanager
    async def _connected(self, url: str, proxy: str | None) -> AsyncIterator[ClientConnection]:
        from odyssey_client.bounded_websocket import BoundedConnection, ConnectWithinOrigin, WebSocketLogger  # noqa: PLC0415

        is_secure, has_tls_proxy = urlsplit(url).scheme == "wss", (proxy or "").startswith("https:")
        context = await self._tls() if is_secure or has_tls_proxy else None
        # With another proxy or none, websockets rejects the argument. Any: as in `connect`.
        proxy_tls: dict[str, Any] = {"proxy_ssl": context} if has_tls_proxy else {}
        async with ConnectWithinOrigin(
            url,
            ssl=context if is_secure else None,
            proxy=proxy,
            **proxy_tls,
            max_size=MAX_MESSAGE_BYTES,
            create_connection=BoundedConnection,
            compression=None,  # base64 and SDP compress badly, and an image would take a second of CPU time
            open_timeout=None,
            close_timeout=1.0,
            logger=WebSocketLogger(),
        ) as connection:
            yield connection

    def proxy(self, url: str) -> str | None:
        """Return the URL of the proxy for connections to an HTTP or WebSocket URL; None to connect directly.

        Raises:
            EnvironmentProxyError: the environment defines something else than the URL of an HTTP or SOCKS5 proxy.
        """
        from odyssey_client.rest.proxies import environment_proxy  # noqa: PLC0415 - see the top of this module

        return environment_proxy(url)

    def ice_addresses(self) -> list[str]:
        """Return this machine's addresses that other machines can reach; its loopback addresses if there are none.

        By default, aioice uses no loopback addresses, so a machine without other addresses would have no candidate.
        """
        from odyssey_client.rtc.host_addresses import host_addresses  # noqa: PLC0415 - it imports ifaddr

        return host_addresses()

    def peer(self, clock: Clock, listener: PeerListener) -> ClientPeer:
        from odyssey_client.rtc.client_peer import AiortcClientPeer  # noqa: PLC0415 - aiortc takes 250 ms to import

        watch_library_logs()
        return AiortcClientPeer(self.ice_addresses(), clock, listener, tls=self._tls)

    def spectator_peer(
        self,
        clock: Clock,
        *,
        connected: Callable[[], None],
        ended: Callable[[], None],
        frame: Callable[[av.VideoFrame], None],
        lost: Callable[[PeerError], None],
    ) -> SpectatorPeer:
        from odyssey_client.rtc.spectator_peer import AiortcSpectatorPeer  # noqa: PLC0415 - as above

        watch_library_logs()
        return AiortcSpectatorPeer(
            self.ice_addresses(), clock, connected=connected, ended=ended, frame=frame, lost=lost, tls=self._tls
        )

    async def _tls(self) -> ssl.SSLContext:
        """Return the TLS context of this network. A thread creates it: parsing all certificates takes 20 to 90 ms."""
        from odyssey_client.trusted_roots import create_tls_context  # noqa: PLC0415 - only TLS needs it

        if self._context is None:
            self._context = await in_thread(lambda: create_tls_context(self._ca_file, os.environ))
        return self._context


_wrap_network: Callable[[Network], Network] | None = None


def _system() -> Platform:
    network, wrap = SystemNetwork(), _wrap_network  # read once: another thread may change it
    return Platform(SystemClock(), SystemEntropy(), network if wrap is None else wrap(network))


def wrap_system_network(wrap: Callable[[Network], Network] | None) -> None:
    """Pass the system's network of each client through ``wrap``; None ends this.

    It applies to clients that are created from now on without a platform of their own, in any thread of this process.
    ``wrap`` is called once for each client, or connection of a spectator, and returns the network to use.
    """
    global _wrap_network  # noqa: PLW0603 - a setting of the process
    _wrap_network = wrap


_default: ContextVar[Callable[[], Platform]] = ContextVar("odyssey_default_platform", default=_system)


def default_platform() -> Platform:
    """Return a platform for a client that was created without one.

    In a block of `platform_by_default`, this is the platform of the block, otherwise that of the operating system.
    """
    return _default.get()()


@contextmanager
def platform_by_default(make: Callable[[], Platform]) -> Iterator[None]:
    """Use the platform that ``make`` returns for clients created in the block, or in tasks started in the block.

    Simulations use this to run unchanged software that creates its own clients.
    """
    token = _default.set(make)
    try:
        yield
    finally:
        _default.reset(token)
