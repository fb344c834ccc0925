"""Tests of models and credentials: converted to dictionaries, they have the same form as in the vendor's clients."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.credentials import ClientCredentials
from odyssey_client.errors import OdysseyConfigError
from odyssey_client.models import BroadcastInfo, ConnectionStatus, StreamerCapabilities

VENDOR: dict[str, Any] = {
    "session_id": "s-1",
    "signaling_url": "wss://host/signaling",
    "session_token": "a.b.c",
    "expires_in": 600,
    "capabilities": {"image_to_video": True},
}


def test_credentials_have_exactly_vendors_keys() -> None:
    credentials = ClientCredentials("s-1", "wss://host/signaling", "a.b.c", 600, StreamerCapabilities(True))
    assert credentials.to_dict() == VENDOR


@given(
    st.builds(
        ClientCredentials,
        session_id=st.text(min_size=1),
        signaling_url=st.sampled_from(["ws://127.0.0.1:8400/x", "wss://host/a?b"]),
        session_token=st.text(min_size=1),
        expires_in=st.integers(0, 10**6),
        capabilities=st.builds(StreamerCapabilities, image_to_video=st.booleans()),
    )
)
def test_credentials_survive_json_round_trip(credentials: ClientCredentials) -> None:
    assert ClientCredentials.from_dict(json.loads(json.dumps(credentials.to_dict()))) == credentials


def test_capabilities_are_optional_and_unknown_keys_are_ignored() -> None:
    data = {**VENDOR, "region": "eu"}
    del data["capabilities"]
    assert ClientCredentials.from_dict(data).capabilities == StreamerCapabilities(image_to_video=False)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("session_id", None),
        ("session_id", ""),
        ("session_id", 7),
        ("signaling_url", "ftp://secret"),
        ("session_token", {"secret": 1}),
        ("expires_in", "secret"),
        ("expires_in", True),
        ("expires_in", -1),
        ("expires_in", float("nan")),
        ("capabilities", ["secret"]),
        ("capabilities", {"image_to_video": "secret"}),
    ],
)
def test_invalid_field_is_named_without_its_value(key: str, value: object) -> None:
    with pytest.raises(OdysseyConfigError) as caught:
        ClientCredentials.from_dict({**VENDOR, key: value})
    assert key in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["ws://", "ws://[", "ws://host:99999", "ws://host:0", "ws://a host", "ws://host\n", "wss:host", "host", "\ud800"],
)
def test_invalid_signaling_url_is_rejected(url: str) -> None:
    with pytest.raises(OdysseyConfigError, match="signaling_url"):
        ClientCredentials.from_dict({**VENDOR, "signaling_url": url})
    with pytest.raises(OdysseyConfigError, match="signaling_url"):
        ClientCredentials("session", url, "token", 600)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("session_id", 7),
        ("session_token", b"token"),
        ("session_token", "\ud800"),
        ("expires_in", "600"),
        ("capabilities", {}),
    ],
)
def test_constructor_checks_types_of_credentials(field: str, value: Any) -> None:
    with pytest.raises(OdysseyConfigError, match=field):
        dataclasses.replace(ClientCredentials.from_dict(VENDOR), **{field: value})


@pytest.mark.parametrize("value", [None, "a.b.c", [VENDOR]])
def test_credentials_must_be_mapping(value: Any) -> None:
    with pytest.raises(OdysseyConfigError, match="must be a mapping"):
        ClientCredentials.from_dict(value)


def test_repr_contains_no_tokens() -> None:
    assert "a.b.c" not in repr(ClientCredentials.from_dict(VENDOR))
    info = repr(BroadcastInfo("https://host/a", "s3cret", "https://host/a/index.m3u8?token=s3cret#t=s3cret"))
    assert "s3cret" not in info
    assert "https://host/a/index.m3u8" in info


def test_connection_status_equals_its_string() -> None:
    assert {ConnectionStatus.CONNECTED: 1}["connected"] == 1  # type: ignore[index]
    assert [str(status) for status in ConnectionStatus] == [
        "authenticating",
        "connecting",
        "reconnecting",
        "connected",
        "disconnected",
        "failed",
    ]
