"""What two light peers are connected by: TCP for what must arrive, in order, and UDP for what may be lost.

The one that offers listens, the one that answers dials. What WebRTC does in many layers is here as short as it can be
with the same outcomes:

- checks: the one that dials goes on trying, for as long as ICE does, and says who it is; the other answers once it has
  the description of the first. Each then knows the certificate that the other claims to have.
- consent (RFC 7675): each asks the other over UDP, every few seconds, whether it still wants anything; after
  `CONSENT_FAILURES` times without an answer the connection has failed.
- a goodbye, so that a close is told from a loss.
- what WebRTC says, it says over UDP. So a TCP connection that breaks without a goodbye means nothing: it is made anew,
  and goes on after the last message that was heard. Where that cannot be, consent runs out.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, override

from odyssey_mock.sim.light.description import Description, Section

logger = logging.getLogger(__name__)

CLOSE_LIMIT = 1.0
"""Seconds that the last words may take."""

_LENGTH = 4


class MessageKind(IntEnum):
    """What a message over TCP is."""

    HELLO = 1
    """Who it is, and with which certificate."""
    OPEN = 2
    OPENED = 3
    SHUT = 4
    """A data channel is opened, was taken, is closed: its label."""
    TEXT = 5
    BYTES = 6
    """On the data channel whose number comes first."""
    END = 7
    """The video track has ended after that frame."""
    BYE = 8
    """The connection is closed, after that frame."""


class DatagramKind(IntEnum):
    """The first byte of a datagram. None is one that DTLS has (RFC 9443)."""

    FRAME = 0x80
    PING = 0x81
    """Asks whether the other is there."""
    PONG = 0x82
    """It is. Both say how many messages were heard."""
    LOST = 0x83
    """A frame was lost."""
    BROKEN = 0x84
    """The TCP connection is broken, and is to be made anew."""
    GONE = 0x85
    """The connection is closed; a goodbye over TCP comes as well, if it can."""


def written(kind: MessageKind, payload: bytes = b"") -> bytes:
    """A message as it is sent."""
    return bytes([kind]) + len(payload).to_bytes(_LENGTH) + payload


async def read(reader: asyncio.StreamReader) -> tuple[MessageKind, bytes]:
    """Read a message.

    Raises:
        EOFError: there is none any more.
        OSError: the connection broke, or it is no message of ours.
    """
    head = await reader.readexactly(1 + _LENGTH)
    try:
        kind = MessageKind(head[0])
    except ValueError as error:
        raise OSError(f"expected a message of a light peer, got {head!r}") from error
    return kind, await reader.readexactly(int.from_bytes(head[1:]))


async def pause(seconds: float) -> None:
    """Wait on the event loop's time."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    timer = loop.call_later(seconds, over.set_result, None)
    try:
        await over
    finally:
        timer.cancel()


async def after(seconds: float, then: Callable[[], None]) -> None:
    """Do something in that time."""
    await pause(seconds)
    then()


async def closed(writer: asyncio.StreamWriter, *, at_once: bool) -> None:
    """Close a connection, and wait until it is; `at_once` without what is still to be sent."""
    if at_once:
        writer.transport.abort()
    else:
        writer.close()
    with contextlib.suppress(OSError):
        try:
            async with asyncio.timeout(CLOSE_LIMIT):
                await writer.wait_closed()
        except TimeoutError:
            logger.info("a light peer took no last words within %s s", CLOSE_LIMIT)
            writer.transport.abort()


