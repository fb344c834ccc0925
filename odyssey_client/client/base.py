"""Base class of the client: configuration, platform and HTTP transport."""

from __future__ import annotations

import asyncio
import os
from types import TracebackType
from typing import TYPE_CHECKING, Self

from odyssey_client.client.in_flight import Call, InFlightCalls
from odyssey_client.config import API_KEY_VARIABLE, AdvancedConfig, ClientConfig
from odyssey_client.event_loop import require_loop
from odyssey_client.platform import Clock, Entropy, Network
from odyssey_client.rest.transport import Transport
from odyssey_client.system import SystemClock, default_platform
from odyssey_client.trace.calls import recorded
from odyssey_client.trace.defaults import default_recorder

if TYPE_CHECKING:  # a client without a trace does not need them
    from odyssey_client.trace.client_trace import ClientTrace
    from odyssey_client.trace.recorder import Recorder


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
        trace: str | os.PathLike[str] | Recorder | None = None,
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
            trace: The file to which everything that the client does is written when it is disconnected, such as
                ``session.odytrace``, or a `trace.Recorder`, which writes no file. If None, nothing is recorded.

        Raises:
            OdysseyConfigError: there is no API key, or an argument is invalid.
        """
        config = ClientConfig.resolve(api_key, api_url, advanced, env=os.environ)
        self._set_up(config, clock, entropy, network, trace)

    @classmethod
    def keyless(
        cls,
        *,
        api_url: str | None = None,
        advanced: AdvancedConfig | None = None,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        network: Network | None = None,
        trace: str | os.PathLike[str] | Recorder | None = None,
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
        client._set_up(config, clock, entropy, network, trace)  # noqa: SLF001 - an instance of this class
        return client

    def _set_up(
        self,
        config: ClientConfig,
        clock: Clock | None,
        entropy: Entropy | None,
        network: Network | None,
        trace: str | os.PathLike[str] | Recorder | None,
    ) -> None:
        self._config = config
        platform = default_platform()
        self._clock = clock or platform.clock
        self._entropy = entropy or platform.entropy
        self._network = network or platform.network
        self._trace: ClientTrace | None = None
        if (target := default_recorder() if trace is None else trace) is not None:
            self._record(target)
        self._transport = Transport(config, clock=self._clock, entropy=self._entropy, network=self._network)
        self._calls = InFlightCalls(self._connection_loop)

    def _record(self, target: str | os.PathLike[str] | Recorder) -> None:
        """Record everything that this client does from now on."""
        from odyssey_client.trace.network import recording  # noqa: PLC0415 - rarely needed

        title, is_virtual = f"Odyssey({self._config.api_url})", type(self._clock) is not SystemClock
        self._trace, self._network = recording(target, self._clock, self._network, title, is_virtual=is_virtual)

    async def __aenter__(self) -> Self:
        require_loop("async with Odyssey")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.disconnect()

    @recorded
    async def disconnect(self) -> None:
        """End the calls of this client and close its connections; the client can be used again afterward."""
        await self._close()

    async def _leave(self) -> None:
        """Do what `disconnect` does, without recording a call; used by the sync client."""
        try:
            await self._close()
        finally:
            if self._trace is not None:
                await self._trace.save_rest()

    async def _close(self) -> None:
        if self._trace is not None:
            self._trace.is_due = True
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
