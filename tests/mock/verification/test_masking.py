"""Tests of masking addresses, fingerprints and secrets in reports and traces of `odyssey-mock verify`."""

import json
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.models import JSON
from odyssey_client.redaction import REMEMBERED
from odyssey_mock.verification.contract_documents import Contract
from odyssey_mock.verification.expectations import Absent, Seen, shown
from odyssey_mock.verification.masking import masked, masked_text, remember_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("candidate:1 1 udp 21 192.168.1.2 503 typ host", "candidate:*** 1 udp 21 private-IPv4 503 typ host"),
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
        ("candidate:1 1 udp 21 x.local 9 typ host ufrag abcd", "candidate:*** 1 udp 21 x.local 9 typ host ufrag ***"),
        ("2026-11-30T13:28:46.938Z 12:30:45", "2026-11-30T13:28:46.938Z 12:30:45"),
        ("version 1.2.3.4.5, 300.1.1.1 and 1.2.3", "version 1.2.3.4.5, 300.1.1.1 and 1.2.3"),
        ("The address is 9.9.9.9.", "The address is public-IPv4."),
        ("ec2-9-9-9-9.compute.example", "ec2-public-IPv4.compute.example"),
        ("c-9-9-9-9.hsd1.example and ip9-9-9-9", "c-public-IPv4.hsd1.example and ippublic-IPv4"),
        ("9.9.9.9.nip.example", "public-IPv4.nip.example"),
        ("2620-fe--9.ip.example", "public-IPv6.ip.example"),
        ("2620:fe:0:0:0:0:0:9:443", "public-IPv6"),
        ("interface:2620:fe:0:0:0:0:0:9", "interpublic-IPv6"),
        (r"the peers are\n9.9.9.9\n2620:fe::9", r"the peers are\npublic-IPv4\npublic-IPv6"),
        ("8b7c3f6e-7d0a-4c1b-9a57-1f2e3d4c5b6a", "8b7c3f6e-7d0a-4c1b-9a57-1f2e3d4c5b6a"),
        ("tests/test_it.py::test_a", "tests/test_it.py::test_a"),
        (
            '<turn:turn.example>; rel="ice-server"; username="17:me"; credential="abc"; credential-type="password"',
            '<turn:turn.example>; rel="ice-server"; username="***"; credential="***"; credential-type="password"',
        ),
        ('got {"username": "17:me", "count": 2}', 'got {"username": "***", "count": 2}'),
        (r"got {\"userName\": \"17:me\"}", r"got {\"userName\": \"***\"}"),
        ('{"accessToken": "abcdefgh", "icePwd": "abc"}', '{"accessToken": "***", "icePwd": "***"}'),
        ("turnUsername=me turn_username=me ICEUsername: me", "turnUsername=*** turn_username=*** ICEUsername: ***"),
        ('{"localUfrag": "abcd", "remote_ufrag": "efgh"}', '{"localUfrag": "***", "remote_ufrag": "***"}'),
        *((text, text) for text in (" -- ", "-----", "|---|---|", "--add", "a--b", "2026-11-30", "git add --face")),
        (
            "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
        ),
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


PUBLIC = st.ip_addresses().filter(lambda address: address.is_global)
SURROUNDINGS = (
    "ec2-{host}.compute.example",
    "c-{host}.hsd1.example",
    "ip{host}.example",
    "peer\\n{address}\\n",
    "peer\\u000a{address}",
    "node.{address}.nip.example",
    "interface:{address}",
    "{address}:443",
    "{address}:65535 is the address",
    "[{address}]:443",
    "host{address}",
    "if_{address}_9",
    "{address}%eth0",
)


@given(address=PUBLIC, surroundings=st.sampled_from(SURROUNDINGS))
def test_no_public_address_survives_its_surroundings(address: IPv4Address | IPv6Address, surroundings: str) -> None:
    host = address.exploded.replace(".", "-").replace(":", "-")
    for text in (str(address), address.exploded):
        shown = masked_text(surroundings.format(address=text, host=host))
        assert text not in shown
        assert host not in shown
        key = json.dumps(masked({surroundings.format(address=text, host=host): [1]}))
        assert text not in key
        assert host not in key


def test_foundations_are_masked() -> None:
    foundation = "d41d8cd98f00b204e9800998ecf8427e"
    content: JSON = {
        "candidate": f"candidate:{foundation} 1 udp 21 9.9.9.9 5 typ host",
        "stats": {"foundation": foundation},
    }
    assert foundation not in json.dumps(masked(content))


def test_tokens_are_remembered_after_many_signed_urls() -> None:
    token = "Zk3vQ9sLr7TnX2bWaa"
    urls: list[JSON] = [f"https://files.example/a.mp4?signature={number:040x}q" for number in range(REMEMBERED + 1)]
    remember_secrets([{"sessionToken": token}, urls])
    assert masked_text(f"got {token}") == "got ***"


@pytest.mark.parametrize("name", ["accessToken", "sessionToken", "icePwd", "access_token", "X-Amz-Signature"])
def test_secret_is_masked_without_its_name(name: str) -> None:
    assert Seen("opaque-token", "here", f"$.{name}").text == "***"
    assert Seen(Absent(("a",)), "here", f"$.{name}").text == "the fields a"


@pytest.mark.parametrize(
    ("value", "text"), [(403, "403"), (True, "true"), (False, "false"), (None, "null"), ("", '""'), ([], "[]")]
)
def test_value_that_is_no_secret_is_shown(value: JSON, text: str) -> None:
    assert Seen(value, "here", "$.access_token").text == text


@pytest.mark.parametrize("value", ["opaque-token", ["opaque-token"], {"a": "opaque-token"}])
def test_secrets_in_containers_are_masked(value: JSON) -> None:
    assert Seen(value, "here", "$.access_token").text == "***"


@pytest.mark.parametrize(
    "name", ["username", "turnUsername", "turn_username", "iceUsername", "localUfrag", "remote_ufrag", "ICEUfrag"]
)
def test_personal_field_is_masked(name: str) -> None:
    assert masked({name: "my-account"}) == {name: "***"}


@pytest.mark.parametrize("name", ["filename", "superuser", "foundational"])
def test_field_with_similar_name_is_shown(name: str) -> None:
    assert masked({name: "my-account"}) == {name: "my-account"}


def test_values_are_masked_before_they_are_cut() -> None:
    address = "9.9.9.9"
    for padding in range(100, 170):
        value: JSON = "x" * padding + " " + address
        faults = Contract.load().violations("recording-event", "", value)
        texts = [shown(value), *(fault.got for fault in faults)]
        assert [text for text in texts if "9.9" in text] == []


def test_secrets_of_messages_are_masked_elsewhere() -> None:
    token, signature = "Zk3vQ9sLr7TnX2bW", "h8Jw5pYc0dMf6RtK"
    remember_secrets([{"a": [{"spectator_token": token}, f"https://files.example/a.mp4?signature={signature}"]}])
    assert masked_text(f"got {token} and {signature}") == "got *** and ***"


def test_fields_of_json_are_masked() -> None:
    servers: JSON = {"urls": ["turn:9.9.9.9:3478"], "username": "1700000000:my-account", "credential": "secret"}
    assert masked({"iceServers": [servers], "count": 3, "ok": True}) == {
        "iceServers": [{"urls": ["turn:public-IPv4:3478"], "username": "***", "credential": "***"}],
        "count": 3,
        "ok": True,
    }
