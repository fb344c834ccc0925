"""Tests of the defaults of session descriptions, and of the answers to valid and mutated WHEP offers."""

import asyncio
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odyssey_mock.rtc.complete_sdp import SdpError, complete_sdp
from odyssey_mock.rtc.host_candidates import HostCandidates
from odyssey_mock.rtc.packet_track import PacketTrack
from odyssey_mock.rtc.remote_description import DescriptionError
from odyssey_mock.rtc.spectator_peer import AiortcSpectatorPeer

FINGERPRINT = "sha-256 " + ":".join(["7B"] * 32)
TRANSPORT = f"a=ice-ufrag:Oyef\na=ice-pwd:gKkcSxZJ9oTZQ0VqXXb2iGUs\na=fingerprint:{FINGERPRINT}\na=setup:actpass\n"
SESSION = "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\n"
VIDEO = (
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97\nc=IN IP4 0.0.0.0\na=mid:0\na=rtcp-mux\na=recvonly\n"
    "a=rtpmap:96 VP8/90000\na=rtcp-fb:96 nack pli\na=rtpmap:97 rtx/90000\na=fmtp:97 apt=96\n" + TRANSPORT
)
AUDIO = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\nc=IN IP4 0.0.0.0\na=mid:1\na=rtcp-mux\na=recvonly\n"
    "a=rtpmap:111 opus/48000/2\n" + TRANSPORT
)
DATA = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\na=mid:2\na=sctp-port:5000\n" + TRANSPORT
BOTH = f"{SESSION}a=group:BUNDLE 0 1\n{VIDEO}{AUDIO}"

VALID = {
    "video": SESSION + VIDEO,
    "audio, video and data": f"{SESSION}a=group:BUNDLE 1 0 2\n{AUDIO}{VIDEO}{DATA}",
    "no direction": (SESSION + VIDEO).replace("a=recvonly\n", ""),
    "direction of the session": f"{SESSION}a=recvonly\n{VIDEO}".replace("rtcp-mux\na=recvonly\n", "rtcp-mux\n"),
    "another direction of the session": f"{SESSION}a=inactive\n{VIDEO}",
    "no mid": re.sub("a=mid:.\n", "", SESSION + VIDEO + AUDIO),
    "bundle-only": BOTH.replace("m=audio 9", "m=audio 0").replace("a=mid:1\n", "a=mid:1\na=bundle-only\n"),
    "bundle-only without transport": f"{SESSION}a=group:BUNDLE 0 1\n{VIDEO}"
    + AUDIO.replace(TRANSPORT, "").replace("m=audio 9", "m=audio 0").replace("a=rtcp-mux", "a=bundle-only"),
    "bundle-only video": f"{SESSION}a=group:BUNDLE 1 0\n{AUDIO}"
    + VIDEO.replace("m=video 9", "m=video 0").replace("a=recvonly", "a=bundle-only"),
    "rejected audio": BOTH.replace("m=audio 9", "m=audio 0").replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0"),
    "rejected audio without transport": f"{SESSION}a=group:BUNDLE 0\n{VIDEO}"
    + AUDIO.replace(TRANSPORT, "").replace("m=audio 9", "m=audio 0").replace("a=rtcp-mux\n", ""),
    "mid of one section is the number of another": SESSION
    + VIDEO.replace("a=mid:0\n", "")
    + AUDIO.replace("a=mid:1", "a=mid:0"),
    "transport of the session": SESSION + TRANSPORT + VIDEO.replace(TRANSPORT, ""),
    "second video receives": SESSION
    + "a=group:BUNDLE 0 1\n"
    + VIDEO.replace("a=recvonly", "a=sendonly")
    + VIDEO.replace("a=mid:0", "a=mid:1"),
    "trailing spaces": (SESSION + VIDEO).replace("\n", " \n"),
    "blank lines": f"\n{SESSION}{VIDEO}\n\n",
    "ICE lite": f"{SESSION}a=ice-lite\n{VIDEO}",
    "mixed extensions": f"{SESSION}a=extmap-allow-mixed\n{VIDEO}a=extmap:13/recvonly urn:3gpp:video-orientation\n",
}
"""Valid offers of a spectator, in forms of browsers, GStreamer, Pion and RFC 8866 and RFC 9143."""

