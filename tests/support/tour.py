"""A sample application for chaos runs. It shows several places one after another in one live stream.

The application survives every fault of the chaos runs. To make it fail, enable one of its three weaknesses. It is also
a command::

    python -m tests.support.tour [WEAKNESS ...]
"""

import asyncio
import sys
from collections.abc import Collection
from dataclasses import replace
from typing import Literal, get_args

from odyssey_client import AdvancedConfig, InvalidStateError, Odyssey, OdysseyConnectionError, OdysseyError

type Weakness = Literal["no timeout", "ignores stream errors", "does not reconnect"]
WEAKNESSES: tuple[Weakness, ...] = get_args(Weakness.__value__)

PLACES = ("The garden", "The tower")
STAY_S = 0.15
"""Seconds for which the tour shows each place."""
ATTEMPTS = 4
LIMITS = AdvancedConfig(
    initial_retry_delay_ms=100,
    max_retry_delay_ms=500,
    connect_timeout_s=3.0,
    operation_timeout_s=2.0,
    request_timeout_s=1.0,
    peer_timeout_s=1.0,
)


class StreamFailedError(Exception):
    """The service reported that the stream has failed."""


class Tour:
    """The sample application. After an error, it starts again with a new session, in at most `ATTEMPTS` attempts."""

    def __init__(self, weaknesses: Collection[Weakness] = ()) -> None:
        self._weaknesses = weaknesses
        self._limits = replace(LIMITS, reconnect="off") if "does not reconnect" in weaknesses else LIMITS
        self._acknowledged = asyncio.Event()
        self._stream_failed = asyncio.Event()

    async def run(self) -> None:
        """Show all places.

        Raises:
            OdysseyError: if a client call fails, and the application does not start again.
            StreamFailedError: if the stream fails, and the application does not start again.
        """
        for attempt in range(1, ATTEMPTS + 1):
            client = Odyssey(advanced=self._limits)
            was_connected = False
            try:
                await self._connect(client)
                was_connected = True
                await self._visit_all(client)
            except (OdysseyError, StreamFailedError) as error:
                if attempt == ATTEMPTS or (was_connected and not self._survives(error, client)):
                    raise
            else:
                return
            finally:
                await client.disconnect()

    def _survives(self, error: Exception, client: Odyssey) -> bool:
        """Return whether the application starts again after `error`, which occurred while it was connected."""
        # The client notices a closed peer up to half a second later; until then, it cannot send.
        was_sent = not isinstance(error, OdysseyError) or error.code != "not_sent"
        if isinstance(error, OdysseyConnectionError) or not client.is_connected or not was_sent:
            return "does not reconnect" not in self._weaknesses
        if isinstance(error, InvalidStateError):  # the stream ended, and the application did not notice
            return "ignores stream errors" not in self._weaknesses
        return True

    async def _connect(self, client: Odyssey) -> None:
        self._stream_failed.clear()
        handles_errors = "ignores stream errors" not in self._weaknesses
        await client.connect(
            on_interact_acknowledged=lambda _: self._acknowledged.set(),
            on_stream_error=(lambda *_: self._stream_failed.set()) if handles_errors else None,
        )

    async def _visit_all(self, client: Odyssey) -> None:
        await client.start_stream("A museum")
        await self._stay()
        for place in PLACES:
            if "no timeout" in self._weaknesses:
                await self._go_without_timeout(client, place)
            else:
                await client.interact(place)
            await self._stay()
        await client.end_stream()

    async def _go_without_timeout(self, client: Odyssey, place: str) -> None:
        """Send a prompt, and wait without a timeout until the handler for acknowledged prompts is called."""
        self._acknowledged.clear()
        sending = asyncio.ensure_future(client.interact(place))
        sending.add_done_callback(lambda done: done.cancelled() or done.exception())
        await self._acknowledged.wait()

    async def _stay(self) -> None:
        try:
            async with asyncio.timeout(STAY_S):
                await self._stream_failed.wait()
        except TimeoutError:
            return
        raise StreamFailedError("the service reported that the stream has failed")


def main() -> None:
    given = sys.argv[1:]
    asyncio.run(Tour([each for each in WEAKNESSES if each in given]).run())


if __name__ == "__main__":
    main()
