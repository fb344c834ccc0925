"""Which candidates and ICE servers are taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.rtc.ice import can_be_asked, is_local_name, read_candidate, without_local_names

HOST = "candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host"
HIDDEN = "candidate:1 1 udp 2130706431 4f3a-11.local 50000 typ host"


@pytest.mark.parametrize("prefix", ["", "a=", "a=candidate:", "candidate:"])
def test_a_candidate_is_read_with_or_without_its_prefix(prefix: str) -> None:
    line = prefix.removesuffix("candidate:") + HOST if prefix != "" else HOST.removeprefix("candidate:")
    candidate = read_candidate(line, "0", 0)
    assert (candidate.ip, candidate.port, candidate.type, candidate.sdpMid) == ("192.0.2.7", 50000, "host", "0")


def test_a_candidate_that_names_no_section_is_of_the_first() -> None:
    assert read_candidate(HOST, None, None).sdpMLineIndex == 0


@given(line=st.text())
def test_any_other_text_is_a_value_error(line: str) -> None:
    with pytest.raises(ValueError, match="no ICE candidate line"):
        read_candidate(f"x {line}", "0", 0)


def test_names_that_hide_an_address_are_left_out_of_a_description_and_nothing_else_is() -> None:
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
def test_an_ice_server_is_asked_if_its_url_can_be_understood(url: str, usable: bool) -> None:
    assert can_be_asked(url) is usable
