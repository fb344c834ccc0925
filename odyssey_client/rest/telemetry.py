"""Telemetry about connecting, sent in the background and in batches. Failures never affect the client."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Sequence

from odyssey_client.errors import OdysseyError
from odyssey_client.models import JSON
from odyssey_client.redaction import get_logger, redacted
from odyssey_client.rest.transport import Transport
from odyssey_client.version import client_version

logger = get_logger("odyssey_client")

QUEUE_LIMIT = 200
BATCH_LIMIT = 50
GATHER_S = 1.0
"""Seconds that the first event of a batch waits for further events."""
SEND_LIMIT_S = 5.0
FLUSH_LIMIT_S = 0.5
"""Seconds that `Telemetry.aclose` may take to send the remaining events."""

# Matches names, states, ids, codecs and versions, but no prompts, images or URLs.
_WORD = re.compile(r"[A-Za-z0-9_.:+-]{1,64}")


class Telemetry:
    """Telemetry events of one client, sent to ``POST /telemetry``. Failures are only logged, at debug level.

    An event has ``name``, ``timestamp_ms`` (Unix time), ``client``, ``client_version``, ``session_id`` if there is one,
    and the fields passed to `record`. A background task runs only while events are queued.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._enabled = transport.config.advanced.telemetry
        self._queue: deque[dict[str, JSON]] = deque(maxlen=QUEUE_LIMIT)
        self._sender: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    def record(self, name: str, *, session_id: str | None = None, **fields: bool | float | str | None) -> None:
        """Queue an event. This method returns at once and never raises.

        Fields can be finite numbers, booleans and single words; fields with other values are left out. When the queue
        is full, the oldest event is dropped. Without a running event loop, queued events are dropped.
        """
        if not self._enabled:
            return
        event: dict[str, JSON] = {
            "name": name,
            "timestamp_ms": round(self._transport.clock.time() * 1000),
            "client": "odyssey-testkit",
            "client_version": client_version(),
        }
        if session_id is not None and redacted(session_id) == session_id:
            event["session_id"] = session_id
        for field, value in fields.items():
            if value is not None and _may_be_sent(value):
                event.setdefault(field, value)
        self._queue.append(event)
        if self._sender is None or self._sender.done():
            self._start()

    async def aclose(self) -> None:
        """Send the queued events and end the task; events not sent within `FLUSH_LIMIT_S` are dropped."""
        sender = self._sender
        if sender is None:
            return
        self._hurry.set()
        try:
            async with self._transport.clock.timeout(FLUSH_LIMIT_S):
                await asyncio.wait([sender])
        except TimeoutError:
            logger.debug("telemetry: dropped %d events at close, because the service was too slow", len(self._queue))
        finally:
            self._queue.clear()
            if not sender.done():
                sender.cancel()
                await asyncio.wait([sender])

    def _start(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            logger.debug("telemetry: dropped all queued events, because no event loop is running")
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
            logger.debug("telemetry: could not send %d events: %s", len(events), error)


def _may_be_sent(value: float | str) -> bool:
    if isinstance(value, str):
        return _WORD.fullmatch(value) is not None and not value.startswith("ody_") and redacted(value) == value
    # JSON has neither infinity nor NaN. NaN is unequal to itself.
    return value == value and abs(value) != float("inf")  # noqa: PLR0124
