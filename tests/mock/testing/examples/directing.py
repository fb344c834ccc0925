"""A small application on the Odyssey API, with a defect, and without: an example for tests in the simulated world."""

import asyncio

from odyssey_client import ConnectionStatus, Odyssey, OdysseyError

TRIES = 5


class HastyDirector:
    """Directs a stream by prompts. It makes its own client, from the environment, as applications do.

    Its defect: when the connection comes back, it sends again what has no acknowledgement yet, in the belief that it
    was lost. It was not: the service holds the session meanwhile. So a prompt is applied twice, but only if the
    connection breaks between an interaction and its acknowledgement.
    """

    def __init__(self) -> None:
        self._client = Odyssey()
        self._unacknowledged: str | None = None
        self._again: list[asyncio.Task[str]] = []

    async def open(self, prompt: str) -> None:
        """Connect, and start a stream.

        Raises:
            OdysseyError: the last of a few tries has failed.
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
        """Have something happen in the stream; False where it is not known that it did."""
        self._unacknowledged = prompt
        try:
            await self._client.interact(prompt)
        except OdysseyError:
            return False
        finally:
            self._unacknowledged = None
        return True

    async def close(self) -> None:
        """Disconnect."""
        await self._client.disconnect()
        await asyncio.gather(*self._again, return_exceptions=True)

    def _status(self, status: ConnectionStatus) -> None:
        if status is ConnectionStatus.CONNECTED and self._unacknowledged is not None:
            self._returned(self._unacknowledged)

    def _returned(self, prompt: str) -> None:
        self._again.append(asyncio.create_task(self._client.interact(prompt)))


class Director(HastyDirector):
    """The same without the defect: what has no acknowledgement may have happened, and is not sent again."""

    def _returned(self, prompt: str) -> None:
        pass
