"""Example application for tests in the simulated world: `HastyDirector` has a bug, `Director` does not."""

import asyncio

from odyssey_client import ConnectionStatus, Odyssey, OdysseyError

TRIES = 5


class HastyDirector:
    """An application that sends prompts to a stream. Its client reads the settings from environment variables.

    The application has a bug: after a reconnect, it sends the last prompt again if the service has not acknowledged it.
    The service has kept the session, so it applies this prompt twice. The bug shows only if the connection breaks
    between an interaction and its acknowledgment.
    """

    def __init__(self) -> None:
        self._client = Odyssey()
        self._unacknowledged: str | None = None
        self._again: list[asyncio.Task[str]] = []

    async def open(self, prompt: str) -> None:
        """Connect and start a stream; after an error, try again, up to `TRIES` times in total.

        Raises:
            OdysseyError: all tries failed.
        """
        for left in reversed(range(TRIES)):
            try:
                await self._client.connect(on_status_change=self._status)
                await self._client.start_stream(prompt)
            except OdysseyError:
                await self._client.disconnect()
                if not left:
                    raise
            else:
                return

    async def direct(self, prompt: str) -> bool:
        """Send a prompt; return whether the service acknowledged it."""
        self._unacknowledged = prompt
        try:
            await self._client.interact(prompt)
        except OdysseyError:
            return False
        finally:
            self._unacknowledged = None
        return True

    async def close(self) -> None:
        """Disconnect, and wait for the pending calls of `interact` that repeat a prompt."""
        await self._client.disconnect()
        await asyncio.gather(*self._again, return_exceptions=True)

    def _status(self, status: ConnectionStatus) -> None:
        if status is ConnectionStatus.CONNECTED and self._unacknowledged is not None:
            self._returned(self._unacknowledged)

    def _returned(self, prompt: str) -> None:
        self._again.append(asyncio.create_task(self._client.interact(prompt)))


class Director(HastyDirector):
    """`HastyDirector` without the bug: it does not repeat prompts, because the service may have applied them."""

    def _returned(self, prompt: str) -> None:
        pass
