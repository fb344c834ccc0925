"""Tests of the ICE servers that the client requests with `GET /config`, with valid and invalid responses."""

import asyncio
from typing import Any

import pytest

from odyssey_client import ServiceUnreachableError, SystemClock
from odyssey_client.platform import IceServer
from odyssey_client.rtc import ice_servers
from odyssey_client.rtc.ice_servers import fetch_ice_servers, read_ice_servers


@pytest.mark.parametrize(
    ("body", "servers"),
    [
        ({"iceServers": []}, []),
        ({"iceServers": [{"urls": "stun:host"}]}, [IceServer(["stun:host"])]),
        (
            {"iceServers": [{"urls": ["turn:host", "http://host", 7], "username": "u", "credential": "c"}]},
            [IceServer(["turn:host"], "u", "c")],
        ),
        ({"iceServers": [{"urls": []}, {}, None, 7, {"urls": {"a": 1}}]}, []),
        ({"iceServers": [{"urls": "stun:host", "username": 7}]}, [IceServer(["stun:host"])]),
    ],
)
def test_ice_servers_are_parsed_without_invalid_entries(body: object, servers: list[IceServer]) -> None:
    assert read_ice_servers(body) == servers


def test_ice_server_repr_hides_the_credential() -> None:
    assert "secret" not in repr(IceServer(["turn:host"], "user", "secret"))


@pytest.mark.parametrize("answer", [ServiceUnreachableError("refused"), ValueError("HTTP 500"), None, [], {"a": 1}])
async def test_failed_or_invalid_config_gives_no_ice_servers(answer: Any) -> None:
    asked: list[str] = []

    async def fetch(url: str) -> object:
        asked.append(url)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await fetch_ice_servers("https://host/path/config", fetch, SystemClock()) == []
    assert asked == ["https://host/path/config"]


async def test_fetching_ice_servers_times_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ice_servers, "CONFIG_LIMIT_S", 0.01)

    async def fetch(_: str) -> object:
        await asyncio.Event().wait()
        return None

    async with asyncio.timeout(5):
        assert await fetch_ice_servers("http://host/config", fetch, SystemClock()) == []
    assert "no ICE servers from http://host/config within 0.01 s" in caplog.text


def test_number_of_ice_servers_is_limited() -> None:
    body = {"iceServers": [{"urls": [f"stun:host:{port}" for port in range(1000)]}] * 1000}
    servers = read_ice_servers(body)
    assert [len(server.urls) for server in servers] == [20] * 20
