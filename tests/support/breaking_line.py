"""A TCP relay that breaks file downloads from a server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

CHUNK = 4096


@dataclass
class BreakingLine:
    """A relay between client and server that cuts connections while they download an artifact."""

    port: int
    """Port of the server on 127.0.0.1."""
    cuts: list[int] = field(default_factory=list)
    """Bytes of the response after which each download is cut, one number per download. Later downloads are not cut."""
    before_cut: Callable[[], Awaitable[object]] | None = None
    """Called before each connection is cut."""
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
    """Run a relay to the server at the URL ``to``, and yield it. Clients connect to the relay's ``url``."""
    line = BreakingLine(int(to.rpartition(":")[2]))
    async with await asyncio.start_server(line.relay, "127.0.0.1", 0) as listening:
        line.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield line
