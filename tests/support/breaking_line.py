"""A TCP relay between client and mock that breaks connections during file downloads."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

CHUNK = 4096


@dataclass
class BreakingLine:
    """A TCP relay that closes a connection after a given number of bytes of a response to `GET /artifacts/...`."""

    port: int
    """Port of the server on 127.0.0.1."""
    cuts: list[int] = field(default_factory=list)
    """For each of the first downloads, the number of response bytes after which the relay closes its connection."""
    before_cut: Callable[[], Awaitable[object]] | None = None
    """Function that the relay awaits before it closes a connection during a download."""
    url: str = ""
    fetches: int = 0

    async def relay(self, near: asyncio.StreamReader, near_writer: asyncio.StreamWriter) -> None:
        far, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
        left: list[int] = []  # bytes until the cut; empty if this connection is not cut

        async def up() -> None:
            while chunk := await near.read(CHUNK):
                if b"GET /artifacts/" in chunk:
                    self.fetches += 1
                    left[:] = [self.cuts.pop(0)] if self.cuts else []
                far_writer.write(chunk)
                await far_writer.drain()

        async def down() -> None:
            while chunk := await far.read(CHUNK):
                if left and len(chunk) >= left[0]:
                    near_writer.write(chunk[: left[0]])
                    await near_writer.drain()
                    if self.before_cut is not None:
                        await self.before_cut()
                    return
                if left:
                    left[0] -= len(chunk)
                near_writer.write(chunk)
                await near_writer.drain()

        ways = [asyncio.ensure_future(up()), asyncio.ensure_future(down())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            near_writer.close()
            far_writer.close()


@contextlib.asynccontextmanager
async def breaking_line(to: str) -> AsyncIterator[BreakingLine]:
    """Run and yield a relay to the server at the URL ``to``. Clients use the ``url`` of the relay."""
    line = BreakingLine(int(to.rpartition(":")[2]))
    async with await asyncio.start_server(line.relay, "127.0.0.1", 0) as listening:
        line.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield line
