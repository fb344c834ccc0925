"""Types of the keyword arguments of `Faults.add`, for type checkers and editors.

`catalog.py` describes these arguments, and which of them each action has. A test compares these types with the
catalog.
"""

from collections.abc import Mapping
from typing import Literal, TypedDict

from odyssey_mock.core.strict_json import JSON

type FaultPoint = Literal[
    "rest.auth.token",
    "rest.regions.list",
    "rest.regions.ping",
    "rest.sessions.request",
    "rest.sessions.token",
    "rest.simulations.create",
    "rest.simulations.get",
    "rest.simulations.list",
    "rest.simulations.cancel",
    "rest.recordings.get",
    "rest.recordings.list",
    "rest.telemetry",
    "signaling.config",
    "signaling.upgrade",
    "signaling.offer",
    "signaling.answer",
    "signaling.connected",
    "peer.ice",
    "peer.dtls",
    "peer.connected",
    "peer.channels",
    "peer.frame",
    "stream.start",
    "stream.interact",
    "stream.end",
    "stream.running",
    "stream.broadcast",
    "whep.config",
    "whep.offer",
    "whep.candidates",
    "whep.leave",
    "hls.playlist",
    "hls.segment",
    "job.pending",
    "job.dispatched",
    "job.processing",
    "job.script",
    "artifact",
    "server",
]
"""Names of fault points: the keys of `POINTS`."""

type FaultPointGroup = Literal[
    "rest.*",
    "rest.auth.*",
    "rest.regions.*",
    "rest.sessions.*",
    "rest.simulations.*",
    "rest.recordings.*",
    "whep.*",
    "hls.*",
    "job.*",
]
"""Groups of fault points: all points whose names begin with a prefix, if they have an action in common."""

type FaultActionName = Literal[
    "away",
    "binary",
    "broken_sdp",
    "close",
    "close_channels",
    "delay",
    "drop",
    "end",
    "end_track",
    "error",
    "fail",
    "freeze",
    "ignore",
    "impair",
    "late",
    "lose_worker",
    "lost",
    "missing_fields",
    "never",
    "no_answer",
    "not_json",
    "not_object",
    "refuse",
    "reset",
    "resize",
    "silent",
    "slow",
    "stall",
    "status",
    "truncate",
    "twice",
    "unknown_type",
    "vanish",
    "wrong_order",
    "wrong_shape",
]
"""Names of the actions of all points."""


class FaultMatch(TypedDict, total=False):
    """The conditions in `match` of a fault. `catalog.WHERE` describes them.

    Each fault point supports `account` and the conditions in its `Point.matches`.
    """

    account: str
    session: str
    stream: str
    prompt: str
    job: str
    script_index: int
    artifact: str


class FaultKeywords(TypedDict, total=False):
    """One fault as keyword arguments: its point, action and parameters, and when and how often it fires."""

    at: FaultPoint | FaultPointGroup
    do: FaultActionName
    # How often the fault fires, and for which requests
    times: int | None
    after: int
    probability: float
    match: FaultMatch
    # Parameters of the actions
    status: int
    detail: JSON
    retry_after: int | None
    seconds: float
    bytes_per_second: int
    code: int
    reason: str
    message: str
    ends_stream: bool
    body: JSON
    width: int
    height: int
    network_profile: str | Mapping[str, JSON]
    duration: float | None
