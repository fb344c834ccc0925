"""The imports of the commands that run a mock: those of the server, and after its first response those of sessions."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from odyssey_mock.core.redaction import get_logger

if TYPE_CHECKING:
    from odyssey_mock.server import MockOdyssey

logger = get_logger("odyssey_mock")

MODULES = (
    "odyssey_mock.http.routes.auth",
    "odyssey_mock.http.routes.sessions",
    "odyssey_mock.sessions.session",
    "odyssey_mock.sessions.session_lifecycle",
    "odyssey_mock.rtc.streamer_peer",
    "odyssey_mock.rtc.spectator_peer",
    "odyssey_mock.media.frame_encoder",
    "odyssey_mock.media.film",
    "jwt",
)
"""The modules that a live session, its spectators and its recording import, with their libraries."""


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Collect no garbage during the block, which imports modules: a tenth of their time, and they leave no garbage."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@asynccontextmanager
async def warming_up(mock: MockOdyssey) -> AsyncIterator[None]:
    """During the block, import `MODULES` once the mock has sent its first response.

    They take 0.3 s to import. The mock starts without them, and the first client to connect need not wait for them.
    """
    task = asyncio.create_task(_import_after_first_response(mock))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _import_after_first_response(mock: MockOdyssey) -> None:
    await mock.backend.first_response.wait()
    for module in MODULES:
        try:
            # In a thread: other requests are answered in the meantime.
            await asyncio.to_thread(import_module, module)
        except ImportError as error:
            logger.warning("live sessions will fail: %s; run `odyssey-mock doctor` to see what to install", error)
            return
