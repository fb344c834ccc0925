"""Base class of the sync iterators over frames and events."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Protocol, Self

from odyssey_client.client.arguments import check_seconds
from odyssey_client.errors import OdysseyError, OperationTimeoutError
from odyssey_client.sync.background import BackgroundLoop


class BufferedReader(Protocol):
    """Protocol of an async reader of frames or events, which a sync reader wraps."""

    dropped: int

    def close(self) -> None: ...


class Reader[Item](Iterator[Item], ABC):
    """An iterator whose ``next()`` blocks until an item arrives, in any thread. It is closed when garbage collected."""

    _noun: ClassVar[str]
    """Name of one item for error messages, such as ``frame``."""

    def __init__(self, reader: BufferedReader, loop: BackgroundLoop, timeout_s: float | None, source: object) -> None:
        """Wrap the async ``reader``.

        ``source`` is the object that created this reader. The reference to ``source`` keeps the connection open.
        """
        self._source = source
        self._timeout_s = timeout_s
        self._loop = loop
        self._buffer = reader

    @property
    def dropped(self) -> int:
        """The number of items dropped because this reader was too slow."""
        return self._buffer.dropped

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        item = self._loop.run("next", self._limited)
        if item is None:
            raise StopIteration
        return item

    def close(self) -> None:
        """End the reader, even while another thread waits for an item; buffered items can still be read."""
        self._loop.soon(self._buffer.close)

    def __del__(self) -> None:
        # On the loop: the connection may be passing an item to its readers at this moment.
        self._loop.soon(self._buffer.close)

    @abstractmethod
    async def _receive(self) -> Item | None:
        """Return the next item; None at the end."""

    async def _limited(self) -> Item | None:
        try:
            async with asyncio.timeout(self._timeout_s) as scope:
                return await self._receive()
        except TimeoutError as error:
            if isinstance(error, OdysseyError) or not scope.expired():
                raise  # the error that ended the connection
            raise OperationTimeoutError(
                "timeout",
                f"No {self._noun} arrived within {self._timeout_s:g} s. The limit is timeout_s. The reader can still "
                "be used.",
            ) from None


def check_timeout(timeout_s: object) -> None:
    """Raise `OdysseyConfigError` unless ``timeout_s`` is None or a number of seconds above 0."""
    if timeout_s is not None:
        check_seconds("timeout_s", timeout_s)
