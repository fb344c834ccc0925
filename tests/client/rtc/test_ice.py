"""Tests of the check of ICE server URLs."""

import pytest

from odyssey_client.rtc.ice import can_be_asked


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
