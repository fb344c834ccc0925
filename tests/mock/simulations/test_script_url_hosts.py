"""Tests of script URLs: allowed and rejected hosts, unusual URLs, TLS, proxies, and secrets in URLs."""

import asyncio
from pathlib import Path

import pytest

from odyssey_mock.settings import Settings
from odyssey_mock.simulations.script_url import fetch_script
from odyssey_mock.system_network import SystemNetwork
from tests.support.script_server import CAT, NETWORK, SCRIPT, Server, left, ok, refusal, serving, settings
from tests.support.tls_server import certified


async def test_https_url_uses_tls() -> None:
    async with serving(b"HTTP/1.1 400 Bad Request\r\n\r\n", head=b"") as server:
        assert "expected an HTTP response, got SSLError" in await refusal(server.url.replace("http:", "https:"))
        await left(server)


async def test_https_fetch_verifies_the_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = certified(tmp_path, "127.0.0.1")
    async with serving(ok(SCRIPT), tls=tls) as server:
        url = server.url.replace("http:", "https:")
        assert "got SSLCertVerificationError" in await refusal(url)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    async with serving(ok(SCRIPT), tls=tls) as server:
        assert await fetch_script(server.url.replace("http:", "https:"), settings(), NETWORK) == CAT
        await left(server)
        assert "got SSLCertVerificationError" in await refusal(f"https://localhost:{server.port}/")


