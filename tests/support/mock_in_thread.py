"""A mock in the event loop of another thread, for tests of blocking code."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

from odyssey_mock import MockOdyssey
from odyssey_mock.core.journal import Entry, Kind

LIMIT_S = 30.0


class MockInThread:
    """A `MockOdyssey` that runs in its own thread during a ``with`` block; its calls block."""

    def __init__(self, **settings: Any) -> None:  # Any: settings have different types
        self.mock = MockOdyssey(**settings)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mock", daemon=True)

    @property
    def url(self) -> str:
        return self.mock.url

    @property
    def api_key(self) -> str:
        return self.mock.api_key

    @property
    def streams(self) -> Mapping[str, object]:
        return dict(self.mock.streams)

    @property
    def sessions(self) -> Mapping[str, object]:
        return dict(self.mock.sessions)

    def wait_for(self, kind: Kind, name: str, timeout: float = 5.0, **where: str) -> Entry:
        return self.run(lambda: self.mock.wait_for(kind, name, timeout, since=0, **where))

    def run[T](self, work: Callable[[], Awaitable[T]]) -> T:
        async def wait() -> T:
            return await work()

        return asyncio.run_coroutine_threadsafe(wait(), self._loop).result(LIMIT_S)

    def __enter__(self) -> Self:
        self._thread.start()
        self.run(self.mock.__aenter__)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.run(lambda: self.mock.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT_S)
        self._loop.close()
