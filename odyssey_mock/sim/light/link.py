"""The link between two light peers: TCP for messages that must arrive in order, UDP for frames that may be lost.

The offering peer listens for a TCP connection, and the answering peer opens it. A link imitates the layers of WebRTC:

- Connectivity checks: the answering peer tries to connect for as long as ICE would, and identifies itself. The offering
  peer replies as soon as it has the answer. Each peer checks that the certificate of the other peer is the one in the
  other peer's description.
- Consent (RFC 7675): every few seconds, each peer asks the other over UDP whether it still consents. The connection
  fails after `CONSENT_FAILURES` requests without a reply.
- A peer that closes the connection sends a goodbye message (`BYE`), so that the other can distinguish a close from a
  loss.
- Real WebRTC runs over UDP. Therefore, a TCP connection that breaks without a goodbye is not a failure: the peers
  connect again, and continue after the last message that was received. If they cannot connect, consent expires.
"""

import asyncio
import contextlib
import functools
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, override

from odyssey_mock.core.redaction import get_logger
from odyssey_mock.impairment.profile import TrafficKind
from odyssey_mock.rtc.protocols import DatagramNetwork
from odyssey_mock.sim.light.description import Description, Section
from odyssey_mock.sim.light.impaired_link import ImpairedLink

logger = get_logger(__name__)

CLOSE_LIMIT = 1.0
"""Time limit in seconds for sending the last messages when a link closes."""

_LENGTH = 4


class MessageKind(IntEnum):
    """Kind of a message that a light peer sends over TCP."""

    HELLO = 1
    """Identity and certificate of the sender, and the number of messages that the sender has received."""
    OPEN = 2
    OPENED = 3
    SHUT = 4
    """OPEN opens a data channel, OPENED accepts it, and SHUT closes it. The payload is the label of the channel."""
    TEXT = 5
    BYTES = 6
    """TEXT and BYTES are messages on a data channel."""
    END = 7
    """The video track has ended. The payload is the number of its last frame."""
    BYE = 8
    """The connection is closed. The payload is the number of the last frame, if any."""


class DatagramKind(IntEnum):
    """First byte of a datagram. DTLS uses none of these values (RFC 9443)."""

    FRAME = 0x80
    PING = 0x81
    """Asks for consent."""
    PONG = 0x82
    """Confirms consent. PING and PONG contain the number of messages received."""
    LOST = 0x83
    """A frame was lost."""
    BROKEN = 0x84
    """The TCP connection is broken and must be opened again."""
    GONE = 0x85
    """The connection is closed. The sender also sends `BYE`, which arrives only if the TCP connection works."""


def written(kind: MessageKind, payload: bytes = b"") -> bytes:
    """Return a message as the bytes that are sent over TCP."""
    return bytes([kind]) + len(payload).to_bytes(_LENGTH) + payload


async def read(reader: asyncio.StreamReader) -> tuple[MessageKind, bytes]:
    """Read one message, and return its kind and payload.

    Raises:
        EOFError: the connection has ended.
        OSError: the connection broke, or the data is not a message of a light peer.
    """
    head = await reader.readexactly(1 + _LENGTH)
    try:
        kind = MessageKind(head[0])
    except ValueError as error:
        raise OSError(f"expected a message of a light peer, got {head!r}") from error
    return kind, await reader.readexactly(int.from_bytes(head[1:]))


async def pause(seconds: float) -> None:
    """Sleep for `seconds` on the clock of the event loop."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    timer = loop.call_later(seconds, over.set_result, None)
    try:
        await over
    finally:
        timer.cancel()


async def after(seconds: float, then: Callable[[], None]) -> None:
    """Wait for `seconds`, then call `then`."""
    await pause(seconds)
    then()


async def closed(writer: asyncio.StreamWriter, *, at_once: bool) -> None:
    """Close a connection and wait until it is closed; `at_once` discards unsent data."""
    if at_once:
        writer.transport.abort()
    else:
        writer.close()
    with contextlib.suppress(OSError):
        try:
            async with asyncio.timeout(CLOSE_LIMIT):
                await writer.wait_closed()
        except TimeoutError:
            logger.info("a light peer did not receive the last messages within %s s", CLOSE_LIMIT)
            writer.transport.abort()


class LinkState(StrEnum):
    """State of a link; `CLOSED` and `FAILED` are final."""

    NEW = "new"
    CONNECTED = "connected"
    CLOSED = "closed"
    """The other peer has sent a goodbye."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class LinkListener:
    """Callbacks of a link, which are called on the event loop until the link begins to close."""

    state: Callable[[LinkState], None]
    message: Callable[[MessageKind, bytes], None]
    """Called with the kind and payload of each message: those of data channels, `END` and `BYE`."""
    frame: Callable[[bytes], None]
    """Called with the datagram of each frame."""
    frame_lost: Callable[[], None]
    """Called when the other peer has lost a frame and needs a key frame."""


