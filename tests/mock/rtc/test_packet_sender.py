"""Tests of the sender of encoded frames: it sends the same bytes as aiortc's sender, the reference of these tests."""

import asyncio
import datetime
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast
from unittest import mock

import av
import pytest
from aiortc import RTCPeerConnection, RTCRtpSender, RTCRtpTransceiver, RTCStatsReport, clock
from aiortc.codecs.h264 import H264Encoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpHeaderExtensionParameters, RTCRtpSendParameters
from aiortc.rtp import RtcpPsfbPacket, RtcpReceiverInfo, RtcpRrPacket, RtcpRtpfbPacket, RtpPacket, is_rtcp
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.media.encoder import Codec, VideoPacket
from odyssey_mock.rtc.packet_sender import ABS_SEND_TIME, MID, PacketSender, send_packets
from odyssey_mock.rtc.packet_track import PacketTrack
from tests.support.simulated_loops import play
from tests.support.simulated_worlds import wait

NOW = datetime.datetime(2026, 5, 4, 3, 2, 1, 654321, datetime.UTC)
NACK, PLI, FIR = 1, 1, 4
"""Numbers of RTCP feedback messages (RFC 4585, RFC 5104)."""
FPS = 20


class Wire:
    """A DTLS transport that keeps what is sent."""

    state = "connected"
    _stats_id = "transport"

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.error: Exception | None = None
        self.senders: list[object] = []

    async def _send_rtp(self, data: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append(data)

    def _register_rtp_sender(self, sender: object, parameters: RTCRtpSendParameters) -> None:
        self.senders.append(sender)

    def _unregister_rtp_sender(self, sender: object) -> None:
        self.senders.remove(sender)

    def _get_stats(self) -> RTCStatsReport:
        return RTCStatsReport()


@dataclass(frozen=True)
class Agreement:
    """What two peers have agreed on."""

    codec: Codec = "h264"
    mid: int | None = 1
    time: int | None = 2
    rtx: bool = True

    @property
    def parameters(self) -> RTCRtpSendParameters:
        mime = "video/H264" if self.codec == "h264" else "video/VP8"
        codecs = [RTCRtpCodecParameters(mimeType=mime, clockRate=90_000, payloadType=97)]
        for payload_type, other in ((98, 96), (99, 97)) if self.rtx else ():
            codecs.append(
                RTCRtpCodecParameters(
                    mimeType="video/rtx", clockRate=90_000, payloadType=payload_type, parameters={"apt": other}
                )
            )
        extensions = [(MID, self.mid), (ABS_SEND_TIME, self.time)]
        parameters = RTCRtpSendParameters(
            codecs=codecs,
            headerExtensions=[RTCRtpHeaderExtensionParameters(id=each, uri=uri) for uri, each in extensions if each],
            muxId="video-1",
        )
        parameters.rtcp.cname = "mock"
        return parameters


def frame(index: int, body: bytes, codec: Codec = "h264") -> VideoPacket:
    """Return frame `index`; each H.264 frame has a short NAL unit before the one with `body`."""
    data = b"\0\0\0\1\x67\x42\0\0\1\x65" + body if codec == "h264" else body
    made = av.Packet(data)
    made.pts, made.time_base, made.is_keyframe = index, Fraction(1, FPS), True
    return cast("VideoPacket", made)


type MakeSender = Callable[[PacketTrack, Wire], RTCRtpSender]


def aiortcs(track: PacketTrack, wire: Wire) -> RTCRtpSender:
    return RTCRtpSender(track, wire)  # type: ignore[arg-type]  # a stand-in


def ours(track: PacketTrack, wire: Wire) -> RTCRtpSender:
    return cast("RTCRtpSender", PacketSender(track, cast("Any", wire), lambda: None))


def sent(
    make: MakeSender, agreement: Agreement, scenario: Callable[[RTCRtpSender, PacketTrack, Wire], Any], fill: int = 0
) -> list[bytes]:
    """Return what a sender sends in `scenario`, without chance and at one moment."""
    wire = Wire()

    async def main() -> None:
        track = PacketTrack()
        sender = make(track, wire)
        await sender.send(agreement.parameters)
        await wait(0)
        await scenario(sender, track, wire)

    with (
        mock.patch("os.urandom", lambda length: bytes([fill]) * length),
        mock.patch("random.randint", return_value=2**15 - 2),  # the first picture number of VP8
        mock.patch("random.random", return_value=0.0),
        mock.patch.object(clock, "current_datetime", return_value=NOW),
    ):
        play(main)
    return wire.sent


ids = st.none() | st.integers(1, 14) | st.integers(15, 255)
bodies = st.integers(1, 4000).map(lambda length: b"\x9a" * length)


@given(
    st.lists(bodies, min_size=1, max_size=6),
    st.builds(Agreement, codec=st.sampled_from(["h264", "vp8"]), mid=ids, time=ids, rtx=st.booleans()),
    st.lists(st.integers(0, 12), max_size=5),
    st.sampled_from([0, 0xFF]),
)
def test_packets_and_retransmissions_are_those_of_aiortc(
    frames: list[bytes], agreement: Agreement, lost: list[int], fill: int
) -> None:
    if agreement.mid == agreement.time:
        agreement = Agreement(agreement.codec, agreement.mid, None, agreement.rtx)
    first = int.from_bytes(bytes([fill]) * 2) % 2**15
    made = [frame(index, body, agreement.codec) for index, body in enumerate(frames)]

    async def scenario(sender: RTCRtpSender, track: PacketTrack, wire: Wire) -> None:
        for packet in made:
            track.push(packet)
            await wait(0.01)
        nack = RtcpRtpfbPacket(fmt=NACK, ssrc=1, media_ssrc=2, lost=[first + number for number in lost])
        await sender._handle_rtcp_packet(nack)
        await sender.stop()

    expected = sent(aiortcs, agreement, scenario, fill)
    assert sum(not is_rtcp(each) for each in expected) >= len(frames)
    assert sent(ours, agreement, scenario, fill) == expected


def test_reports_and_end_are_those_of_aiortc() -> None:
    async def scenario(sender: RTCRtpSender, track: PacketTrack, wire: Wire) -> None:
        for index in range(80):
            track.push(frame(index, bytes(2000)))
            await wait(1 / FPS)
        await sender.stop()

    expected = [each for each in sent(aiortcs, Agreement(), scenario) if is_rtcp(each)]
    assert len(expected) == 8, "expected a report every 0.5 s in 4 s, and the end"
    assert [each for each in sent(ours, Agreement(), scenario) if is_rtcp(each)] == expected


def test_statistics_are_those_of_aiortc() -> None:
    def reports_of(make: MakeSender) -> list[dict[str, Any]]:
        reports: list[dict[str, Any]] = []

        async def scenario(sender: RTCRtpSender, track: PacketTrack, wire: Wire) -> None:
            track.push(frame(0, bytes(5000)))
            await wait(0.7)
            received = RtcpReceiverInfo(
                ssrc=sender._ssrc,
                fraction_lost=3,
                packets_lost=1,
                highest_sequence=4,
                jitter=5,
                lsr=clock.current_ntp_time() >> 16 & 0xFFFFFFFF,
                dlsr=6554,
            )
            other = RtcpReceiverInfo(**{**vars(received), "ssrc": 77, "packets_lost": 3})
            await sender._handle_rtcp_packet(RtcpRrPacket(ssrc=8, reports=[other, received]))
            reports.extend(vars(report) for report in (await sender.getStats()).values())
            await sender.stop()

        with mock.patch("time.time", NOW.timestamp):
            sent(make, Agreement(), scenario)
        return [{name: value for name, value in each.items() if name not in {"id", "trackId"}} for each in reports]

    expected = sorted(reports_of(aiortcs), key=lambda report: str(report["type"]))
    assert [report["type"] for report in expected] == ["outbound-rtp", "remote-inbound-rtp"]
    assert expected[1].pop("roundTripTime") == pytest.approx(-6554 / 65536, abs=1e-6)
    found = sorted(reports_of(ours), key=lambda report: str(report["type"]))
    assert found[1].pop("roundTripTime") == pytest.approx(-6554 / 65536, abs=1e-6)
    assert found == expected


@pytest.mark.parametrize("kind", [PLI, FIR])
async def test_receiver_may_request_key_frames(kind: int) -> None:
    requests: list[int] = []
    sender = PacketSender(PacketTrack(), cast("Any", Wire()), lambda: requests.append(1))
    await sender._handle_rtcp_packet(RtcpPsfbPacket(fmt=kind, ssrc=1, media_ssrc=2))
    assert requests == [1]


async def test_queued_packets_are_sent_first() -> None:
    wire, track = Wire(), PacketTrack()
    for index in range(3):
        track.push(frame(index, b"\x01"))
    sender = ours(track, wire)
    assert wire.sent == []
    await sender.send(Agreement().parameters)
    track.push(frame(3, b"\x01"))
    times = [RtpPacket.parse(data).timestamp for data in wire.sent]
    assert [(after - times[0]) % 2**32 for after in times] == [0, 4500, 9000, 13500]
    await sender.stop()


@pytest.mark.parametrize("error", [ConnectionError("closed"), ValueError("packet is too long")])
async def test_failure_ends_the_track_but_not_its_source(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    wire, track = Wire(), PacketTrack()
    sender = ours(track, wire)
    await sender.send(Agreement().parameters)
    wire.error = error
    assert track.push(frame(0, b"\x01"))
    assert track.readyState == "ended"
    assert ("packet is too long" in caplog.text) == isinstance(error, ValueError)
    wire.error = None
    track.push(frame(1, b"\x01"))
    assert wire.sent == [], "expected no packet after the end of the track"
    await sender.stop()


async def test_stopped_sender_sends_nothing_more() -> None:
    wire, track = Wire(), PacketTrack()
    sender = ours(track, wire)
    await sender.send(Agreement().parameters)
    assert wire.senders == [sender]
    await sender.stop()
    assert (wire.senders, track.readyState) == ([], "ended")
    sent_before = list(wire.sent)
    track.push(frame(0, b"\x01"))
    await sender.stop()
    await sender.send(Agreement().parameters)
    assert wire.sent == sent_before
    timers: list[asyncio.TimerHandle] = vars(asyncio.get_running_loop())["_scheduled"]
    assert [each for each in timers if not each.cancelled() and "PacketSender" in repr(each)] == []


@pytest.mark.parametrize("make", [aiortcs, ours])
async def test_end_leaves_time_for_arrived_datagrams(make: MakeSender) -> None:
    sender = make(PacketTrack(), Wire())
    await sender.send(Agreement().parameters)
    await wait(0.01)
    turns, ending = 0, asyncio.create_task(sender.stop())
    while not ending.done():
        await wait(0)
        turns += 1
    assert turns == 7


async def test_disabled_sender_drops_packets() -> None:
    wire, track = Wire(), PacketTrack()
    sender = ours(track, wire)
    sender._enabled = False
    await sender.send(Agreement().parameters)
    track.push(frame(0, b"\x01"))
    assert wire.sent == []
    await sender.stop()


async def test_all_receivers_share_the_payloads_of_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    split = H264Encoder.pack
    frames: list[object] = []

    def counted(encoder: H264Encoder, packet: VideoPacket) -> tuple[list[bytes], int]:
        frames.append(packet)
        return split(encoder, packet)

    monkeypatch.setattr(H264Encoder, "pack", counted)
    wires, tracks = [Wire() for _ in range(3)], [PacketTrack() for _ in range(3)]
    senders = [ours(track, wire) for track, wire in zip(tracks, wires, strict=True)]
    for sender in senders:
        await sender.send(Agreement().parameters)
    packet = frame(0, bytes(5000))
    for track in tracks:
        track.push(packet)
    assert frames == [packet]
    payloads = [[RtpPacket.parse(data).payload for data in wire.sent] for wire in wires]
    assert payloads == [payloads[0]] * 3
    assert sum(map(len, payloads[0])) > 5000
    for sender in senders:
        await sender.stop()


async def test_transceiver_keeps_the_identity_that_it_has_described() -> None:
    connection = RTCPeerConnection()
    transceiver = connection.addTransceiver("video", direction="sendonly")
    before = transceiver.sender
    send_packets(transceiver, PacketTrack(), lambda: None)
    sender: object = transceiver.sender
    assert isinstance(sender, PacketSender)
    assert (sender._ssrc, sender._stream_id) == (before._ssrc, before._stream_id)
    await connection.close()


async def test_other_version_of_aiortc_keeps_its_sender(caplog: pytest.LogCaptureFixture) -> None:
    class Transceiver:
        def __init__(self, sender: RTCRtpSender) -> None:
            self.sender = sender

    track, requests = PacketTrack(), list[int]()
    sender = RTCRtpSender("video", Wire())  # type: ignore[arg-type]  # a stand-in
    transceiver = Transceiver(sender)
    send_packets(cast("RTCRtpTransceiver", transceiver), track, lambda: requests.append(1))
    assert (transceiver.sender, sender.track) == (sender, track)
    await sender._handle_rtcp_packet(RtcpPsfbPacket(fmt=PLI, ssrc=1, media_ssrc=2))
    assert requests == [1]
    assert "no replaceable sender" in caplog.text