class LinkState(StrEnum):
    """Where a link stands; `CLOSED` and `FAILED` are final."""

    NEW = "new"
    CONNECTED = "connected"
    CLOSED = "closed"
    """The other has said goodbye."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class LinkListener:
    """Whom a link tells, on the event loop; nothing is told once it is being closed."""

    state: Callable[[LinkState], None]
    message: Callable[[MessageKind, bytes], None]
    """Of data channels, and of the end of the track."""
    frame: Callable[[bytes], None]
    """The datagram of a frame."""
    frame_lost: Callable[[], None]
    """The other has lost a frame, and wants one that decodes by itself."""


class DatagramReceiver(asyncio.DatagramProtocol):
    """Hands datagrams on."""

    def __init__(self, heard: Callable[[bytes, tuple[Any, ...]], None]) -> None:  # Any: as asyncio has it
        self._heard = heard

    @override
    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if data:
            self._heard(data, addr)


class UnheardMessages:
    """Messages that were sent, and may not have been heard: they are sent once more where a connection is made anew."""

    def __init__(self) -> None:
        self._messages: deque[bytes] = deque()
        self._heard = 0
        """How many before those were heard."""

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._messages)

    def add(self, message: bytes) -> None:
        """Keep one that is sent."""
        self._messages.append(message)

    def heard(self, number: int) -> None:
        """The other has heard so many messages."""
        while self._messages and self._heard < number:
            self._messages.popleft()
            self._heard += 1


CHECK_LIMIT = 63.5
"""Seconds that a connection may take to come up: those of a STUN transaction of aioice (RFC 8489 section 6.2.1)."""
CHECK_INTERVAL = 0.5
"""Seconds between two tries to reach the other."""
CONSENT_INTERVAL = 5.0
"""Seconds between two questions whether the other is there (RFC 7675 section 5.1)."""
CONSENT_FAILURES = 6
"""How many of them may go unanswered before the connection has failed."""
LATE = 0.1
"""Seconds that frames have to arrive which were sent before an end that is here already."""


class Link:
    """One end of the connection between two light peers. `close` leaves nothing of it."""

    def __init__(self, host: str, listener: LinkListener, sections: list[Section]) -> None:
        """`host`: the address that its sockets are bound to; `sections`: what it describes."""
        self.state = LinkState.NEW
        self._host = host
        self._listener = listener
        self._sections = sections
        self._loop = asyncio.get_running_loop()
        self._own: Description | None = None
        self._gathering: asyncio.Task[Description] | None = None
        self._other: asyncio.Future[Description] = self._loop.create_future()
        self._udp: asyncio.DatagramTransport | None = None
        self._remote: tuple[str, int] = ("", 0)
        self._server: asyncio.Server | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._unheard = UnheardMessages()
        self._heard = 0
        """How many of the other's were heard."""
        self._writers: dict[asyncio.StreamWriter, None] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._consent: asyncio.TimerHandle | None = None
        self._unanswered = 0
        self._is_cut = False
        self._closing = False

    @property
    def is_up(self) -> bool:
        """Whether something can be said, and would be heard."""
        return self.state is LinkState.CONNECTED and not self._closing

    async def gather(self, *, listens: bool) -> Description:
        """Open what it is found by; `listens` where it offers. Describe it.

        Raises:
            OSError: it cannot be opened.
        """
        if self._gathering is None:
            self._gathering = self._loop.create_task(self._open(listens))
        # To its end, even if the caller is cancelled: cut short, asyncio would forget the sockets that it has just
        # opened. `close` waits for it.
        return await asyncio.shield(self._gathering)

    async def _open(self, listens: bool) -> Description:
        self._udp, _ = await self._loop.create_datagram_endpoint(
            lambda: DatagramReceiver(self._received), local_addr=(self._host, 0)
        )
        host, udp_port = self._udp.get_extra_info("sockname")[:2]
        tcp_port = None
        if listens:
            self._server = await asyncio.start_server(self._accepted, self._host, 0)
            tcp_port = self._server.sockets[0].getsockname()[1]
        self._own = Description.of(host, udp_port, tcp_port, self._sections)
        return self._own

    def expect(self, other: Description) -> None:
        """The one that answered is that: let it in, once it has come."""
        if not self._other.done():
            self._other.set_result(other)

    def dial(self, other: Description) -> None:
        """Connect to the one that offered, in the background."""
        self.expect(other)
        self.run(self._dial(other))

    def run(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Let something run until the link is closed."""
        task = self._loop.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._done)
        return task

    def cut(self) -> None:
        """Say and hear nothing any more, as when a cable is cut."""
        self._is_cut = True

    def say(self, kind: MessageKind, payload: bytes = b"") -> None:
        """Send a message, in order; nothing where there is no connection."""
        if self._is_cut or self.state is not LinkState.CONNECTED:
            return
        message = written(kind, payload)
        self._unheard.add(message)
        if self._writer is not None:
            self._writer.write(message)

    def show(self, datagram: bytes) -> None:
        """Send the datagram of a frame."""
        if self._udp is not None and not self._is_cut and self.state is LinkState.CONNECTED:
            self._udp.sendto(datagram, self._remote)

    def lost_frame(self) -> None:
        """Tell the other that a frame was lost on the way (PLI, RFC 4585)."""
        self.show(bytes([DatagramKind.LOST]))

    async def flush(self, limit: float) -> bool:
        """Let what was said go out, within `limit` seconds; tell whether it has."""
        if self._writer is None or self._is_cut:
            return True
        try:
            async with asyncio.timeout(limit):
                await self._writer.drain()
        except TimeoutError:
            return False
        except OSError:
            pass  # it broke: nothing of it is waiting any more
        return True

    def later(self, seconds: float, then: Callable[[], None]) -> None:
        """Do something in that time, unless the link is closed before."""
        self.run(after(seconds, then))

    async def close(self, last_words: bytes = b"") -> None:
        """Say goodbye, if there is anybody, and let go of everything; twice is fine."""
        first, self._closing = not self._closing, True
        if first:
            self.say(MessageKind.BYE, last_words)
            # Where TCP is broken, and one or the other does not know it yet, this arrives all the same.
            self.show(bytes([DatagramKind.GONE]))
        if self._consent is not None:
            self._consent.cancel()
        tasks: list[asyncio.Task[Any]] = list(self._tasks)  # Any: what they return is nobody's any more
        for task in tasks:
            task.cancel()
        if self._gathering is not None:
            tasks.append(self._gathering)
        # Whoever began it has heard, or no longer wants to hear, how it went.
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
            for writer in list(self._writers):
                await closed(writer, at_once=self._is_cut)
        finally:
            # Cancelled meanwhile, it is let go of all the same.
            self._release()

    # What runs.

    async def _dial(self, other: Description) -> None:
        assert self._own is not None, "gathered before"
        try:
            async with asyncio.timeout(CHECK_LIMIT):
                reader, writer, hello = await self._reached(self._own, other)
        except TimeoutError:
            self._go(LinkState.FAILED)
            return
        while self.state is not LinkState.FAILED:
            who, _, heard = hello.rpartition(b" ")
            if who != _hello(other, self._own):
                # It came up, and the certificate is another's (RFC 8827 section 5.1).
                self._go(LinkState.FAILED)
                return
            self._go_on(other, writer, int(heard))
            if await self._listen(reader, writer):
                return
            reader, writer, hello = await self._reached(self._own, other)

    async def _reached(
        self, own: Description, other: Description
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
        """Dial until the other answers; what it says of itself."""
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(other.host, other.tcp_port)
                self._keep(writer)
                try:
                    writer.write(written(MessageKind.HELLO, _hello(own, other) + b" %d" % self._heard))
                    _, hello = await read(reader)
                except EOFError:
                    writer.close()
                else:
                    return reader, writer, hello
            await pause(CHECK_INTERVAL)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._keep(writer)
        if self._closing:
            writer.close()
        else:
            self.run(self._welcome(reader, writer))

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer somebody that dials, if it is who it should be."""
        assert self._own is not None, "it listens"
        try:
            _, hello = await read(reader)
        except (OSError, EOFError):
            writer.close()
            return
        if self._is_cut:
            return  # it goes on waiting
        other = await self._other
        who, _, heard = hello.rpartition(b" ")
        if who != _hello(other, self._own) or self.state in {LinkState.CLOSED, LinkState.FAILED}:
            writer.close()
            return
        writer.write(written(MessageKind.HELLO, _hello(self._own, other) + b" %d" % self._heard))
        self._go_on(other, writer, int(heard))
        await self._listen(reader, writer)
        while self._writer is None and self.is_up and not self._is_cut:
            # The other may not have noticed.
            self.show(bytes([DatagramKind.BROKEN]))
            await pause(CHECK_INTERVAL)

    def _go_on(self, other: Description, writer: asyncio.StreamWriter, heard: int) -> None:
        """Say and hear everything by this connection, from the message after those that were `heard`."""
        writer.transport.set_write_buffer_limits(0)
        former, self._writer = self._writer, writer
        if former is not None:
            former.close()
        self._unheard.heard(heard)
        for message in self._unheard:
            writer.write(message)
        if self.state is LinkState.NEW:
            self._remote = (other.host, other.udp_port)
            self._consent = self._loop.call_later(CONSENT_INTERVAL, self._ask)
            self._go(LinkState.CONNECTED)

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Hear what comes, to the goodbye, or (False) until the connection breaks."""
        try:
            while True:
                kind, payload = await read(reader)
                self._heard += 1
                if not self._is_cut and self.is_up:
                    self._listener.message(kind, payload)
                if kind is MessageKind.BYE:
                    return True
        except (OSError, EOFError):
            if self._writer is writer:
                self._writer = None
            return False

    def said_goodbye(self) -> None:
        """The other has closed it, and all that came before is dealt with."""
        self._go(LinkState.CLOSED)

    def _ask(self) -> None:
        if self._unanswered >= CONSENT_FAILURES:
            self._go(LinkState.FAILED)
            return
        self._unanswered += 1
        self.show(self._with_heard(DatagramKind.PING))
        self._consent = self._loop.call_later(CONSENT_INTERVAL, self._ask)

    def _with_heard(self, mark: DatagramKind) -> bytes:
        return bytes([mark]) + self._heard.to_bytes(4)

    def _received(self, data: bytes, address: tuple[Any, ...]) -> None:  # Any: as asyncio has it
        if self._is_cut or not self.is_up or address[:2] != self._remote:
            return
        match data[0]:
            case DatagramKind.FRAME:
                self._listener.frame(data)
            case DatagramKind.PING:
                self._unheard.heard(int.from_bytes(data[1:]))
                self.show(self._with_heard(DatagramKind.PONG))
            case DatagramKind.PONG:
                self._unheard.heard(int.from_bytes(data[1:]))
                self._unanswered = 0
            case DatagramKind.LOST:
                self._listener.frame_lost()
            case DatagramKind.BROKEN if self._writer is not None:
                self._writer.transport.abort()
            case DatagramKind.GONE:
                self.later(LATE, self._is_gone)
            case _:
                pass

    def _is_gone(self) -> None:
        if self.is_up:
            self._listener.message(MessageKind.BYE, b"")

    def _go(self, state: LinkState) -> None:
        if self._closing or self.state in {LinkState.CLOSED, LinkState.FAILED}:
            return
        self.state = state
        if state is not LinkState.CONNECTED and self._consent is not None:
            self._consent.cancel()
        self._listener.state(state)

    # What is let go of.

    def _keep(self, writer: asyncio.StreamWriter) -> None:
        self._writers[writer] = None

    def _release(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._udp is not None:
            self._udp.close()
        writers, self._writers = self._writers, {}
        for writer in writers:
            writer.transport.abort()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._loop.call_exception_handler(
                {"message": "a task of a light peer failed", "exception": error, "task": task}
            )


def _hello(who: Description, whom: Description) -> bytes:
    return f"{who.ufrag} {whom.ufrag} {who.fingerprint}".encode()
