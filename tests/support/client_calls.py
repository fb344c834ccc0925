"""Calls of the client, each of which opens another kind of connection to a server on 127.0.0.1."""

from collections.abc import Awaitable
from typing import Protocol, override

import httpx

from odyssey_client import AdvancedConfig, ClientCredentials, Odyssey, SystemNetwork, connect_to_stream

SECRET = "s3cret"
"""The token of `signaling` and `whep`."""


class Call(Protocol):
    """A call of the client to the server at `port`, with these settings, over TLS or without it."""

    @property
    def __name__(self) -> str: ...

    def __call__(self, port: int, advanced: AdvancedConfig, *, tls: bool = True) -> Awaitable[None]: ...


class OnlySockets(SystemNetwork):
    """A network that answers all HTTP requests with 404, without a server. So connections have no ICE servers."""

    @override
    def http_transport(self) -> httpx.AsyncBaseTransport:
        return httpx.MockTransport(lambda _: httpx.Response(404))


async def rest(port: int, advanced: AdvancedConfig, *, tls: bool = True) -> None:
    async with Odyssey(
        "ody_test", api_url=f"{'https' if tls else 'http'}://127.0.0.1:{port}", advanced=advanced
    ) as client:
        await client.list_simulations()


async def connecting(port: int, advanced: AdvancedConfig, *, tls: bool = True) -> None:
    async with Odyssey(
        "ody_test", api_url=f"{'https' if tls else 'http'}://127.0.0.1:{port}", advanced=advanced
    ) as client:
        await client.connect()


async def signaling(port: int, advanced: AdvancedConfig, *, tls: bool = True) -> None:
    credentials = ClientCredentials("session-1", f"{'wss' if tls else 'ws'}://127.0.0.1:{port}", SECRET, 600)
    async with Odyssey.keyless(advanced=advanced, network=OnlySockets()) as client:
        await client.connect_with_credentials(credentials)


async def whep(port: int, advanced: AdvancedConfig, *, tls: bool = True) -> None:
    await connect_to_stream(f"{'https' if tls else 'http'}://127.0.0.1:{port}/stream", SECRET, advanced=advanced)
