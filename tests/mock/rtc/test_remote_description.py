"""Tests of the checks of clients' session descriptions and ICE candidates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.rtc.remote_description import (
    MAX_CANDIDATES,
    MAX_CODECS,
    MAX_LENGTH,
    MAX_LINES,
    MAX_SECTIONS,
    DescriptionError,
    checked_description,
    read_candidate,
)
from tests.support.browser_offers import CHROMIUM, HIDDEN

HOST = "candidate:842163049 1 udp 1677729535 192.0.2.7 50000 typ srflx raddr 10.0.0.1 rport 5000"
OFFER = (
    CHROMIUM.format(ufrag="abcd", pwd="p" * 24, fingerprint="sha-256 00:11", hidden=HIDDEN)
    .replace(f"a=candidate:2750413486 1 udp 2113937151 {HIDDEN} 50000 typ host generation 0 network-cost 999\n", "")
    .replace("\n", "\r\n")
)
DATA = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n"


def test_candidate_is_parsed_without_its_extensions() -> None:
    candidate = read_candidate(f"{HOST} generation 0 network-cost 999")
    assert candidate is not None
    assert (candidate.ip, candidate.port, candidate.type, candidate.priority) == (
        "192.0.2.7",
        50000,
        "srflx",
        1677729535,
    )
    assert (candidate.relatedAddress, candidate.relatedPort) == (None, None)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("candidate:f 1 udp 1 192.0.2.7 1 typ host", ("192.0.2.7", 1, "host", 1)),
        ("f 1 UDP 4294967295 192.0.2.7 65535 typ relay", ("192.0.2.7", 65535, "relay", 4294967295)),
        ("  candidate:f 1 Udp 0 ::1 9 typ srflx \r\n", ("::1", 9, "srflx", 0)),
    ],
)
def test_candidate_at_the_limits_is_parsed(line: str, found: tuple[str, int, str, int]) -> None:
    candidate = read_candidate(line)
    assert candidate is not None
    assert (candidate.ip, candidate.port, candidate.type, candidate.priority) == found
    assert (candidate.foundation, candidate.component, candidate.protocol) == ("f", 1, "udp")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (" 1 udp", " 256 udp"),
        ("192.0.2.7", HIDDEN),
        ("192.0.2.7", "peer.example"),
        ("192.0.2.7", "256.0.0.1"),
        ("192.0.2.7", "fe80::1%eth0"),
        ("udp", "tcp"),
        ("udp", "sctp"),
        (" 1 udp", " 2 udp"),
        ("srflx", "prflx"),
        ("srflx", "carrier-pigeon"),
        ("50000", "0"),
    ],
)
def test_candidate_that_cannot_be_used_is_left_out(before: str, after: str) -> None:
    line = HOST.replace(before, after)
    assert read_candidate(line) is None
    kept = checked_description(f"{OFFER}a={line}\r\na={HOST}\r\n", "offer")
    assert kept == f"{OFFER}a=candidate:842163049 1 udp 1677729535 192.0.2.7 50000 typ srflx\r\n"


def test_end_of_hidden_candidates_is_left_out() -> None:
    end = "a=end-of-candidates\r\n"
    assert checked_description(OFFER + end, "offer") == OFFER + end
    assert checked_description(f"{OFFER}a={HOST.replace('192.0.2.7', HIDDEN)}\r\n{end}", "offer") == OFFER
    for line in ("a=x:peer.local 1\r\n", candidates(1)):
        assert checked_description(f"{OFFER}{line}{end}", "offer") == f"{OFFER}{line}{end}"


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("50000", "65536", "expected a port from 0 to 65535 in an ICE candidate line .*, got 65536"),
        ("50000", "-1", "expected an ICE candidate line"),
        ("50000", "9" * 5000, "expected an ICE candidate line"),
        ("50000", "\u0665", "expected an ICE candidate line"),
        ("1677729535", "4294967296", "expected a priority from 0 to 4294967295"),
        (" 1 udp", " 0 udp", "expected a component from 1 to 256"),
        ("842163049", "f" * 2**20, "expected an ICE candidate line"),
        ("typ", "type", "expected an ICE candidate line"),
        (" srflx", "", "expected an ICE candidate line"),
    ],
)
def test_invalid_candidate_is_refused_with_a_reason(before: str, after: str, why: str) -> None:
    line = HOST.partition(" raddr")[0].replace(before, after)
    with pytest.raises(DescriptionError, match=why) as raised:
        read_candidate(line)
    assert len(str(raised.value)) < 200
    with pytest.raises(DescriptionError, match=r"^the answer's SDP cannot be used: expected "):
        checked_description(f"{OFFER}a={line}\r\n", "answer")


@given(st.text())
def test_any_text_is_no_candidate(text: str) -> None:
    with pytest.raises(DescriptionError, match="expected an ICE candidate line"):
        read_candidate(f"x {text}")


@pytest.mark.parametrize(
    ("numbers", "named"), [((0, 2**32, 65536), "component"), ((1, 2**32, 65536), "priority"), ((1, 1, 65536), "port")]
)
def test_first_invalid_number_is_reported(numbers: tuple[int, int, int], named: str) -> None:
    component, priority, port = numbers
    with pytest.raises(DescriptionError, match=f"expected a {named} from "):
        read_candidate(f"candidate:f {component} udp {priority} 192.0.2.7 {port} typ host")


def test_candidates_do_not_count_as_lines() -> None:
    unused = "a=candidate:1 1 tcp 1 192.0.2.7 9 typ host tcptype active\r\n" * MAX_LINES
    assert checked_description(OFFER + unused, "offer") == OFFER


def candidates(count: int) -> str:
    return "".join(f"a=candidate:1 1 udp 1 192.0.2.7 {port} typ host\r\n" for port in range(1000, 1000 + count))


def test_each_section_may_have_the_most_usable_candidates() -> None:
    most = candidates(MAX_CANDIDATES)
    unused = "a=candidate:1 1 tcp 1 192.0.2.7 9 typ host tcptype active\r\n" * 100
    sections = f"{OFFER}{most}{most}{unused}m=video 9 UDP/TLS/RTP/SAVPF 96\r\n{most}"
    assert checked_description(sections, "offer").count("a=candidate:") == 2 * MAX_CANDIDATES


@pytest.mark.parametrize(
    "sdp",
    [
        OFFER + "a=x\r\n" * (MAX_LINES - OFFER.count("\r\n")),
        OFFER + "m=video 9 UDP/TLS/RTP/SAVPF 97\r\n" * (MAX_SECTIONS - OFFER.count("m=")),
        f"{OFFER}m=video 9 UDP/TLS/RTP/SAVPF 97\r\n" + "a=rtpmap:98 VP8/90000\r\n" * MAX_CODECS,
        OFFER + "a=x:" + "x" * (MAX_LENGTH - len(OFFER) - 6) + "\r\n",
        OFFER.replace("a=ice-ufrag:abcd", "a=ice-ufrag: abcd "),
    ],
    ids=["lines", "sections", "codecs", "length", "spaces"],
)
def test_description_at_a_limit_is_accepted(sdp: str) -> None:
    assert checked_description(sdp, "offer") == sdp


@pytest.mark.parametrize(
    ("sdp", "why"),
    [
        (OFFER + candidates(MAX_CANDIDATES + 1), "expected at most 100 ICE candidates in a media section, got more"),
        (OFFER + candidates(5000), "expected at most 65536 characters, got"),
        (OFFER + "a=x\r\n" * 500, "expected at most 500 lines apart from candidates, got"),
        (OFFER + "m=video 9 UDP/TLS/RTP/SAVPF 97\r\n" * 7, "expected at most 8 media sections, got 9"),
        (OFFER + "a=rtpmap:98 VP8/90000\r\n" * 128, "expected at most 128 codecs in a media section, got"),
        (
            OFFER.replace("abcd", "ab"),
            "expected a=ice-ufrag with 4 to 256 letters, .*, got 2 characters",
        ),
        (OFFER.replace("p" * 24, "p" * 50_000, 1), "expected a=ice-pwd with 22 to 256 letters"),
        (OFFER + DATA, "expected an a=sctp-port from 1 to 65535 .*, got none"),
        (OFFER + DATA + "a=sctp-port:65536\r\n", "expected an a=sctp-port from 1 to 65535 .*, got 65536"),
        (OFFER + DATA + "a=sctp-port:0\r\n", "expected an a=sctp-port"),
        (OFFER + DATA + f"a=sctp-port:{'7' * 99}\r\n", f"expected an a=sctp-port .*, got {'7' * 60}$"),
        (OFFER + "m=application 9 DTLS/SCTP x\r\n", "expected an a=sctp-port"),
        (OFFER + "m=application\r\n", "expected an a=sctp-port"),
    ],
)
def test_description_above_a_limit_is_refused(sdp: str, why: str) -> None:
    with pytest.raises(DescriptionError, match=f"^the offer's SDP cannot be used: {why}"):
        checked_description(sdp, "offer")


def test_both_forms_of_the_sctp_port_are_accepted() -> None:
    for data in (
        f"{DATA}a=sctp-port:1\r\n",
        f"{DATA}a=sctp-port: 65535 \r\n",
        "m=application 9 DTLS/SCTP 5000\r\na=mid:2\r\n",
        "m=application 9 DTLS/SCTP 5000 x\r\na=mid:2\r\n",
    ):
        assert checked_description(OFFER + data, "offer") == OFFER + data


@given(st.text() | st.lists(st.sampled_from([*OFFER.splitlines(), *DATA.splitlines(), f"a={HOST}"])).map("\n".join))
def test_any_text_is_checked_or_refused(sdp: str) -> None:
    try:
        checked = checked_description(sdp, "offer")
    except DescriptionError:
        return
    assert checked_description(checked, "offer") == checked
