"""The latency profiles: how long the mock takes for each request and step, as one table.

`docs/reference/latency.md` shows the table. Each point has the name of a fault point (`faults/catalog.py`),
except `recording`. All durations are constant, in seconds on the server's clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from odyssey_mock.settings import LatencyProfile


@dataclass(frozen=True, slots=True)
class Latency:
    """A row of the table.

    Attributes:
        means: description of the request or step.
        realistic: the seconds in the profile `realistic`.
        slow: the seconds in the profile `slow`.
    """

    means: str
    realistic: float
    slow: float


LATENCIES: Mapping[str, Latency] = MappingProxyType(
    {
        "rest.auth.token": Latency("response to `POST /auth/token`", 0.3, 2.0),
        "rest.regions.list": Latency("response to `GET /regions`", 0.1, 1.0),
        "rest.regions.ping": Latency(
            "response to a ping URL, in addition to the region's latency in the setting `regions`", 0.0, 0.0
        ),
        "rest.sessions.request": Latency("response to `POST /sessions/request`: a streamer is assigned", 0.8, 5.0),
        "rest.sessions.token": Latency("response to `POST /sessions/token`", 0.2, 1.5),
        "rest.simulations.create": Latency("response to `POST /simulation-jobs`", 0.4, 3.0),
        "rest.simulations.get": Latency("response to `GET /simulation-jobs/{job_id}`", 0.2, 1.0),
        "rest.simulations.list": Latency("response to `GET /simulation-jobs`", 0.2, 1.0),
        "rest.simulations.cancel": Latency("response to `DELETE /simulation-jobs/{job_id}`", 0.2, 1.0),
        "rest.recordings.get": Latency("response to `GET /recordings/{stream_id}`", 0.2, 1.0),
        "rest.recordings.list": Latency("response to `GET /stream-recordings`", 0.2, 1.0),
        "rest.telemetry": Latency("response to `POST /telemetry`", 0.1, 1.0),
        "signaling.config": Latency("response to `GET {signalling_url}/config`", 0.1, 1.0),
        "signaling.upgrade": Latency("acceptance of the signaling WebSocket", 0.2, 1.5),
        "signaling.offer": Latency("SDP offer, after the acceptance: the streamer starts the model", 1.0, 5.0),
        "signaling.answer": Latency("the streamer's reaction to the SDP answer; then ICE and DTLS begin", 0.4, 2.0),
        "stream.start": Latency("first frame and `stream_started`, after the start message", 1.5, 8.0),
        "stream.interact": Latency("change of the video and acknowledgment, after the interaction", 0.8, 4.0),
        "stream.end": Latency("end of the stream and `stream_ended`, after the end message", 0.3, 2.0),
        "stream.broadcast": Latency("`broadcast_ready`, after `stream_started`", 1.0, 5.0),
        "recording": Latency(
            "recording of a live stream, after the stream has ended; until then it is missing: status 404", 15.0, 60.0
        ),
        "whep.config": Latency("response to `GET /config`", 0.1, 1.0),
        "whep.offer": Latency("SDP answer for a spectator (WHEP)", 0.5, 3.0),
        "whep.candidates": Latency("response to ICE candidates of a spectator", 0.1, 1.0),
        "whep.leave": Latency("response to a spectator that leaves", 0.1, 1.0),
        "hls.playlist": Latency("HLS playlist", 0.1, 0.5),
        "hls.segment": Latency("HLS segment", 0.1, 0.5),
        "artifact": Latency("file of a recording", 0.2, 1.0),
        "job.pending": Latency("dispatch of a job, in addition to `simulation_dispatch_delay`", 3.0, 20.0),
        "job.dispatched": Latency("beginning of a dispatched job, in addition to `simulation_start_delay`", 2.0, 10.0),
        "job.script": Latency("each script of a job, in addition to `simulation_pace`", 2.0, 10.0),
    }
)
"""The durations by point. Points that are not listed take no time."""


CONNECTING = ("rest.sessions.token", "signaling.config", "signaling.upgrade", "signaling.offer", "signaling.answer")
"""The points of a client that connects to its session, or returns to it."""


def seconds(profile: LatencyProfile, point: str) -> float:
    """Return how many seconds `point` takes in a profile."""
    match profile:
        case "instant":
            return 0.0
        case "realistic":
            return LATENCIES[point].realistic if point in LATENCIES else 0.0
        case "slow":
            return LATENCIES[point].slow if point in LATENCIES else 0.0


def connecting(profile: LatencyProfile) -> float:
    """Return how many seconds a profile delays a client that connects or reconnects to its session."""
    return sum(seconds(profile, point) for point in CONNECTING)
