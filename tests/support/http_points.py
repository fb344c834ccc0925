"""For each fault point of the HTTP routes, a request that reaches it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import httpx

from odyssey_mock import MockOdyssey
from odyssey_mock.faults.catalog import POINTS
from tests.support.simulations import wanted

STREAM = "11111111-2222-3333-4444-555555555555"
"""Id of a stream that does not exist."""
WEBRTC = f"/broadcast/{STREAM}"


@dataclass(frozen=True)
class Ask:
    """A request of the table `ASKS`. The function `ask` adds the host and the access token."""

    method: str
    path: str
    json: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


ASKS: Mapping[str, Ask] = MappingProxyType(
    {
        "rest.auth.token": Ask("POST", "/auth/token", {"api_key": "ody_somebody"}),
        "rest.regions.list": Ask("GET", "/regions"),
        "rest.regions.ping": Ask("GET", "/ping/us-east-1"),
        "rest.sessions.request": Ask("POST", "/sessions/request", {}),
        "rest.sessions.token": Ask("POST", "/sessions/token", {"session_id": STREAM}),
        "rest.simulations.create": Ask("POST", "/simulation-jobs", wanted()),
        "rest.simulations.get": Ask("GET", "/simulation-jobs/a-job"),
        "rest.simulations.list": Ask("GET", "/simulation-jobs"),
        "rest.simulations.cancel": Ask("DELETE", "/simulation-jobs/a-job"),
        "rest.recordings.get": Ask("GET", f"/recordings/{STREAM}"),
        "rest.recordings.list": Ask("GET", "/stream-recordings"),
        "rest.telemetry": Ask("POST", "/telemetry", {"events": [{"name": "seen"}]}),
        "signaling.config": Ask("GET", "/signaling/a-streamer/config"),
        "whep.config": Ask("GET", "/config"),
        "whep.offer": Ask("POST", f"{WEBRTC}/whep"),
        "whep.candidates": Ask("PATCH", f"{WEBRTC}/whep/a-spectator"),
        "whep.leave": Ask("DELETE", f"{WEBRTC}/whep/a-spectator"),
        "hls.playlist": Ask("GET", f"{WEBRTC}/hls/index.m3u8"),
        "hls.segment": Ask("GET", f"{WEBRTC}/hls/segment0.mp4"),
        "artifact": Ask("GET", f"/artifacts/{STREAM}/video.mp4"),
    }
)

HTTP_POINTS = tuple(name for name, point in POINTS.items() if "status" in point.actions)
CELLS = tuple((point, do) for point in HTTP_POINTS for do in POINTS[point].actions)
"""All pairs of an HTTP fault point and a fault action at this point."""


async def token_of(mock: MockOdyssey, http: httpx.AsyncClient, api_key: str | None = None) -> str:
    """Return an access token for `api_key`, by default the mock's key."""
    answer = await http.post(f"{mock.url}/auth/token", json={"api_key": api_key or mock.api_key})
    return str(answer.raise_for_status().json()["access_token"])


async def ask(mock: MockOdyssey, http: httpx.AsyncClient, point: str, token: str) -> httpx.Response:
    """Send the request that reaches the fault point `point`; return the response."""
    wants = ASKS[point]
    headers = {"Authorization": f"Bearer {token}", **wants.headers}
    return await http.request(wants.method, mock.url + wants.path, json=wants.json, headers=headers)
