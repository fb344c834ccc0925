"""Tests of the URLs at which clients reach a mock."""

from collections.abc import Callable, Sequence

import pytest

from odyssey_mock.http.reachable_urls import reachable_urls

ADDRESSES = ["127.0.0.1", "::1", "192.168.1.20", "2001:db8::5"]


def everything(_address: str) -> bool:
    return True


def ipv4(address: str) -> bool:
    return ":" not in address


@pytest.mark.parametrize(
    ("listening", "accepts", "public", "expected"),
    [
        (
            "http://127.0.0.1:8400",
            lambda address: address == "127.0.0.1",
            None,
            ["local http://127.0.0.1:8400", "local http://localhost:8400"],
        ),
        (
            "https://127.0.0.1:8400",
            ipv4,
            None,
            [
                "local https://127.0.0.1:8400",
                "local https://localhost:8400",
                "network https://192.168.1.20:8400",
            ],
        ),
        (
            "http://[::1]:8400",
            everything,
            "https://example.com/mock",
            [
                "local http://[::1]:8400",
                "local http://127.0.0.1:8400",
                "local http://localhost:8400",
                "network http://192.168.1.20:8400",
                "network http://[2001:db8::5]:8400",
                "public https://example.com/mock",
            ],
        ),
        (
            "http://192.168.1.20",
            lambda address: address == "192.168.1.20",
            None,
            ["network http://192.168.1.20"],
        ),
        ("http://mock.lan:8400", lambda _: False, None, ["network http://mock.lan:8400"]),
        (
            "http://localhost:8400",
            lambda address: address == "127.0.0.1",
            None,
            ["local http://localhost:8400", "local http://127.0.0.1:8400"],
        ),
    ],
    ids=["loopback", "all IPv4 addresses", "all addresses", "one address", "a name", "localhost"],
)
def test_urls_are_those_that_the_mock_accepts(
    listening: str, accepts: Callable[[str], bool], public: str | None, expected: Sequence[str]
) -> None:
    found = reachable_urls(listening, addresses=ADDRESSES, accepts=accepts, public_url=public)
    assert [f"{each.reach} {each.url}" for each in found] == expected


@pytest.mark.parametrize("listening", ["http://[fe80::1%eth0]:8400", "http://bücher.lan:8400"])
def test_host_that_cannot_be_parsed_is_kept(listening: str) -> None:
    found = reachable_urls(listening, addresses=ADDRESSES, accepts=everything, public_url="https://example.com")
    assert [(each.reach, each.url) for each in found] == [("network", listening), ("public", "https://example.com")]
