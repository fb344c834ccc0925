"""Base class of the sync client, which runs the calls of an async client on the background loop."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Self, override

from odyssey_client.client.odyssey import Odyssey as AsyncOdyssey
from odyssey_client.config import API_KEY_VARIABLE, AdvancedConfig, ClientConfig
from odyssey_client.models import ConnectionStatus
from odyssey_client.platform import Clock, Entropy, Network
from odyssey_client.sync.background import background, check_caller, is_exiting, keep_inherited
from odyssey_client.sync.media import VideoOwner
from odyssey_client.trace.calls import called_here

if TYPE_CHECKING:
    from odyssey_client.trace.recorder import Recorder


class ClientBase(VideoOwner):
    """Base class of the sync `Odyssey`; it owns an async `Odyssey`. Each subclass adds a group of API calls."""

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
        def create() -> AsyncOdyssey:
            if config.api_key is None:
                return AsyncOdyssey.keyless(
                    api_url=config.api_url,
                    advanced=config.advanced,
                    clock=clock,
                    entropy=entropy,
                    network=network,
                    trace=trace,
                )
            return AsyncOdyssey(
                config.api_key,
                api_url=config.api_url,
                advanced=config.advanced,
                clock=clock,
                entropy=entropy,
                network=network,
                trace=trace,
            )

        self._create = create
        self._client = create()
        self._register()

    def __enter__(self) -> Self:
        check_caller("with Odyssey")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.disconnect()

    def disconnect(self) -> None:
        """End the connection and all calls of this client.

        May be called at any time, from any thread, and more than once.
        """
        if is_exiting():
            return  # all clients were disconnected
        self._run("disconnect", lambda client: client.disconnect())

    @override
    def _closer(self) -> Callable[[], Awaitable[None]]:
        return self._client._leave  # noqa: SLF001 - as in `_run`

    @override
    def _is_open(self) -> bool:
        return self._client.current_status not in {ConnectionStatus.DISCONNECTED, ConnectionStatus.FAILED}

    @override
    def _after_fork(self) -> None:
        keep_inherited(self._client)
        self._client = self._create()
        self._register()

    def _run[T](self, call: str, work: Callable[[AsyncOdyssey], Awaitable[T]]) -> T:
        """Await ``work(client)`` on the background loop, where ``client`` is the async client; return the result."""
        client = self._client
        with called_here(is_recorded=client._trace is not None):  # noqa: SLF001 - one client in two parts
            return background(call).run(call, lambda: work(client))

    def _iterate[T](self, call: str, items: AsyncGenerator[T, None]) -> Generator[T, None, None]:
        """Yield the items of an async generator; wait for each on the background loop."""
        loop = background(call)

        async def receive() -> T | None:
            return await anext(items, None)

        try:
            while (item := loop.run(call, receive)) is not None:
                yield item
        finally:
            loop.start(items.aclose)
