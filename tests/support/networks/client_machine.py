"""Clients on another machine than the mock, which measure how long it takes until their first frame.

mock_machine.py calls `visits` in the network namespace of the other machine.
"""

import asyncio
import io
import os
import time
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import aiortc  # noqa: F401 - otherwise the first connection includes its import
import av
import httpx

from odyssey_client import BroadcastInfo, Odyssey
from tests.contract.browser import chromium, firefox
from tests.contract.browser.official_client import OfficialClient
from tests.support.broadcasting import host_broadcast
from tests.support.certificate_files import ServerFiles
from tests.support.networks.table import Connections

LIMIT = 50.0
"""Timeout in seconds for all connections of one client, including the start of a browser."""


@dataclass(frozen=True)
class Visits:
    """Where and how often to connect.

    Attributes:
        key: the API key.
        url: the URL at which the clients reach the mock.
        files: the root that they trust. The page of the browsers has the certificate.
        clients: keys of `table.CLIENTS`.
        rounds: how often each client connects.
    """

    key: str
    url: str
    files: ServerFiles
    clients: Sequence[str]
    rounds: int


async def visits(plan: Visits) -> dict[str, Connections]:
    """Connect with each client, one after the other."""
    os.environ["SSL_CERT_FILE"] = str(plan.files.root)
    return {client: await _connections(plan, _CLIENTS[client]) for client in plan.clients}


async def _connections(plan: Visits, connect: Callable[[Visits], AsyncGenerator[float]]) -> Connections:
    ms: list[float] = []
    try:
        async with asyncio.timeout(LIMIT), aclosing(connect(plan)) as connections:
            ms.extend([took async for took in connections])
    except Exception:
        return {"ms": ms, "error": traceback.format_exc()}
    return {"ms": ms, "error": None}


async def _client(plan: Visits) -> AsyncGenerator[float]:
    for _ in range(plan.rounds):
        began = time.perf_counter()
        async with Odyssey(plan.key, api_url=plan.url) as client:
            stream = await client.connect()
            await anext(stream.frames())
            yield _ms_since(began)


async def _spectator(plan: Visits) -> AsyncGenerator[float]:
    async with _broadcast(plan) as info:
        for _ in range(plan.rounds):
            began = time.perf_counter()
            async with await Odyssey.connect_to_stream(info.webrtc_url, info.spectator_token) as spectator:
                await anext(spectator.frames())
                yield _ms_since(began)


async def _hls(plan: Visits) -> AsyncGenerator[float]:
    async with _broadcast(plan) as info:
        assert info.hls_url is not None
        for _ in range(plan.rounds):
            began = time.perf_counter()
            await asyncio.to_thread(_first_frame_of, info.hls_url)
            yield _ms_since(began)


def _first_frame_of(playlist: str) -> None:
    """Play HLS with ffmpeg until the first frame. httpx fetches the files, because it trusts the tests' authority."""
    with httpx.Client() as http:

        def fetch(url: str, *_: object) -> io.BytesIO:
            return io.BytesIO(http.get(url).raise_for_status().content)

        with av.open(playlist, "r", io_open=fetch) as container:
            next(container.decode(video=0))


async def _chromium(plan: Visits) -> AsyncGenerator[float]:
    async with chromium.launched(plan.files.root) as browser:
        async for took in _in_pages(plan, chromium.Pages(browser)):
            yield took


async def _firefox(plan: Visits) -> AsyncGenerator[float]:
    async with firefox.launched(plan.files.root) as browser:
        async for took in _in_pages(plan, browser):
            yield took


async def _in_pages(plan: Visits, browser: chromium.Pages | firefox.Firefox) -> AsyncGenerator[float]:
    """Connect the official client in a page of the browser. The page has the scheme of the mock's URL."""
    tls = plan.files.context() if plan.url.startswith("https:") else None
    with chromium.served_page(tls=tls) as page_url:
        async with browser.opened(page_url, api_url=plan.url) as page:
            official = OfficialClient(page)
            for _ in range(plan.rounds):
                yield await official.first_frame(plan.key)


@asynccontextmanager
async def _broadcast(plan: Visits) -> AsyncIterator[BroadcastInfo]:
    """Host a broadcast, and yield its URLs."""
    async with Odyssey(plan.key, api_url=plan.url) as host:
        _, info = await host_broadcast(host)
        yield info


def _ms_since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


_CLIENTS: Mapping[str, Callable[[Visits], AsyncGenerator[float]]] = {
    "chromium": _chromium,
    "firefox": _firefox,
    "client": _client,
    "spectator": _spectator,
    "hls": _hls,
}
"""For each client, a function that connects, and yields how long each connection took in milliseconds."""
