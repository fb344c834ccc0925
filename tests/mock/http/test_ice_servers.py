"""Tests of a mock with a TURN server: where the server is named, and that its password stays secret."""

import json

import httpx

from odyssey_mock import MockOdyssey
from odyssey_mock.settings import IceServer
from tests.support.raw import raw_peer
from tests.support.tls_contexts import NO_CERTIFICATES
from tests.support.whep import RawSpectator, go_live

UDP, TCP = "turn:192.0.2.1:3478", "turn:192.0.2.1:3478?transport=tcp"
PASSWORD = "open-sesame-3141"


async def test_turn_server_is_named_wherever_clients_look() -> None:
    turn: IceServer = {"urls": [UDP, TCP], "username": "anna", "credential": PASSWORD}
    stun: IceServer = {"urls": "stun:192.0.2.2"}
    links = [
        f'<{url}>; rel="ice-server"; username="anna"; credential="{PASSWORD}"; credential-type="password"'
        for url in (UDP, TCP)
    ]
    link = ", ".join([*links, '<stun:192.0.2.2>; rel="ice-server"'])
    async with (
        MockOdyssey(ice_servers=[turn, stun], portrait_size=(176, 320)) as mock,
        httpx.AsyncClient(base_url=mock.url, trust_env=False, verify=NO_CERTIFICATES) as http,
        raw_peer(mock) as host,
    ):
        for path in ("/config", "/signaling/streamer-1/config"):
            assert (await http.get(path)).json() == {"iceServers": [turn, stun]}
        live = await go_live(mock, host)
        async with RawSpectator(live) as spectator:
            assert spectator.answer.headers["Link"] == link
            for url in (live.whep, spectator.resource):
                assert (await http.options(url)).headers["Link"] == link
        shown = (await http.get("/_mock/settings")).json()["settings"]
        assert shown["ice_servers"]["value"] == [{**turn, "credential": "***"}, stun]
        journal = (await http.get("/_mock/journal")).text
    for text in (json.dumps(shown), journal, repr(mock.settings), str([entry.data for entry in mock.journal.entries])):
        assert PASSWORD not in text