INVALID = {
    "no rtcp-mux": ((SESSION + VIDEO).replace("a=rtcp-mux\n", ""), "expected an a=rtcp-mux line"),
    "no ufrag": ((SESSION + VIDEO).replace("a=ice-ufrag:Oyef\n", ""), "expected an a=ice-ufrag line"),
    "no setup": ((SESSION + VIDEO).replace("a=setup:actpass\n", ""), "expected an a=setup line"),
    "the session sends only": (
        f"{SESSION}a=sendonly\n{VIDEO}".replace("a=recvonly\n", ""),
        "expected a video section with a=recvonly or a=sendrecv",
    ),
    "rejected video": ((SESSION + VIDEO).replace("m=video 9", "m=video 0"), "got none that receives"),
    "text": (f"{SESSION}{VIDEO}m=text 9 RTP/AVP 98\n", "expected audio, video and application sections"),
    "no sections": (SESSION + TRANSPORT, "expected media sections"),
}


async def answer_to(offer: str) -> str:
    """Return the mock's answer to a spectator's offer."""
    peer = AiortcSpectatorPeer(
        PacketTrack(),
        ["127.0.0.1"],
        HostCandidates(),
        (),
        on_connected=_nothing,
        on_lost=_nothing,
        on_keyframe_wanted=_nothing,
    )
    async with peer:
        answer, _ = await peer.answer(offer)
        return answer


def _nothing() -> None: ...


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"], ids=["CRLF", "LF", "CR"])
async def test_offer_may_end_lines_in_any_way(end: str) -> None:
    assert "a=sendonly" in await answer_to((SESSION + VIDEO).replace("\n", end))


@pytest.mark.parametrize("offer", VALID.values(), ids=list(VALID))
async def test_valid_offer_is_answered(offer: str) -> None:
    answer = await answer_to(offer.replace("\n", "\r\n"))
    assert answer.count("a=sendonly\r\n") == 1, f"expected one section that sends, got this answer:\n{answer}"
    offered, answered = (re.findall("^m=([a-z]+)", sdp, re.MULTILINE) for sdp in (offer, answer))
    assert answered == offered, "expected the sections of the offer, in its order (RFC 3264 section 6)"


@pytest.mark.parametrize(("offer", "why"), INVALID.values(), ids=list(INVALID))
async def test_invalid_offer_is_rejected_with_a_reason(offer: str, why: str) -> None:
    with pytest.raises(DescriptionError, match=why):
        await answer_to(offer)


def test_complete_description_is_unchanged() -> None:
    whole = BOTH.replace("\n", "\r\n")
    assert complete_sdp(whole) == whole


def test_defaults_are_written_out() -> None:
    lines = complete_sdp(re.sub("a=(mid|group|recvonly).*\n", "", BOTH)).split("\r\n")
    assert [line for line in lines if line.startswith(("a=mid", "a=sendrecv"))] == [
        "a=sendrecv",
        "a=mid:0",
        "a=sendrecv",
        "a=mid:1",
    ]


LINES = BOTH.splitlines()

MUTATIONS = st.lists(
    st.tuples(
        st.sampled_from(["delete", "duplicate", "swap", "cut", "replace", "insert"]),
        st.integers(0, len(LINES) - 1),
        st.integers(0, len(LINES) - 1),
        st.sampled_from(["", "a=", "x", "a=mid", "a=mid:1", "a=inactive", "m=video 9", "a=rtpmap:96", "a=group:BUNDLE"])
        | st.text(max_size=20),
    ),
    min_size=1,
    max_size=4,
)


def mutated(mutations: list[tuple[str, int, int, str]]) -> str:
    lines = [*LINES]
    for kind, place, other, text in mutations:
        here, there = place % len(lines), other % len(lines)
        match kind:
            case "delete":
                del lines[here]
            case "duplicate":
                lines.insert(there, lines[here])
            case "swap":
                lines[here], lines[there] = lines[there], lines[here]
            case "cut":
                lines[here] = lines[here][: other % (len(lines[here]) + 1)]
            case "replace":
                lines[here] = text
            case "insert":
                lines.insert(here, text)
    return "\r\n".join(lines) + "\r\n"


@given(MUTATIONS)
@settings(max_examples=60)
def test_mutated_offer_is_answered_or_rejected(mutations: list[tuple[str, int, int, str]]) -> None:
    async def answered() -> None:
        try:
            assert "a=sendonly" in await answer_to(mutated(mutations))
        except DescriptionError:
            return

    asyncio.run(answered())


@given(MUTATIONS)
def test_completing_twice_changes_nothing_more(mutations: list[tuple[str, int, int, str]]) -> None:
    try:
        once = complete_sdp(mutated(mutations))
    except SdpError:
        return
    assert complete_sdp(once) == once
