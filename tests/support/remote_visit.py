"""A visit to each URL of a mock from another machine: it hosts and watches a broadcast.

two_machines.py calls `visits` in the network namespace of the other machine.
"""

import asyncio
import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import httpx
from aioice import stun

from odyssey_client import Odyssey
from tests.support.broadcasting import host_broadcast

FORGED = {
    "Forwarded": "for=127.0.0.1;host=forged.example;proto=http",
    "X-Forwarded-For": "127.0.0.1, 127.0.0.1",
    "X-Forwarded-Host": "forged.example",
    "X-Forwarded-Port": "99",
    "X-Forwarded-Prefix": "/forged",
    "X-Forwarded-Proto": "http",
}
"""Headers that state another address of the mock. From a client that is no trusted proxy, they have no effect."""


@dataclass(frozen=True)
class Visits:
    """The URLs to visit, an API key, and a file with the certificates that the client trusts."""

    key: str
    urls: Sequence[str]
    certificates: Path


async def visits(plan: Visits) -> dict[str, dict[str, object]]:
    """Visit all URLs at the same time; return the results by URL."""
    os.environ["SSL_CERT_FILE"] = str(plan.certificates)
    async with asyncio.timeout(60):
        found = await asyncio.gather(*(_visit(url, plan.key) for url in plan.urls))
    return dict(zip(plan.urls, found, strict=True))


async def _visit(url: str, key: str) -> dict[str, object]:
    """Use each kind of URL that the mock at `url` sends; return their base URLs and what was received."""
    async with Odyssey(key, api_url=url) as client, httpx.AsyncClient(headers=FORGED) as http:
        stream_id, info = await host_broadcast(client)
        assert client.media_stream is not None
        await anext(client.media_stream.frames())
        async with await Odyssey.connect_to_stream(info.webrtc_url, info.spectator_token) as spectator:
            await anext(spectator.frames())
        assert info.hls_url is not None
        await watch_hls(http, info.hls_url)
        await client.disconnect()
        video_url = (await client.get_recording(stream_id)).video_url
        assert video_url is not None
        video = (await http.get(video_url)).raise_for_status().content
        login = await http.post(f"{url}/auth/token", json={"api_key": key})
        http.headers["Authorization"] = f"Bearer {login.raise_for_status().json()['access_token']}"
        session = (await http.post(f"{url}/sessions/request", json={})).raise_for_status().json()
        used = [info.webrtc_url, info.hls_url, video_url, *await ping(http, url)]
        return {
            "urls": sorted({re.sub(r"/(broadcast|artifacts|ping)/.*", "", each) for each in used}),
            "signaling": session["signalling_url"].removesuffix(f"/signaling/{session['streamer_id']}"),
            "stun": await bind(http, urljoin(info.webrtc_url, "/config")),
            "video": video[4:8].decode(),
        }


async def watch_hls(http: httpx.AsyncClient, playlist: str) -> None:
    """Fetch the playlist, its initialization section and its first segment."""
    text = (await http.get(playlist)).raise_for_status().text
    (beginning,) = re.findall(r'URI="([^"]+)"', text)
    first, *_ = re.findall(r"^[^#\n].*", text, re.MULTILINE)
    for name, box in ((beginning, b"ftyp"), (first, b"moof")):
        content = (await http.get(urljoin(playlist, name))).raise_for_status().content
        assert content[4:8] == box, f"{name}: expected a box {box!r}, got {content[4:8]!r}"


async def ping(http: httpx.AsyncClient, url: str) -> list[str]:
    """Request the ping URL of each region; return the URLs."""
    listed = (await http.get(f"{url}/regions")).raise_for_status().json()["regions"]
    pings = [region["ping_url"] for region in listed]
    for each in pings:
        (await http.get(each)).raise_for_status()
    return pings


async def bind(http: httpx.AsyncClient, config: str) -> str:
    """Send a binding request to the STUN server that `config` names; return the host of the server."""
    (server,) = (await http.get(config)).raise_for_status().json()["iceServers"]
    _, host, port = server["urls"].split(":")
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setblocking(False)
        udp.connect((host, int(port)))
        udp.send(bytes(request))
        async with asyncio.timeout(10):
            response = stun.parse_message(await asyncio.get_running_loop().sock_recv(udp, 1500))
        assert response.attributes["XOR-MAPPED-ADDRESS"] == udp.getsockname()
    return str(host)
