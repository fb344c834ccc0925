"""Tests of the validation of authorities, prefixes and base URLs."""

from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from odyssey_mock.core.url_parts import Authority, BaseUrl, read_port, read_prefix


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("example.com", Authority("example.com")),
        ("example.com:8443", Authority("example.com", 8443)),
        ("my_service-1", Authority("my_service-1")),
        ("10.0.0.1:80", Authority("10.0.0.1", 80)),
        ("[fd00::1]", Authority("[fd00::1]")),
        ("[::1]:8400", Authority("[::1]", 8400)),
        ("example.com:", Authority("example.com")),
        ("", None),
        (":80", None),
        ("a:0", None),
        ("a:65536", None),
        ("a:80:80", None),
        ("::1", None),
        ("[::g]", None),
        ("[10.0.0.1]", None),
        ("[::1", None),
        ("user@a", None),
        ("a b", None),
        ("a/b", None),
        ("a\r\nSet-Cookie: b", None),
        ("a\n", None),
        ("ünicode", None),
        ("a%41", None),
        ("a" * 254, None),
    ],
)
def test_authority_is_parsed_or_rejected(text: str, expected: Authority | None) -> None:
    assert Authority.read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("/", ""),
        ("/mock", "/mock"),
        ("/mock/", "/mock"),
        ("/a/b-1.0", "/a/b-1.0"),
        ("/.well-known", "/.well-known"),
        ("mock", None),
        ("//evil.example", None),
        ("/a//b", None),
        ("/a/../b", None),
        ("/.", None),
        ("/a b", None),
        ("/a?b", None),
        ("/a\n", None),
        ("/%2e", None),
    ],
)
def test_prefix_is_parsed_or_rejected(text: str, expected: str | None) -> None:
    assert read_prefix(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://example.com", "http://example.com"),
        ("https://example.com/", "https://example.com"),
        ("HTTPS://example.com:443/mock/", "https://example.com/mock"),
        ("http://example.com:443", "http://example.com:443"),
        ("https://[fd00::1]:8443/a/b", "https://[fd00::1]:8443/a/b"),
        ("example.com", None),
        ("http:example.com", None),
        ("http:///mock", None),
        ("ws://example.com", None),
        ("https://user:secret@example.com", None),
        ("https://example.com?a", None),
        ("https://example.com/#a", None),
        ("https://example.com\\@evil", None),
        (" https://example.com", None),
        ("https://example.com\n", None),
    ],
)
def test_base_url_is_parsed_or_rejected(text: str, expected: str | None) -> None:
    url = BaseUrl.read(text)
    assert (None if url is None else str(url)) == expected


@given(st.text() | st.from_regex(r"[a-z@:/\\\[\]0-9.]{0,20}"))
@example("a\t")
def test_accepted_authority_is_host_and_port(text: str) -> None:
    authority = Authority.read(text)
    if authority is not None:
        parts = urlsplit(f"https://{authority.under('https')}/path")
        assert (parts.hostname, parts.path) == (authority.host.strip("[]").lower(), "/path")
        assert parts.port == (None if authority.port == 443 else authority.port)
        assert (parts.username, parts.password) == (None, None)


@given(st.integers(-10, 70_000))
def test_ports_are_numbers_from_1_to_65535(number: int) -> None:
    assert read_port(str(number)) == (number if 1 <= number <= 65535 else None)


@pytest.mark.parametrize("text", ["", "+80", " 80", "8_0", "²", "0x50"])
def test_other_texts_are_no_ports(text: str) -> None:
    assert read_port(text) is None
