"""Tests of masking addresses, fingerprints and secrets in reports and traces of `odyssey-mock verify`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.models import JSON
from odyssey_mock.verification.masking import masked, masked_text, remember_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("candidate:1 1 udp 21 192.168.1.2 503 typ host", "candidate:1 1 udp 21 private-IPv4 503 typ host"),
        ("raddr 0.0.0.0 rport 9", "raddr unspecified-IPv4 rport 9"),
        ("stun:9.9.9.9:3478", "stun:public-IPv4:3478"),
        ("http://127.0.0.1:8400/regions", "http://loopback-IPv4:8400/regions"),
        ("http://[2620:fe::9]:80/x?token=abc", "http://[public-IPv6]:80/x?***"),
        ("c=IN IP6 fe80::1\r\n", "c=IN IP6 link-local-IPv6\r\n"),
        ("::1", "loopback-IPv6"),
        ("stun:2620:fe::9", "stun:public-IPv6"),
        ("::ffff:9.9.9.9 is mapped", "public-IPv6 is mapped"),
        ("a=fingerprint:sha-256 " + ":".join(["AB"] * 32), "a=fingerprint:sha-256 ***"),
        ("a=ice-ufrag:abcd\r\na=ice-pwd:efgh\r\n", "a=ice-ufrag:***\r\na=ice-pwd:***\r\n"),
        ("candidate:1 1 udp 21 x.local 9 typ host ufrag abcd", "candidate:1 1 udp 21 x.local 9 typ host ufrag ***"),
        ("2026-11-30T13:28:46.938Z 12:30:45", "2026-11-30T13:28:46.938Z 12:30:45"),
        ("version 1.2.3.4.5, 300.1.1.1 and 1.2.3", "version 1.2.3.4.5, 300.1.1.1 and 1.2.3"),
        ("The address is 9.9.9.9.", "The address is public-IPv4."),
    ],
)
def test_text_is_masked(text: str, shown: str) -> None:
    assert masked_text(text) == shown


@given(
    address=st.ip_addresses(),
    before=st.sampled_from(["", "http://", "host ", '{"a": "', "IP4 ", "http://user@"]),
    after=st.sampled_from(["", " 9", "/x", '"}', ".", ", and"]),
)
def test_no_address_is_left(address: object, before: str, after: str) -> None:
    assert str(address) not in masked_text(f"{before}{address}{after}").replace("IPv", "")


def test_secrets_of_messages_are_masked_elsewhere() -> None:
    token, signature = "Zk3vQ9sLr7TnX2bW", "h8Jw5pYc0dMf6RtK"
    remember_secrets({"a": [{"spectator_token": token}, f"https://files.example/a.mp4?signature={signature}"]})
    assert masked_text(f"got {token} and {signature}") == "got *** and ***"


def test_fields_of_json_are_masked() -> None:
    servers: JSON = {"urls": ["turn:9.9.9.9:3478"], "username": "1700000000:my-account", "credential": "secret"}
    assert masked({"iceServers": [servers], "count": 3, "ok": True}) == {
        "iceServers": [{"urls": ["turn:public-IPv4:3478"], "username": "***", "credential": "***"}],
        "count": 3,
        "ok": True,
    }
