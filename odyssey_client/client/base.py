"""What all calls of a client share: its configuration, its platform, its way to the service."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from odyssey_client.client.in_flight import Call, InFlightCalls
from odyssey_client.config import API_KEY_VARIABLE, AdvancedConfig, ClientConfig
from odyssey_client.platform import Clock, Entropy, Network
from odyssey_client.rest.transport import Transport
from odyssey_client.system import default_platform


class ClientBase:
    """A client without calls: the kinds of calls each add theirs."""

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
        """Make a client; nothing is sent yet.

        Args:
            api_key: The API key; from the environment variable ``ODYSSEY_API_KEY`` if None.
            api_url: Where the service is; from ``ODYSSEY_API_URL``, else ``https://api.odyssey.ml``, if None.
            advanced: Retries and limits.
            clock: The source of time; the machine's if None.
            entropy: The source of chance; the machine's if None.
            network: The way out of the process; the machine's if None.

        Raises:
            OdysseyConfigError: there is no key, or an argument cannot be used.
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
        """Make a client that holds no API key, for `connect_with_credentials` with credentials made elsewhere.

        Arguments and environment are those of `Odyssey`, but for the key. The API itself only hears how connecting
        went (`AdvancedConfig.telemetry`).

        Raises:
            OdysseyConfigError: an argument cannot be used.
        """
        client = cls.__new__(cls)
        env = {name: value for name, value in os.environ.items() if name != API_KEY_VARIABLE}
        config = ClientConfig.resolve(None, api_url, advanced, env=env, api_key_required=False)
        client._set_up(config, clock, entropy, network)  # noqa: SLF001 - its own class
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
        self._calls = InFlightCalls()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.disconnect()

    async def disconnect(self) -> None:
        """Close all that this client has opened, and end its calls; it can be used again afterwards."""
        try:
            await self._calls.end()
        finally:
            await self._transport.aclose()

    def _begin(self, name: str) -> Call:
        """Begin a call that needs the API key and no connection.

        Raises:
            OdysseyConfigError: this client has no key.
        """
        self._config.require_api_key()
        return self._calls.begin(name)


async def in_thread[T](work: Callable[[], T]) -> T:
    """Run ``work`` in a thread that is gone afterwards, unlike those of `asyncio.to_thread`."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="odyssey-client")
    try:
        return await asyncio.get_running_loop().run_in_executor(thread, work)
    finally:
        thread.shutdown(wait=False)
