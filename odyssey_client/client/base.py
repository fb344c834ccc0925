"""Base class of the client: configuration, platform and HTTP transport."""

from __future__ import annotations

import asyncio
import os
from types import TracebackType
from typing import Self

from odyssey_client.client.in_flight import Call, InFlightCalls
from odyssey_client.config import API_KEY_VARIABLE, AdvancedConfig, ClientConfig
from odyssey_client.event_loop import require_loop
from odyssey_client.platform import Clock, Entropy, Network
from odyssey_client.rest.transport import Transport
from odyssey_client.system import default_platform


class ClientBase:
    """Base class of `Odyssey`: configuration, platform and transport. Each subclass adds a group of API calls."""

    def __init__(
        self,
        api_key: str | None = None,
        *,
        api_url: str | None = None,
        advanced: AdvancedConfig | None = None,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        network: Network | None = None,
    ) -> None:
        """Create a client. Nothing is sent before the first call.

        Args:
            api_key: The API key; if None, the environment variable ``ODYSSEY_API_KEY``.
            api_url: The URL of the service; if None, the environment variable ``ODYSSEY_API_URL``, else
                ``https://api.odyssey.ml``.
            advanced: Retries and limits.
            clock: The source of time; if None, the system clock.
            entropy: The source of random ids and numbers; if None, the random numbers of the operating system.
            network: Makes HTTP, WebSocket and WebRTC connections; if None, with the network of the operating system.

        Raises:
            OdysseyConfigError: there is no API key, or an argument is invalid.
        """
        config = ClientConfig.resolve(api_key, api_url, advanced, env=os.environ)
        self._set_up(config, clock, entropy, network)

    @classmethod
    def keyless(
        cls,
        *,
        api_url: str | None = None,
        advanced: AdvancedConfig | None = None,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        network: Network | None = None,
    ) -> Self:
        """Create a client without an API key, for `connect_with_credentials`.

        Another process creates the credentials with `create_client_credentials`. The arguments and environment
        variables are those of `Odyssey`, except the key. Of the REST API, the client calls only ``POST /telemetry``
        (`AdvancedConfig.telemetry`).

        Raises:
            OdysseyConfigError: an argument is invalid.
        """
        client = cls.__new__(cls)
        env = {name: value for name, value in os.environ.items() if name != API_KEY_VARIABLE}
        config = ClientConfig.resolve(None, api_url, advanced, env=env, api_key_required=False)
        client._set_up(config, clock, entropy, network)  # noqa: SLF001 - an instance of this class
        return client

    def _set_up(
        self, config: ClientConfig, clock: Clock | None, entropy: Entropy | None, network: Network | None
    ) -> None:
        self._config = config
        platform = default_platform()
        self._clock = clock or platform.clock
        self._entropy = entropy or platform.entropy
        self._network = network or platform.network
        self._transport = Transport(config, clock=self._clock, entropy=self._entropy, network=self._network)
        self._calls = InFlightCalls(self._connection_loop)

    async def __aenter__(self) -> Self:
        require_loop("async with Odyssey")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.disconnect()

    async def disconnect(self) -> None:
        """End the calls of this client and close its connections; the client can be used again afterward."""
        self._calls.require_only_loop("disconnect")
        try:
            await self._calls.end()
        finally:
            await self._transport.aclose()

    def _connection_loop(self) -> asyncio.AbstractEventLoop | None:
        """Return the event loop of the open connection; None if there is none."""
        return None

    def _begin(self, name: str) -> Call:
        """Return a new call that needs the API key but no live connection.

        Raises:
            OdysseyConfigError: this client has no API key.
        """
        self._config.require_api_key()
        return self._calls.begin(name)
