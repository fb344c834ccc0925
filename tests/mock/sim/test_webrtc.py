"""Tests of what a simulated run replaces in aiortc: threads, the timer of OpenSSL, and randomness."""

import asyncio
import queue
import threading
from contextlib import suppress
from unittest import mock

from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceTransport, rtcrtpreceiver
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcdtlstransport import SRTP_PROFILES
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av import VideoFrame
from OpenSSL import SSL

from odyssey_mock.media.encoder import VideoEncoder
from odyssey_mock.media.timeline import Size
from odyssey_mock.sim import webrtc
from odyssey_mock.sim.loop import SimulatedLoop


def test_decoding_continues_after_a_broken_frame() -> None:
    loop = SimulatedLoop(1)
    inbox, frames, failed = webrtc._Inbox(), asyncio.Queue[VideoFrame | None](), threading.Event()
    decoding = webrtc._Decoding(target=rtcrtpreceiver.decoder_worker, name="video", args=(loop, inbox, frames, failed))
    codec = RTCRtpCodecParameters(mimeType="video/H264", clockRate=90000, payloadType=100)
    encoder = VideoEncoder("h264", Size(88, 160), fps=20)
    packet = bytes(encoder.encode(VideoFrame(88, 160, "yuv420p"), 0))

    decoding.start()
    inbox.put((codec, JitterFrame(data=b"no picture", timestamp=0)))
    inbox.put((codec, JitterFrame(data=packet, timestamp=1)))
    assert not failed.is_set(), (
        "expected the decoding to start when join() is called or the event loop runs, got an earlier start"
    )
    inbox.put(None)
    decoding.join()
    assert failed.is_set()
    assert isinstance(loop.run_until_complete(frames.get()), VideoFrame)
    assert loop.run_until_complete(frames.get()) is None
    assert not inbox
    loop.close()


def test_aiortc_is_unchanged_outside_of_runs() -> None:
    async def made() -> tuple[type, type, str]:
        names = vars(rtcrtpreceiver)
        thread = names["threading"].Thread(
            target=rtcrtpreceiver.decoder_worker, name="video", args=(None, names["queue"].Queue(), None, None)
        )
        certificate = RTCCertificate.generateCertificate()
        return type(thread), type(names["queue"].Queue()), certificate.getFingerprints()[0].value

    before = vars(rtcrtpreceiver) | vars(RTCIceTransport) | vars(RTCDtlsTransport)
    with webrtc.webrtc():
        simulated = SimulatedLoop(1)
        assert simulated.run_until_complete(made())[:2] == (webrtc._Decoding, webrtc._Inbox)
        ours = {simulated.run_until_complete(made())[2] for _ in range(webrtc.CERTIFICATES)}
        simulated.close()
        thread, inbox, certificate = asyncio.run(made())
        assert (thread, inbox) == (threading.Thread, queue.Queue)
        assert certificate not in ours
    assert vars(rtcrtpreceiver) | vars(RTCIceTransport) | vars(RTCDtlsTransport) == before
    assert asyncio.run(made())[2] not in ours


def test_dtls_records_that_openssl_repeats_are_dropped() -> None:
    """A simulated run drops the DTLS records that OpenSSL sends again after a timeout.

    OpenSSL measures its timeouts in real time, so a run with these records would depend on the speed of the machine.
    """
    client, server = (
        webrtc._Untimed(RTCCertificate.generateCertificate()._create_ssl_context(SRTP_PROFILES)) for _ in range(2)
    )
    client.set_connect_state()
    server.set_accept_state()
    read = SSL.Connection.bio_read
    sent = {client: b"", server: b""}

    def read_all_again(connection: webrtc._Untimed, size: int) -> bytes:
        sent[connection] += read(connection, size)
        return sent[connection]

    flights = []
    with mock.patch.object(SSL.Connection, "bio_read", read_all_again):
        for one, other in [(client, server), (server, client)] * 3:
            with suppress(SSL.WantReadError):
                one.do_handshake()
            with suppress(SSL.WantReadError):
                flights.append(one.bio_read(1500))
                other.bio_write(flights[-1])
    assert (client.get_protocol_version_name(), client.get_cipher_name()) == ("DTLSv1.2", server.get_cipher_name())
    assert len(flights) == 4
    assert b"".join(flights[::2]) == sent[client]
    assert b"".join(flights[1::2]) == sent[server]
    assert client.DTLSv1_get_timeout() is None
