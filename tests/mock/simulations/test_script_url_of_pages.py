"""Tests of script URLs that web pages submit: a page must not use the mock to read services on private addresses."""

import asyncio
import socket
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.core.network import PrivateAddressError
from odyssey_mock.settings import Settings
from odyssey_mock.simulations.script_url import ScriptUrlError, fetch_script
from tests.support.script_server import CAT, NETWORK, SCRIPT, ok, serving
from tests.support.tls_server import certified

FOREIGN = "https://evil.example"
FIELDS = {"portrait": True, "output_video": True}
REFUSED = (
    "expected a host with public addresses only, because a web page of another origin submitted the job, got one with "
    "a loopback, link-local or private address. To allow such hosts to pages, set private_script_urls_from_pages"
)


async def refusal_of_page(url: str, settings: Settings) -> str:
    """Fetch a script for a page of another origin; assert that this raises an error, and return its message."""
    with pytest.raises(ScriptUrlError) as caught:
        await fetch_script(url, settings, NETWORK, from_page=True)
    return str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "10.0.0.1", "192.168.1.20"])
async def test_page_gets_one_error_for_all_ports(host: str) -> None:
    settings = Settings(script_url_hosts=["localhost", host])
    async with serving(ok(SCRIPT)) as server:
        opened = f"http://{host}:{server.port}/"
        with NETWORK.listen("127.0.0.1", 0) as reserved:
            closed = f"http://{host}:{reserved.getsockname()[1]}/"
        messages = [await refusal_of_page(url, settings) for url in (opened, closed)]
    assert messages == [f"script_url {url}: {REFUSED}" for url in (opened, closed)]
    assert server.opened == 0


async def test_name_with_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """All addresses of a name must be public, because any of them may be connected to."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 80)) for each in ("93.184.215.14", "127.0.0.1")]

    async def resolve(*_: object, **__: object) -> object:
        return found

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    with pytest.raises(PrivateAddressError):
        await NETWORK.dial("evil.example", 80, tls=False, public_only=True)


async def test_checked_address_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name resolves to another address at each lookup (DNS rebinding); the first one is checked and used."""
    asked: list[str] = []
    loop = asyncio.get_running_loop()
    original = loop.getaddrinfo
    async with serving(ok(SCRIPT)) as server:

        async def resolve(host: str, port: int, **options: int) -> object:
            asked.append(host)
            if host == "evil.example":
                assert asked.count(host) == 1, "expected the name to be resolved once"
                host = "127.0.0.1"
            return await original(host, port, **options)

        monkeypatch.setattr(loop, "getaddrinfo", resolve)
        monkeypatch.setattr("odyssey_mock.system_network.is_public", lambda address: address == "127.0.0.1")
        settings = Settings(script_url_hosts=["evil.example"])
        url = f"http://evil.example:{server.port}/"
        assert await fetch_script(url, settings, NETWORK, from_page=True) == CAT
    assert f"\r\nHost: evil.example:{server.port}\r\n" in server.requests[0]


async def test_certificate_of_a_checked_address_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = certified(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    monkeypatch.setattr("odyssey_mock.system_network.is_public", lambda _: True)
    async with serving(ok(SCRIPT), tls=tls) as server:
        url = f"https://127.0.0.1:{server.port}/"
        assert await fetch_script(url, Settings(), NETWORK, from_page=True) == CAT
        wrong = await refusal_of_page(url.replace("127.0.0.1", "localhost"), Settings())
    assert REFUSED not in wrong


async def test_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odyssey_mock.system_network.is_public", lambda _: True)
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    loop = asyncio.get_running_loop()
    original = loop.getaddrinfo

    async def resolve(host: str, port: int, **options: int) -> object:
        return found if host == "two.example" else await original(host, port, **options)

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    async with serving(ok(SCRIPT)) as server:
        _, writer = await NETWORK.dial("two.example", server.port, tls=False, public_only=True)
        writer.close()
        await writer.wait_closed()
    assert server.opened == 1


FROM: Mapping[str, tuple[Mapping[str, str], str]] = {
    "a program": ({}, "completed"),
    "a program at another name of the mock": ({"Host": "mock.example"}, "completed"),
    "a page of the mock": ({"Origin": "http://localhost:8400", "Host": "localhost:8400"}, "completed"),
    "a foreign page": ({"Origin": FOREIGN}, "failed"),
    "an opaque origin": ({"Origin": "null"}, "failed"),
    "a page on another port": ({"Origin": "http://localhost:5173", "Host": "localhost:8400"}, "failed"),
    "a page with DNS rebinding": ({"Origin": "http://evil.example", "Host": "evil.example"}, "failed"),
}


async def outcome(http: httpx.AsyncClient, mock: MockOdyssey, headers: Mapping[str, str]) -> tuple[str, str | None]:
    """Submit a job with a `script_url` on this machine; return its status at the end and its error."""
    async with serving(ok(SCRIPT)) as server:
        answer = await http.post("/simulation-jobs", json={**FIELDS, "script_url": server.url}, headers=headers)
        await mock.advance(60)
    record = mock.jobs[answer.raise_for_status().json()["job_id"]]
    return record.status, record.error_message


@pytest.mark.odyssey(clock="manual")
@pytest.mark.parametrize("case", FROM)
async def test_foreign_page_cannot_use_local_urls(
    case: str, authorized: httpx.AsyncClient, odyssey_mock: MockOdyssey
) -> None:
    headers, expected = FROM[case]
    status, error = await outcome(authorized, odyssey_mock, headers)
    assert (status, REFUSED in (error or "")) == (expected, expected == "failed")


@pytest.mark.odyssey(clock="manual", private_script_urls_from_pages=True)
async def test_setting_allows_local_urls_to_pages(authorized: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    assert await outcome(authorized, odyssey_mock, {"Origin": FOREIGN}) == ("completed", None)