class DatagramReceiver(asyncio.DatagramProtocol):
    """An asyncio protocol that passes each received datagram to a callback."""

    def __init__(self, heard: Callable[[bytes, tuple[Any, ...]], None]) -> None:  # Any: asyncio's type of addresses
        self._heard = heard

    @override
    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if data:
            self._heard(data, addr)


class UnheardMessages:
    """Sent messages that the other peer may not have received, and that are sent again over a new connection."""

    def __init__(self) -> None:
        self._messages: deque[bytes] = deque()
        self._heard = 0
        """Number of messages that the other peer has received; `_messages` contains the messages sent after these."""

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._messages)

    def add(self, message: bytes) -> None:
        """Store a sent message until the other peer has received it."""
        self._messages.append(message)

    def heard(self, number: int) -> None:
        """Drop the messages that the other peer has received: the first `number` of all messages sent."""
        while self._messages and self._heard < number:
            self._messages.popleft()
            self._heard += 1


CHECK_LIMIT = 63.5
"""Time limit in seconds for connecting, equal to that of a STUN transaction in aioice (RFC 8489 section 6.2.1)."""
CHECK_INTERVAL = 0.5
"""Seconds between two attempts to reach the other peer."""
CONSENT_INTERVAL = 5.0
"""Seconds between two requests for consent (RFC 7675 section 5.1)."""
CONSENT_FAILURES = 6
"""Number of requests without a reply after which the connection fails."""
LATE = 0.1
"""Seconds to wait for late frames once the message that ends the video or the connection has arrived."""


