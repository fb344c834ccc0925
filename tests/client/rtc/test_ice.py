"""Tests of parsing and filtering ICE candidates and ICE server URLs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.rtc.ice import can_be_asked, is_local_name, read_candidate, without_local_names

HOST = "candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host"
HIDDEN = "candidate:1 1 udp 2130706431 4f3a-11.local 50000 typ host"


@pytest.mark.parametrize("prefix", ["", "a=", "a=candidate:", "candidate:"])
def test_candidate_is_parsed_with_or_without_prefix(prefix: str) -> None:
    line = prefix.removesuffix("candidate:") + HOST if prefix != "" else HOST.removeprefix("candidate:")
    candidate = read_candidate(line, "0", 0)
    assert (candidate.ip, candidate.port, candidate.type, candidate.sdpMid) == ("192.0.2.7", 50000, "host", "0")


def test_candidate_without_section_belongs_to_the_first() -> None:
    assert read_candidate(HOST, None, None).sdpMLineIndex == 0


@given(line=st.text())
def test_any_other_text_raises_value_error(line: str) -> None:
    with pytest.raises(ValueError, match="not an ICE candidate line"):
        read_candidate(f"x {line}", "0", 0)


def test_only_candidates_with_local_names_are_removed() -> None:
    lines = ["v=0\r\n", f"a={HOST}\r\n", f"a={HIDDEN}\r\n", "a=mid:0.local\r\n"]
    assert without_local_names("".join(lines)) == lines[0] + lines[1] + lines[3]
    assert is_local_name(HIDDEN.upper())
    assert not is_local_name(HOST)
    assert not is_local_name("")


@pytest.mark.parametrize(
    ("url", "usable"),
    [
        ("stun:127.0.0.1:3478", True),
        ("turn:host:3478?transport=tcp", True),
        ("turns:host", True),
        ("stun:", False),
        ("stun:host:no-port", False),
        ("stun:host:65535", True),
        ("stun:host:65536", False),
        ("turn:host:0", False),
        ("stun:host?transport=tcp", False),
        ("http://host", False),
    ],
)
def test_only_ice_servers_with_usable_urls_are_used(url: str, usable: bool) -> None:
    assert can_be_asked(url) is usable
