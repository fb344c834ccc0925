"""Tests of the limits and checks of session descriptions and ICE candidates."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.rtc.remote_sdp import MAX_CANDIDATES, check_sdp, read_candidate
from tests.support.loop_watchdog import allowed

HOST = "candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host"
SDP = (
    "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 97\r\na=mid:0\r\na=rtpmap:97 VP8/90000\r\na=ice-ufrag:abcd\r\n"
    "a=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 00:11\r\na=setup:actpass\r\n"
)
DATA = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:1\r\n"


@pytest.mark.parametrize("prefix", ["", "a=", "a=candidate:", "candidate:"])
def test_candidate_is_parsed_with_or_without_prefix(prefix: str) -> None:
    line = prefix.removesuffix("candidate:") + HOST if prefix != "" else HOST.removeprefix("candidate:")
    candidate = read_candidate(line, "0", 0)
    assert candidate is not None
    assert (candidate.foundation, candidate.component, candidate.protocol) == ("1", 1, "udp")
    assert candidate.priority == 2130706431
    assert (candidate.ip, candidate.port, candidate.type, candidate.sdpMid) == ("192.0.2.7", 50000, "host", "0")


@pytest.mark.parametrize("kind", ["host", "srflx", "relay"])
def test_candidate_of_each_used_type_is_kept(kind: str) -> None:
    candidate = read_candidate(HOST.replace("host", kind))
    assert candidate is not None
    assert candidate.type == kind
    assert f"a={HOST.replace('host', kind)}" in check_sdp(f"{SDP}a={HOST.replace('host', kind)}\r\n")


@pytest.mark.parametrize(
    ("mid", "index", "kept"), [(None, None, 0), ("1", None, None), (None, 1, 1), ("1", 1, 1), ("0", 0, 0)]
)
def test_candidate_without_section_belongs_to_the_first(mid: str | None, index: int | None, kept: int | None) -> None:
    candidate = read_candidate(HOST, mid, index)
    assert candidate is not None
    assert (candidate.sdpMid, candidate.sdpMLineIndex) == (mid, kept)


@pytest.mark.parametrize("group", ["BUNDLE 0", "BUNDLE", "LS 7"])
@pytest.mark.parametrize("mid", ["0", " 0 "])
def test_group_of_known_sections_is_accepted(group: str, mid: str) -> None:
    sdp = SDP.replace("t=0 0\r\n", f"t=0 0\r\na=group:{group}\r\n").replace("a=mid:0", f"a=mid:{mid}")
    assert check_sdp(sdp) == sdp


@given(line=st.text())
def test_any_other_text_raises_value_error(line: str) -> None:
    with pytest.raises(ValueError, match="not an ICE candidate line"):
        read_candidate(f"x {line}", "0", 0)


@pytest.mark.parametrize(
    "line",
    [
        "candidate:1 1 udp 1 4f3a-11.local 50000 typ host",
        "candidate:1 1 udp 1 4F3A-11.LOCAL 50000 typ host generation 0",
        "candidate:1 1 udp 1 peer.example 50000 typ host",
        "candidate:1 1 udp 1 999.0.0.1 50000 typ host",
        "candidate:1 1 udp 1 fe80::1%eth0 50000 typ host",
        "candidate:1 1 tcp 1 192.0.2.7 9 typ host tcptype active",
        "candidate:1 1 quic 1 192.0.2.7 9 typ host",
        "candidate:1 2 udp 1 192.0.2.7 50000 typ host",
        "candidate:1 1 udp 1 192.0.2.7 50000 typ prflx",
        "candidate:1 1 udp 1 192.0.2.7 50000 typ holographic",
        "candidate:1 1 udp 1 192.0.2.7 0 typ host",
    ],
)
def test_candidate_of_no_use_is_skipped(line: str) -> None:
    assert read_candidate(line, "0", 0) is None
    assert check_sdp(f"{SDP}a={line}\r\na={HOST}\r\n").count("a=candidate:") == 1


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (HOST.replace("50000", "65536"), "its port is not a number from 0 to 65535"),
        (HOST.replace("50000", "-1"), "its port"),
        (HOST.replace("50000", "9" * 5000), "its port"),
        (HOST.replace("50000", "\u0665"), "its port"),
        (HOST.replace("2130706431", "4294967296"), "its priority is not a number from 0 to 4294967295"),
        (HOST.replace(" 1 udp", " 0 udp"), "its component is not a number from 1 to 256"),
        (HOST.replace(":1", ":" + "f" * 2**20), "not an ICE candidate line"),
        (HOST.replace("typ", "type"), "not an ICE candidate line"),
        (HOST.removesuffix(" typ host"), "not an ICE candidate line"),
    ],
)
def test_invalid_candidate_raises_value_error(line: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as raised:
        read_candidate(line, "0", 0)
    assert len(str(raised.value)) < 200
    with pytest.raises(ValueError, match=why if len(line) < 10_000 else "at most 65536 characters"):
        check_sdp(f"{SDP}a={line}\r\n")


def test_description_without_candidates_is_unchanged() -> None:
    data = f"{DATA}a=sctp-port:5000\r\na=end-of-candidates\r\n"
    assert check_sdp(SDP + data) == SDP + data
    old = "m=application 9 DTLS/SCTP 5000\r\na=mid:1\r\na=sctpmap:5000 webrtc-datachannel 256\r\n"
    assert check_sdp(SDP + old) == SDP + old


def test_candidates_stay_before_their_end() -> None:
    lines = check_sdp(f"{SDP}a=end-of-candidates\r\na={HOST.replace('udp', 'UDP')}\r\n").splitlines()
    assert lines.index(f"a={HOST}") < lines.index("a=end-of-candidates")


@pytest.mark.parametrize("port", ["1", "5000", "65535"])
@pytest.mark.parametrize("data", [f"{DATA}a=sctp-port:PORT\r\n", "m=application 9 DTLS/SCTP PORT 0\r\na=mid:1\r\n"])
def test_port_of_data_channels_is_accepted(data: str, port: str) -> None:
    sdp = SDP + data.replace("PORT", port)
    assert check_sdp(sdp) == sdp


@pytest.mark.parametrize("port", ["0", "65536", "1:5000", "123456", ""])
def test_invalid_port_of_data_channels_is_refused(port: str) -> None:
    with pytest.raises(ValueError, match="must have an a=sctp-port from 1 to 65535"):
        check_sdp(f"{SDP}{DATA}a=sctp-port:{port}\r\n")


def test_foundation_has_at_most_32_characters() -> None:
    assert read_candidate(HOST.replace(":1", ":" + "f" * 32), "0", 0) is not None
    with pytest.raises(ValueError, match="not an ICE candidate line"):
        read_candidate(HOST.replace(":1", ":" + "f" * 33), "0", 0)


def candidates(count: int) -> str:
    return "".join(f"a=candidate:1 1 udp 1 192.0.2.7 {port} typ host\r\n" for port in range(1000, 1000 + count))


def test_only_usable_and_distinct_candidates_count() -> None:
    most = candidates(MAX_CANDIDATES)
    kept = check_sdp(SDP + most + most + "a=candidate:1 1 tcp 1 192.0.2.7 9 typ host\r\n" * 100)
    assert kept.count("a=candidate:") == MAX_CANDIDATES


@pytest.mark.parametrize(
    ("sdp", "why"),
    [
        (SDP + candidates(MAX_CANDIDATES + 1), "expected at most 100 ICE candidates in a section, got 101"),
        (SDP + candidates(5000), "expected at most 65536 characters"),
        (SDP + "a=x\r\n" * 500, "expected at most 500 lines apart from candidates, got 511"),
        (SDP + "m=video 9 UDP/TLS/RTP/SAVPF 97\r\n" * 8, "expected at most 8 media sections, got 9"),
        (SDP + "a=rtpmap:98 VP8/90000\r\n" * 128, "expected at most 128 codecs in a section, got 129"),
        (SDP.replace("abcd", "ab"), "a=ice-ufrag must have 4 to 256 letters"),
        (SDP.replace("abcd", "a" * 50_000), "a=ice-ufrag must have 4 to 256 letters"),
        (SDP.replace("ice-pwd:0", "ice-pwd:"), "a=ice-pwd must have 22 to 256 letters"),
        (SDP.replace("a=fingerprint", "a=x"), "no a=fingerprint line"),
        (SDP + DATA.replace("mid:1", "mid:0"), "each section must have an a=mid of its own"),
        (SDP + "a=mid:1\r\n", "each section must have an a=mid of its own"),
        (SDP.replace("a=mid:0\r\n", ""), "each section must have an a=mid of its own"),
        (SDP.replace("a=mid:0", "a=mid:0\r\na=mid:2") + DATA, "each section must have an a=mid of its own"),
        (SDP.replace("t=0 0\r\n", "t=0 0\r\na=group:BUNDLE 7\r\n"), "a=group:BUNDLE must name only the a=mid"),
        (SDP.replace("t=0 0\r\n", "t=0 0\r\na=group:BUNDLE 0 7\r\n"), "a=group:BUNDLE must name only the a=mid"),
        (SDP + DATA, "must have an a=sctp-port from 1 to 65535"),
        (SDP + DATA + "a=sctp-port:0\r\n", "must have an a=sctp-port"),
        (SDP + DATA + "a=sctp-port:65536\r\n", "must have an a=sctp-port"),
        (SDP + "m=application 9 DTLS/SCTP x\r\na=mid:1\r\n", "must have an a=sctp-port"),
    ],
)
def test_description_above_a_limit_raises_value_error(sdp: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_sdp(sdp)


@given(st.text() | st.lists(st.sampled_from([*SDP.splitlines(), *DATA.splitlines(), f"a={HOST}"])).map("\n".join))
def test_any_text_is_checked_or_raises_value_error(sdp: str) -> None:
    try:
        checked = check_sdp(sdp)
    except ValueError:
        return
    assert check_sdp(checked) == checked


def test_largest_description_is_checked_quickly() -> None:
    began = time.thread_time()
    with pytest.raises(ValueError, match="characters"):
        check_sdp(SDP + candidates(200_000))
    check_sdp(SDP + candidates(100) + "a=rtcp-fb:* nack\r\n" * 480)
    assert time.thread_time() - began < allowed(0.5)
