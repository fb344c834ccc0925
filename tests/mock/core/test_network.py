"""Tests of the distinction between addresses of the public internet and other addresses."""

import pytest

from odyssey_mock.core.network import is_public


@pytest.mark.parametrize(
    "address",
    ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "64:ff9b::8.8.8.8", "2001:4860:4860::8888"],
)
def test_address_on_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.1",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.20",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fc00::1",
        "fd00::1",
        "fe80::1",
        "fe80::1%eth0",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::192.168.1.20",
        "2002:7f00:1::",
        "2002:a00:1::",
        "2001:0:7f00:1::",
    ],
)
def test_address_outside_the_internet_is_not_public(address: str) -> None:
    assert not is_public(address)
