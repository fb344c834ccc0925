"""A WHEP server for tests of the client, with real HTTP and WebRTC. Tests provide the functions that respond."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiortc import VideoStreamTrack
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from odyssey_mock.http.uvicorn_server import HttpServer
from odyssey_mock.rtc.host_candidates import HostCandidates
from odyssey_mock.rtc.peer_connection import PeerConnection
from odyssey_mock.system_network import SystemNetwork
from tests.support.scripted_streamer import GreyTrack

TOKEN = "s3cret-token"


class Sender(PeerConnection):
    """A WebRTC peer that sends one video track. Closing it before it is connected leaks no tasks."""

    def __init__(self, track: VideoStreamTrack) -> None:
        super().__init__(["127.0.0.1"], HostCandidates(), on_connected=lambda: None, on_lost=lambda: None)
        self._connection.addTransceiver(track, direction="sendonly")

    async def answer(self, offer: str) -> str:
        await self._describe_remote(offer, "offer")
        return await self._describe_local(self._connection.createAnswer)


type Config = Callable[[], Awaitable[Response]]
type Answer = Callable[["WhepServer", str], Awaitable[Response]]


async def no_ice_servers() -> Response:
    return JSONResponse({"iceServers": []})


async def good(server: "WhepServer", offer: str) -> Response:
    """Accept an offer: return a correct WHEP response with the SDP answer of a new peer."""
    return Response(await server.describe(offer), 201, {"Location": "/stream/whep/1"}, media_type="application/sdp")


@dataclass(eq=False)
class WhepServer:
    """A WHEP server that records requests in `asked` and its WebRTC peers in `peers`."""

    answer: Answer = good
    config: Config = no_ice_servers
    track: Callable[[], VideoStreamTrack] = GreyTrack
    patch_status: int = 204
    """Status of the responses to candidates (PATCH). These requests are not recorded: a late frame causes them."""
    url: str = ""
    asked: list[str] = field(default_factory=list)
    got: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server has received an offer."""
    peers: list[Sender] = field(default_factory=list)

    async def describe(self, offer: str) -> str:
        peer = Sender(self.track())
        self.peers.append(peer)
        return await peer.answer(offer)

    async def _config(self, _request: Request) -> Response:
        self.asked.append("GET /config")
        return await self.config()

    async def _whep(self, request: Request) -> Response:
        assert request.query_params["token"] == TOKEN
        assert request.headers["Content-Type"] == "application/sdp"
        self.asked.append(f"POST {request.url.path}")
        self.got.set()
        return await self.answer(self, (await request.body()).decode())

    async def _resource(self, request: Request) -> Response:
        if request.method == "PATCH":
            return Response(status_code=self.patch_status)
        assert not request.url.query, (
            f"expected a DELETE request without a query, because it needs no token, got the query {request.url.query!r}"
        )
        self.asked.append(f"DELETE {request.url.path}")
        return Response()


@asynccontextmanager
async def whep_server(answer: Answer = good, **options: object) -> AsyncIterator[WhepServer]:
    """Run and yield a WHEP server that responds to offers with `answer`. Clients use its `url` as the `webrtc_url`."""
    server = WhepServer(answer, **options)  # type: ignore[arg-type]
    app = Starlette(
        routes=[
            Route("/config", server._config),
            Route("/stream/whep", server._whep, methods=["POST"]),
            Route("/stream/whep/1", server._resource, methods=["DELETE", "PATCH"]),
        ]
    )
    listener = SystemNetwork().listen("127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.getsockname()[1]}/stream"
    try:
        async with HttpServer(app, listener, SystemNetwork()):
            yield server
    finally:
        listener.close()
        for peer in server.peers:
            await peer.close()
