"""The state of a mock as the control API shows it: sessions, streams, broadcasts, jobs and the clock."""

import datetime
import json
from collections.abc import Sized
from dataclasses import dataclass

from odyssey_mock.broadcasts.registry import Broadcasts
from odyssey_mock.core.clock import Clock, deadlines_json
from odyssey_mock.core.redaction import Secrets, masked_json
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.recordings.stream_records import StreamRecord, StreamStore
from odyssey_mock.sessions.registry import SessionRegistry
from odyssey_mock.simulations.jobs import Jobs


@dataclass(frozen=True, kw_only=True)
class StateView:
    """The parts of a mock whose state `GET /_mock/state` shows."""

    clock: Clock
    sessions: SessionRegistry
    streams: StreamStore
    broadcasts: Broadcasts
    jobs: Jobs
    telemetry: Sized
    secrets: Secrets

    def to_json(self, now: float) -> dict[str, JSON]:
        """Return the state as JSON. `now` is the time of the clock, from which times that are left are counted."""
        return {
            "sessions": self.sessions.snapshot(now),
            "streams": [self._stream(stream) for stream in self.streams.records.values()],
            "broadcasts": [broadcast.snapshot() for broadcast in self.broadcasts.values()],
            "jobs": self.jobs.snapshot(),
            "clock": clock_json(self.clock, now),
            "telemetry": len(self.telemetry),
        }

    def to_text(self, now: float) -> str:
        """Return the state as JSON text without secrets."""
        shown: JSON = self.to_json(now)
        text = json.dumps(shown, ensure_ascii=False)
        # Most states contain no secret. A search of the whole text takes a fifth of the time that each string takes.
        if self.secrets.masked(text) != text:
            shown = masked_json(shown, self.secrets)
        # ASCII only: a prompt may contain lone surrogates, which JSON can escape but UTF-8 cannot encode.
        return json.dumps(shown, separators=(",", ":"))

    def _stream(self, stream: StreamRecord) -> JSON:
        broadcast = self.broadcasts.get(stream.id)
        return {**stream.snapshot(), "viewers": 0 if broadcast is None else broadcast.audience_size}


def clock_json(clock: Clock, now: float) -> dict[str, JSON]:
    """Return a clock that shows the time `now`, with its pending deadlines, as `GET /_mock/clock` shows it."""
    kind = "manual" if clock.speed is None else "real" if clock.speed == 1 else "scaled"
    return {
        "kind": kind,
        "speed": clock.speed,
        "paused": clock.is_paused,
        "time": now,
        "iso": datetime.datetime.fromtimestamp(now, datetime.UTC).isoformat(),
        "deadlines": deadlines_json(clock.pending, now),
    }