async def test_timeout_covers_the_tls_handshake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The timeout includes reading the certificates. One certificate is read faster than all of the system.
    certified(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    async with serving(head=b"") as server:
        text = await refusal(server.url.replace("http:", "https:"), using=settings(timeout=0.3))
        assert "expected a script within 0.3 s" in text
        await left(server)


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(ok(SCRIPT)) as server, serving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert await fetch_script(server.url, settings(), NETWORK) == CAT
    assert proxy.opened == 0


async def test_secrets_of_a_url_are_not_exposed() -> None:
    async with serving(ok(b"{}")) as server:
        url = server.url.replace("//", "//user:pass1@") + "?key=s3cret#s3cret"
        text = await refusal(url)
        assert text.startswith(f"script_url {server.url}: ")
        assert "s3cret" not in text
        assert "pass1" not in text
    (request,) = server.requests
    assert "authorization" not in request.lower()
    assert "pass1" not in request
    assert "key=s3cret" in request, (
        f"expected the fetch to send the query of the URL (key=s3cret), got the request {request!r}"
    )


FOREIGN = [
    "http://localhost@evil.example:{port}/",
    "http://localhost:{port}@evil.example/",
    "http://localhost:80\\@evil.example:{port}/",
    "http://evil.example#@localhost:{port}/",
    "http://evil.example?@localhost:{port}/",
    "http://evil.example\\@localhost.evil.example:{port}/",
    "http://localhost.evil.example:{port}/",
    "http://evil-localhost:{port}/",
    "http://localhost.:{port}/",
    "http://127.0.0.2:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://0.0.0.0:{port}/",
    "http://0:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::]:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://ip6-localhost:{port}/",
]
"""URLs of hosts that are not allowed, although some of them resolve to this machine."""


@pytest.mark.parametrize("url", FOREIGN)
async def test_host_outside_the_setting_is_rejected(url: str) -> None:
    async with serving(ok(SCRIPT)) as server:
        text = await refusal(url.format(port=server.port))
    assert "expected a host of the setting script_url_hosts (localhost, 127.0.0.1, ::1), got " in text
    assert server.opened == 0


@pytest.mark.parametrize(
    "url",
    [
        "ftp://localhost:{port}/",
        "file:///etc/passwd",
        "gopher://localhost:{port}/",
        "//localhost:{port}/",
        "http://",
        "http://user@/",
        "http://:{port}/",
        " http://localhost:{port}/",
        "http://localhost :{port}/",
        "http://localhost\t:{port}/",
        "http://loc%61lhost:{port}/",
        "http://localhost%00.evil.example:{port}/",
        "http://127.0.0.1%2eevil.example:{port}/",
        "http://[::1%25lo]:{port}/",
        "http://[localhost]:{port}/",
        "http://[::1]localhost:{port}/",
        "http://localhost:{port}:80/",
        "http://localhost:+{port}/",
        "http://localhost\\:{port}/",
    ],
)
async def test_invalid_url_is_rejected_without_request(url: str) -> None:
    async with serving(ok(SCRIPT)) as server:
        text = await refusal(url.format(port=server.port))
    assert text == (
        "script_url: expected an http or https URL with a host, such as http://localhost/script.json, got another value"
    )
    assert server.opened == 0


class Elsewhere(SystemNetwork):
    """A network that always connects to the same local server, and records the host that was requested."""

    def __init__(self, server: Server) -> None:
        self._port = server.port
        self.dialled: list[tuple[str, int, bool]] = []

    async def dial(
        self, host: str, port: int, *, tls: bool, public_only: bool = False
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.dialled.append((host, port, tls))
        return await super().dial("127.0.0.1", self._port, tls=False)


@pytest.mark.parametrize(
    ("url", "dialled", "host"),
    [
        ("http://LocalHost:8000/", ("localhost", 8000, False), "localhost:8000"),
        ("https://localhost", ("localhost", 443, True), "localhost"),
        ("HTTPS://localhost:443/", ("localhost", 443, True), "localhost"),
        ("HTTP://user@127.0.0.1:443/", ("127.0.0.1", 443, False), "127.0.0.1:443"),
        ("http://a@b@localhost:/", ("localhost", 80, False), "localhost"),
        ("http://[::1]/", ("::1", 80, False), "[::1]"),
        ("http://[0:0:0:0:0:0:0:1]:8000/", ("::1", 8000, False), "[::1]:8000"),
        ("https://scripts.example?x", ("scripts.example", 443, True), "scripts.example"),
        ("https://[2001:DB8::1]#x", ("2001:db8::1", 443, True), "[2001:db8::1]"),
        ("http://b\u00fccher.example/", ("b\u00fccher.example", 80, False), "xn--bcher-kva.example"),
    ],
)
async def test_equivalent_forms_of_allowed_hosts_are_accepted(
    url: str, dialled: tuple[str, int, bool], host: str
) -> None:
    hosts = (*Settings().script_url_hosts, "Scripts.Example", "2001:db8:0::1", "b\u00fccher.example")
    async with serving(ok(SCRIPT)) as server:
        network = Elsewhere(server)
        assert await fetch_script(url, settings(hosts=hosts), network) == CAT
    assert network.dialled == [dialled]
    assert f"\r\nHost: {host}\r\n" in server.requests[0]


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("", "/"),
        ("?a=b c", "/?a=b%20c"),
        ("/a b/../\u00e4?q=/?\u00e4#f", "/a%20b/../%C3%A4?q=/?%C3%A4"),
        ("/%41%2f?%20", "/%41%2f?%20"),
        ("//localhost/~me;v=1", "//localhost/~me;v=1"),
    ],
)
async def test_path_is_percent_encoded_to_ascii(path: str, target: str) -> None:
    async with serving(ok(SCRIPT)) as server:
        assert await fetch_script(f"http://127.0.0.1:{server.port}{path}", settings(), NETWORK) == CAT
    assert server.requests[0].splitlines()[0] == f"GET {target} HTTP/1.1"


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/\r\nX-Evil: 1\r\n\r\nGET /other",
        "http://localhost\x00/",
        "http://[:]/",
        "http://[127.0.0.1]/",
        "http://localhost\uff0f.example/",
        "http://\u2100localhost/",
    ],
)
async def test_ambiguous_url_is_rejected(url: str) -> None:
    assert await refusal(url) == (
        "script_url: expected an http or https URL with a host, such as http://localhost/script.json, got another value"
    )


async def test_empty_host_setting_rejects_every_host() -> None:
    text = await refusal("http://localhost/", using=settings(hosts=()))
    assert "expected a host of the setting script_url_hosts (none), got 'localhost'" in text


async def test_unresolvable_name_is_reported() -> None:
    host = "x" * 70
    assert "expected an HTTP response, got Unicode" in await refusal(f"http://{host}/", using=settings(hosts=(host,)))


async def test_long_url_is_shortened_in_error() -> None:
    text = await refusal(f"http://evil.example/{'x' * 60_000}")
    assert len(text) < 500
