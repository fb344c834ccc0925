"""Telling the service how connecting went: in the background, in batches, and never in the way of anything."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import Sequence

from odyssey_client.errors import OdysseyError
from odyssey_client.models import JSON
from odyssey_client.rest.transport import Transport
from odyssey_client.version import client_version

logger = logging.getLogger("odyssey_client")

QUEUE_LIMIT = 200
BATCH_LIMIT = 50
GATHER_S = 1.0
"""How long the first event of a batch waits for others."""
SEND_LIMIT_S = 5.0
FLUSH_LIMIT_S = 0.5
"""How long `Telemetry.aclose` may take."""

# Names, states, ids, codecs, versions. Prose (a prompt), images and URLs do not pass.
_WORD = re.compile(r"[A-Za-z0-9_.:+-]{1,64}")


class Telemetry:
    """Events for ``POST /telemetry``. Failures are logged at debug level and otherwise forgotten.

    An event has ``name``, ``timestamp_ms`` (epoch), ``client``, ``client_version``, ``session_id`` if there is one, and
    the fields given to `record`. There is a task only while there is something to send.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._enabled = transport.config.advanced.telemetry
        self._queue: deque[dict[str, JSON]] = deque(maxlen=QUEUE_LIMIT)
        self._sender: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    def record(self, name: str, *, session_id: str | None = None, **fields: bool | float | str | None) -> None:
        """Note that something happened: at once, raising nothing, and without a running event loop in vain.

        Fields are numbers, booleans and single words; a string of any other kind is left out, and so is None. When too
        many events wait, the oldest go.
        """
        if not self._enabled:
            return
        event: dict[str, JSON] = {
            "name": name,
            "timestamp_ms": round(self._transport.clock.time() * 1000),
            "client": "odyssey-testkit",
            "client_version": client_version(),
        }
        if session_id is not None:
            event["session_id"] = session_id
        for field, value in fields.items():
            if value is not None and _may_be_sent(value):
                event.setdefault(field, value)
        self._queue.append(event)
        if self._sender is None or self._sender.done():
            self._start()

    async def aclose(self) -> None:
        """Send what waits, within `FLUSH_LIMIT_S`, and end the task; what is not sent by then is dropped."""
        sender = self._sender
        if sender is None:
            return
        self._hurry.set()
        try:
            async with self._transport.clock.timeout(FLUSH_LIMIT_S):
                await asyncio.wait([sender])
        except TimeoutError:
            logger.debug("telemetry: %d events dropped, the service was too slow at closing", len(self._queue))
        finally:
            self._queue.clear()
            if not sender.done():
                sender.cancel()
                await asyncio.wait([sender])

    def _start(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            logger.debug("telemetry: no running event loop, nothing is sent")
            self._queue.clear()
            return
        self._hurry = asyncio.Event()
        self._sender = loop.create_task(self._send_all(), name="odyssey telemetry")

    async def _send_all(self) -> None:
        try:
            while self._queue:
                await self._gather()
                batch = [self._queue.popleft() for _ in range(min(BATCH_LIMIT, len(self._queue)))]
                await self._send(batch)
        finally:
            self._sender = None

    async def _gather(self) -> None:
        try:
            async with self._transport.clock.timeout(GATHER_S):
                await self._hurry.wait()
        except TimeoutError:
            return

    async def _send(self, events: Sequence[dict[str, JSON]]) -> None:
        try:
            await self._transport.request(
                "POST", "/telemetry", json={"events": list(events)}, auth="optional", timeout=SEND_LIMIT_S
            )
        except OdysseyError as error:
            logger.debug("telemetry: %d events lost: %s", len(events), error)


def _may_be_sent(value: float | str) -> bool:
    if isinstance(value, str):
        return _WORD.fullmatch(value) is not None and not value.startswith("ody_")
    # JSON has no infinity; NaN is unequal to itself.
    return value == value and abs(value) != float("inf")  # noqa: PLR0124