class Link:
    """One end of the connection between two light peers. `close` releases all its resources."""

    def __init__(self, host: str, listener: LinkListener, sections: list[Section]) -> None:
        """Create a link without opening its sockets.

        `host`: address to bind the sockets to; `sections`: media sections of the description.
        """
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
        """Number of messages received from the other peer."""
        self._writers: dict[asyncio.StreamWriter, None] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._consent: asyncio.TimerHandle | None = None
        self._unanswered = 0
        self._is_cut = False
        self._impaired: ImpairedLink | None = None
        self._closing = False

    @property
    def is_up(self) -> bool:
        """Whether the link is connected and not closing."""
        return self.state is LinkState.CONNECTED and not self._closing

    async def gather(self, *, listens: bool) -> Description:
        """Open the sockets, and return the description of this peer.

        `listens`: whether to accept a connection, as the offering peer does.

        Raises:
            OSError: a socket cannot be opened.
        """
        if self._gathering is None:
            self._gathering = self._loop.create_task(self._open(listens))
        # Shield the task from a cancellation of the caller: asyncio would lose the sockets that it has just opened.
        # `close` waits for the task.
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
        """Set the description of the other peer, which may then connect."""
        if not self._other.done():
            self._other.set_result(other)

    def dial(self, other: Description) -> None:
        """Start to connect to the offering peer `other`, in a background task."""
        self.expect(other)
        self.run(self._dial(other))

    def run(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run `work` as a task, which is cancelled when the link is closed."""
        task = self._loop.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._done)
        return task

    def cut(self) -> None:
        """Send and receive nothing from now on, as if a cable were cut."""
        self._is_cut = True

    def impair(self, network: DatagramNetwork) -> None:
        """Let everything pass through `network` from now on, except the connecting and closing of the link."""
        if self._impaired is None:
            self._impaired = ImpairedLink(network)
        self._impaired.network = network

    def say(self, kind: MessageKind, payload: bytes = b"") -> None:
        """Send a message over TCP. Do nothing unless the link is connected."""
        if self._is_cut or self.state is not LinkState.CONNECTED:
            return
        message = written(kind, payload)
        if self._impaired is None or self._closing:
            self._write(message)
        else:
            self._impaired.sent.add(len(message), functools.partial(self._write, message))

    def _write(self, message: bytes) -> None:
        if not self._is_cut:
            self._unheard.add(message)
            if self._writer is not None:
                self._writer.write(message)

    def show(self, datagram: bytes) -> None:
        """Send a datagram, such as that of a frame. Do nothing unless the link is connected."""
        if self._impaired is None or self._closing:
            self._send(datagram)
        else:
            send = functools.partial(self._send, datagram)
            self._impaired.datagram("to_client", _kind_of(datagram), len(datagram), send)

    def _send(self, datagram: bytes) -> None:
        if self._udp is not None and not self._is_cut and self.state is LinkState.CONNECTED:
            self._udp.sendto(datagram, self._remote)

    def lost_frame(self) -> None:
        """Notify the other peer that a frame was lost (PLI, RFC 4585)."""
        self.show(bytes([DatagramKind.LOST]))

    async def flush(self, limit: float) -> bool:
        """Wait up to `limit` seconds until all messages are sent. Return True, or False if the time ran out."""
        if self._writer is None or self._is_cut:
            return True
        try:
            async with asyncio.timeout(limit):
                await self._writer.drain()
        except TimeoutError:
            return False
        except OSError:
            pass  # the connection broke, so no data waits to be sent
        return True

    def later(self, seconds: float, then: Callable[[], None]) -> None:
        """Call `then` after `seconds`, unless the link is closed first."""
        self.run(after(seconds, then))

    async def close(self, last_words: bytes = b"") -> None:
        """Close the sockets and end the tasks of the link. If it is connected, first send a goodbye message.

        `last_words`: the payload of the goodbye message (`BYE`).

        May be called more than once.
        """
        first, self._closing = not self._closing, True
        if first:
            if self._impaired is not None:
                self._impaired.close()
            self.say(MessageKind.BYE, last_words)
            # This datagram arrives even if the TCP connection is broken and one of the peers has not noticed it yet.
            self.show(bytes([DatagramKind.GONE]))
        if self._consent is not None:
            self._consent.cancel()
        tasks: list[asyncio.Task[Any]] = list(self._tasks)  # Any: the results are not used
        for task in tasks:
            task.cancel()
        if self._gathering is not None:
            tasks.append(self._gathering)
        # Ignore exceptions: `_done` reports those of tasks, and `gather` has raised its own.
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
            for writer in list(self._writers):
                await closed(writer, at_once=self._is_cut)
        finally:
            # Release everything even if this call is cancelled.
            self._release()

    # Tasks.

    async def _dial(self, other: Description) -> None:
        assert self._own is not None, "expected a call of gather() before dial(), got none"
        try:
            async with asyncio.timeout(CHECK_LIMIT):
                reader, writer, hello = await self._reached(self._own, other)
        except TimeoutError:
            self._go(LinkState.FAILED)
            return
        while self.state is not LinkState.FAILED:
            who, _, heard = hello.rpartition(b" ")
            if who != _hello(other, self._own):
                # The certificate of the other peer is not the one in its description (RFC 8827 section 5.1).
                self._go(LinkState.FAILED)
                return
            self._go_on(other, writer, int(heard))
            if await self._listen(reader, writer):
                return
            reader, writer, hello = await self._reached(self._own, other)

    async def _reached(
        self, own: Description, other: Description
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
        """Try to connect until the other peer replies. Return reader, writer, and the payload of the `HELLO` reply."""
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
        """Reply to a peer that has connected, if it is the expected peer, and receive its messages."""
        assert self._own is not None, "expected a call of gather() before a peer connects, got none"
        try:
            _, hello = await read(reader)
        except (OSError, EOFError):
            writer.close()
            return
        if self._is_cut:
            return  # the other peer keeps waiting
        other = await self._other
        who, _, heard = hello.rpartition(b" ")
        if who != _hello(other, self._own) or self.state in {LinkState.CLOSED, LinkState.FAILED}:
            writer.close()
            return
        writer.write(written(MessageKind.HELLO, _hello(self._own, other) + b" %d" % self._heard))
        self._go_on(other, writer, int(heard))
        await self._listen(reader, writer)
        while self._writer is None and self.is_up and not self._is_cut:
            # The other peer may not have noticed that the connection broke.
            self.show(bytes([DatagramKind.BROKEN]))
            await pause(CHECK_INTERVAL)

    def _go_on(self, other: Description, writer: asyncio.StreamWriter, heard: int) -> None:
        """Use a new TCP connection, and send the messages again that the other peer has not received.

        `heard`: the number of messages that the other peer has received.
        """
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
        """Receive messages. Return True after a goodbye, and False when the connection breaks."""
        try:
            while True:
                kind, payload = await read(reader)
                self._heard += 1
                if self._impaired is None:
                    self._take(kind, payload)
                else:
                    self._impaired.received.add(len(payload), functools.partial(self._take, kind, payload))
                if kind is MessageKind.BYE:
                    return True
        except (OSError, EOFError):
            if self._writer is writer:
                self._writer = None
            return False

    def _take(self, kind: MessageKind, payload: bytes) -> None:
        if not self._is_cut and self.is_up:
            self._listener.message(kind, payload)

    def said_goodbye(self) -> None:
        """Mark the link as closed.

        Call this after the goodbye of the other peer and all earlier messages have been handled.
        """
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

    def _received(self, data: bytes, address: tuple[Any, ...]) -> None:  # Any: asyncio's type of addresses
        if self._impaired is None:
            self._take_datagram(data, address)
        else:
            take = functools.partial(self._take_datagram, data, address)
            self._impaired.datagram("from_client", _kind_of(data), len(data), take)

    def _take_datagram(self, data: bytes, address: tuple[Any, ...]) -> None:  # Any: asyncio's type of addresses
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

    # Cleanup.

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


def _kind_of(datagram: bytes) -> TrafficKind:
    """Return the kind of the real datagram for which a datagram of a light peer stands."""
    match datagram[0]:
        case DatagramKind.FRAME | DatagramKind.LOST:
            return "media"
        case DatagramKind.PING | DatagramKind.PONG:
            return "stun"
        case _:
            return "data_channels"
