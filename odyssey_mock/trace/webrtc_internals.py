"""The peer connections of a trace as a dump of chrome://webrtc-internals.

Its importers expect the fields that Chromium writes. `PeerConnections` has each connection by its id. Its `updateLog`
has calls and events. Its `stats` has one time series for each value of each report, with one value per second.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from odyssey_client.models import JSON
from odyssey_client.trace import Trace, TraceEvent
from odyssey_mock.trace.participants import Participants
from odyssey_mock.trace.wall_time import utc_time

LANES = frozenset({"sdp", "peer", "stats"})
"""Lanes whose events are about a peer connection."""
STEP = 1.0
"""Seconds from one value of a time series to the next, as in Chromium. Importers rely on it."""

STEPS = 20_000
"""Maximum number of values of a time series: more than five hours. A file that is not ours can claim any time."""

_UPDATES: Mapping[str, str] = {
    "ice": "oniceconnectionstatechange",
    "connection": "onconnectionstatechange",
    "gathering": "onicegatheringstatechange",
    "signaling": "onsignalingstatechange",
    "dtls": "ondtlsstatechange",
}
"""Type of the entry of `updateLog` for a change of state, by transport. Chromium has no entry for DTLS."""


def webrtc_internals_dump(trace: Trace) -> dict[str, JSON]:
    """Return the trace as a dump of webrtc-internals.

    The peers of one participant in different sessions are different connections. The ids of the connections are
    ``PARTICIPANT-NUMBER``, as Chromium's are ``PROCESS-NUMBER``.
    """
    began_at = trace.manifest.began_at
    connections: dict[str, JSON] = {}
    processes: dict[str, int] = {}
    for who, session, events in _peers(trace):
        process = processes.setdefault(who, len(processes) + 1)
        number = sum(key.startswith(f"{process}-") for key in connections) + 1
        connections[f"{process}-{number}"] = {
            "pid": process,
            "url": who if session is None else f"{who}, session {session}",
            "rtcConfiguration": "{}",
            "stats": dict(_series(events, began_at)),
            "updateLog": [
                {**update, "timestamp": round((began_at + event.at) * 1000, 3), "time": utc_time(began_at + event.at)}
                for event in events
                if (update := _update(event)) is not None
            ],
        }
    versions = ", ".join(f"{name} {version}" for name, version in trace.manifest.recorded_by.items())
    return {
        "getUserMedia": [],
        "PeerConnections": connections,
        "UserAgent": f"odyssey-testkit ({versions})",
    }


def _peers(trace: Trace) -> Iterator[tuple[str, str | None, Sequence[TraceEvent]]]:
    """Yield participant, session and events of each peer connection, in the order in which they begin."""
    participants = Participants(trace.events)
    peers: dict[tuple[str, str, str | None], list[TraceEvent]] = {}
    early: dict[tuple[str, str], list[TraceEvent]] = {}
    for event in trace.events:
        if event.lane not in LANES:
            continue
        who = participants.of(event)
        client = participants.other(event) if event.side == "server" else who
        if event.session is None:  # belongs to the next session of the participant, whose id was not known yet
            early.setdefault((who, client), []).append(event)
        else:
            peers.setdefault((who, client, event.session), early.pop((who, client), [])).append(event)
    for (who, client), events in early.items():
        latest = next((own for key, own in reversed(peers.items()) if key[:2] == (who, client)), None)
        if latest is None:
            peers[who, client, None] = events
        else:
            latest.extend(events)
    yield from ((who, session, events) for (who, _client, session), events in peers.items())


def _update(event: TraceEvent) -> dict[str, JSON] | None:
    """Return the type and value of an entry of `updateLog`; None for an event that has none."""
    data = event.data
    if event.lane == "stats":
        return None
    if event.lane == "sdp":
        is_own = event.sender == event.side
        if event.name in {"offer", "answer"}:
            message = data.get("message")
            sdp = data.get("sdp") or (message.get("sdp") if isinstance(message, dict) else None)
            description = {"type": event.name, "sdp": sdp}
            return {
                "type": "setLocalDescription" if is_own else "setRemoteDescription",
                "value": json.dumps(description, ensure_ascii=False),
            }
        return {
            "type": "onicecandidate" if is_own else "addIceCandidate",
            "value": json.dumps(_candidate(data), ensure_ascii=False),
        }
    transport, state = data.get("transport"), data.get("state")
    if isinstance(transport, str) and transport in _UPDATES and isinstance(state, str):
        return {"type": _UPDATES[transport], "value": json.dumps(state)}
    return {"type": event.name, "value": ""}


def _candidate(data: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return a candidate with the names of RTCIceCandidateInit, from a recorded candidate or message."""
    message = data.get("message")
    found = message if isinstance(message, dict) else data
    inner = found.get("candidate")
    if isinstance(inner, dict):
        found = inner
    return {
        "sdpMid": found.get("sdpMid", found.get("mid")),
        "sdpMLineIndex": found.get("sdpMLineIndex", found.get("mline_index")),
        "candidate": found.get("candidate"),
    }


@dataclass(slots=True)
class _Series:
    """The values of one value of a report: one for each step from the first to the last."""

    kind: str
    first: int
    values: list[JSON] = field(default_factory=list)

    def add(self, step: int, value: JSON) -> None:
        """Add the value at a step. A report that was missing for a while keeps its last value meanwhile."""
        self.values += self.values[-1:] * (step - self.first - len(self.values))
        self.values.append(value)


def _series(events: Sequence[TraceEvent], began_at: float) -> Iterator[tuple[str, JSON]]:
    """Yield the name and the values of each time series: the latest value at each step."""
    samples = [event for event in events if event.lane == "stats"]
    if not samples:
        return
    began_at += samples[0].at
    series: dict[str, _Series] = {}
    for step, sample in _steps(samples):
        reports = sample.data.get("reports")
        for key, report in reports.items() if isinstance(reports, dict) else ():
            if not isinstance(report, dict):
                continue
            stamped = {"timestamp": round((began_at + step * STEP) * 1000, 3), **report}
            for name, value in stamped.items():
                if name != "id" and not isinstance(value, dict | list):
                    new = _Series(str(report.get("type", "")), step)
                    series.setdefault(f"{key}-{name}", new).add(step, value)
    for name, each in series.items():
        last = each.first + len(each.values) - 1
        yield (
            name,
            {
                "startTime": utc_time(began_at + each.first * STEP),
                "endTime": utc_time(began_at + last * STEP),
                "statsType": each.kind,
                "values": json.dumps(each.values, ensure_ascii=False),
            },
        )


def _steps(samples: Sequence[TraceEvent]) -> Iterator[tuple[int, TraceEvent]]:
    """Yield the latest sample at each step from the first sample to the last."""
    index = 0
    for step in range(min(STEPS, math.ceil((samples[-1].at - samples[0].at) / STEP) + 1)):
        at = samples[0].at + step * STEP
        while index + 1 < len(samples) and samples[index + 1].at <= at + STEP / 100:
            index += 1
        yield step, samples[index]
