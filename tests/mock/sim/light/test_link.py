"""Tests of the link between two light peers: connecting, messages, reconnecting, closing and loss.

Light peers replace WebRTC peers in simulated runs: they report the same events, but their video has no pixels.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from odyssey_mock.sim.light import link as module
from odyssey_mock.sim.light.description import CODECS, Description, Section
from odyssey_mock.sim.light.link import DatagramKind, Link, LinkListener, LinkState, MessageKind, pause, written
from tests.support.leftovers import nothing_left
from tests.support.loopback import HOST

LIMIT = 20.0
SECTIONS = [Section("video", "sendonly", CODECS), Section("application")]


class End:
    """One end of a link between two light peers, which imitate WebRTC peers. It records its callbacks."""

    def __init__(self) -> None:
        self.states: list[LinkState] = []
        self.said: list[tuple[MessageKind, bytes]] = []
        self.frames: list[bytes] = []
        self.lost = 0
        self._changed = asyncio.Event()
        self.link = Link(HOST, LinkListener(self._state, self._message, self._frame, self._frame_lost), SECTIONS)

    async def until(self, state: LinkState) -> None:
        """Wait until the link has reached `state`."""
        while state not in self.states:
            await self.change()

    async def change(self) -> None:
        """Wait for the next callback."""
        self._changed.clear()
        await self._changed.wait()

    def _state(self, state: LinkState) -> None:
        self.states.append(state)
        self._changed.set()

    def _message(self, kind: MessageKind, payload: bytes) -> None:
        self.said.append((kind, payload))
        self._changed.set()
        if kind is MessageKind.BYE:
            self.link.said_goodbye()

    def _frame(self, datagram: bytes) -> None:
        self.frames.append(datagram)
        self._changed.set()

    def _frame_lost(self) -> None:
        self.lost += 1
        self._changed.set()


@asynccontextmanager
async def two() -> AsyncIterator[tuple[End, End, Description, Description]]:
    """Yield the two ends of an unconnected link, the offering end first, then their descriptions in the same order."""
    async with nothing_left(), asyncio.timeout(LIMIT):
        offers, answers = End(), End()
        try:
            yield offers, answers, await offers.link.gather(listens=True), await answers.link.gather(listens=False)
        finally:
            await answers.link.close()
            await offers.link.close()


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[End, End]]:
    async with two() as (offers, answers, offer, answer):
        answers.link.dial(offer)
        offers.link.expect(answer)
        await offers.until(LinkState.CONNECTED)
        await answers.until(LinkState.CONNECTED)
        yield offers, answers


async def test_messages_and_frames_arrive_in_order() -> None:
    async with connected() as (offers, answers):
        for number in range(100):
            offers.link.say(MessageKind.TEXT, b"%d" % number)
            offers.link.show(bytes([DatagramKind.FRAME, number]))
        answers.link.say(MessageKind.TEXT, b"x" * 300_000)
        answers.link.lost_frame()
        while len(answers.said) < 100 or len(answers.frames) < 100:
            await answers.change()
        while not (offers.said and offers.lost):
            await offers.change()
        assert answers.said == [(MessageKind.TEXT, b"%d" % number) for number in range(100)]
        assert answers.frames == [bytes([DatagramKind.FRAME, number]) for number in range(100)]
        assert (offers.said, offers.lost) == ([(MessageKind.TEXT, b"x" * 300_000)], 1)


async def test_goodbye_follows_all_messages() -> None:
    async with connected() as (offers, answers):
        offers.link.say(MessageKind.TEXT, b"the last")
        assert await offers.link.flush(LIMIT)
        await offers.link.close(b"\0\0\0\7")
        await answers.until(LinkState.CLOSED)
        assert answers.said == [(MessageKind.TEXT, b"the last"), (MessageKind.BYE, b"\0\0\0\7")]
        assert offers.states == [LinkState.CONNECTED], (
            f"expected the side that called close() to report only the state CONNECTED, got {offers.states}"
        )
        answers.link.say(MessageKind.TEXT, b"not received")
        await offers.link.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONSENT_INTERVAL", 0.02)
    monkeypatch.setattr(module, "CHECK_INTERVAL", 0.01)


@pytest.mark.usefixtures("impatient")
async def test_silence_fails_both_ends() -> None:
    async with connected() as (offers, answers):
        offers.link.cut()
        offers.link.say(MessageKind.TEXT, b"not received")
        offers.link.show(bytes([DatagramKind.FRAME]))
        answers.link.say(MessageKind.TEXT, b"nor this")
        await offers.until(LinkState.FAILED)
        await answers.until(LinkState.FAILED)
        assert (answers.said, answers.frames, offers.said) == ([], [], [])


@pytest.mark.usefixtures("impatient")
async def test_consent_keeps_an_idle_link_connected() -> None:
    async with connected() as (offers, answers):
        over = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.02 * 3 * module.CONSENT_FAILURES, over.set_result, None)
        await over
        assert offers.states == answers.states == [LinkState.CONNECTED]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("breaks", ["offers", "answers"])
@pytest.mark.parametrize("both_know", [True, False])
async def test_broken_tcp_connection_is_replaced_without_loss(breaks: str, both_know: bool) -> None:
    async with connected() as (offers, answers):
        for number in range(30):
            offers.link.say(MessageKind.TEXT, b"from one %d" % number)
            answers.link.say(MessageKind.TEXT, b"from the other %d" % number)
            if number % 10 == 5:
                end = (offers if breaks == "offers" else answers).link
                while end._writer is None:
                    await asyncio.wait([asyncio.ensure_future(pause(0.001))])
                if both_know:
                    end._writer.transport.abort()
                else:
                    half_opened(end)
        while len(answers.said) < 30 or len(offers.said) < 30:
            await asyncio.wait([asyncio.ensure_future(pause(0.001))])
        assert answers.said == [(MessageKind.TEXT, b"from one %d" % number) for number in range(30)]
        assert offers.said == [(MessageKind.TEXT, b"from the other %d" % number) for number in range(30)]
        assert offers.states == answers.states == [LinkState.CONNECTED]


def half_opened(link: Link) -> None:
    """Make `link` lose its TCP connection without notifying the other end."""
    writer, link._writer = link._writer, None
    assert writer is not None
    transport = writer.transport
    assert isinstance(transport, asyncio.Transport)
    transport.pause_reading()
    protocol = transport.get_protocol()
    protocol.connection_lost(ConnectionResetError())
    transport.set_protocol(asyncio.Protocol())


@pytest.mark.usefixtures("impatient")
async def test_close_arrives_despite_a_broken_connection() -> None:
    async with connected() as (offers, answers):
        offers.link.say(MessageKind.TEXT, b"heard")
        while not answers.said:
            await answers.change()
        half_opened(offers.link)
        await offers.link.close()
        await answers.until(LinkState.CLOSED)


@pytest.mark.usefixtures("impatient")
async def test_received_messages_are_not_kept() -> None:
    async with connected() as (offers, answers):
        offers.link.say(MessageKind.TEXT, b"heard")
        while offers.link._unheard:
            await asyncio.wait([asyncio.ensure_future(pause(0.001))])
        assert answers.said


@pytest.mark.usefixtures("impatient")
async def test_dialing_is_retried_and_unknown_peers_are_rejected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with two() as (offers, answers, offer, answer):
        assert offer.tcp_port is not None
        tries = 0
        dial = asyncio.open_connection

        async def refused_twice(*where: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            nonlocal tries
            tries += 1
            if tries < 3:
                raise ConnectionRefusedError
            return await dial(*where)  # type: ignore[arg-type]  # arguments are passed through

        stranger, writer = await asyncio.open_connection(HOST, offer.tcp_port)
        writer.write(written(MessageKind.HELLO, b"who knows me 0"))
        monkeypatch.setattr(asyncio, "open_connection", refused_twice)
        answers.link.dial(offer)
        offers.link.expect(answer)
        await offers.until(LinkState.CONNECTED)
        assert tries == 3
        assert await stranger.read() == b""
        writer.close()
        await writer.wait_closed()


@pytest.mark.usefixtures("impatient")
async def test_checks_without_a_reply_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECK_LIMIT", 0.1)
    async with two() as (offers, answers, offer, _):
        offers.link.cut()
        answers.link.dial(offer)
        await answers.until(LinkState.FAILED)
        assert offers.states == []


async def test_unexpected_certificate_is_a_failure() -> None:
    async with two() as (offers, answers, offer, answer):
        answers.link.dial(Description(HOST, offer.udp_port, offer.tcp_port, offer.sections, "00:00", offer.ufrag))
        offers.link.expect(answer)
        await answers.until(LinkState.FAILED)
        assert answers.states == [LinkState.FAILED]


def test_description_survives_a_round_trip() -> None:
    sections = [Section("video", "recvonly", ("vp8",)), Section("audio", "inactive"), Section("application")]
    for tcp_port in (None, 4567):
        written = Description.of(HOST, 1234, tcp_port, sections)
        assert Description.parse(written.text("actpass")) == written
        assert Description.parse(written.text("active").replace("\r\n", "\n")) == written
    assert Description.of(HOST, 1, None, []).fingerprint != Description.of(HOST, 2, None, []).fingerprint


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (("a=fingerprint", "a=print"), "expected an a=fingerprint line"),
        (("a=mid:1", "a=mid:0"), "unique a=mid"),
        (("a=mid:1\r\n", ""), "unique a=mid"),
        (("a=candidate", "a=other"), "expected a UDP host candidate"),
        (("a=ice-ufrag", "a=ice"), "expected a line that begins with a=ice-ufrag"),
        (("m=application 1234 UDP/DTLS/SCTP webrtc-datachannel", "m=application"), "expected a port"),
    ],
)
def test_invalid_description_is_rejected_with_a_reason(wrong: tuple[str, str], why: str) -> None:
    text = Description.of(HOST, 1234, 4567, SECTIONS).text("actpass").replace(*wrong)
    with pytest.raises(ValueError, match=why):
        Description.parse(text)
