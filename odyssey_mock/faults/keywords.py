"""The keywords of `Faults.add`, for type checkers and editors.

The catalog says what they mean and which go together; a test compares these with it, as no type can be derived from
a table.
"""

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
"""Where something may fail: the names of `POINTS`."""

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
"""All points that begin alike, where they have an action in common."""

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
    "late",
    "lose_worker",
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
"""What may be done at one point or another."""


class FaultMatch(TypedDict, total=False):
    """What a fault may be narrowed to: `WHERE` says what each is, and the point which it knows."""

    account: str
    session: str
    stream: str
    prompt: str
    job: str
    script_index: int
    artifact: str


class FaultKeywords(TypedDict, total=False):
    """One fault by keywords: where, what, how often, and the parameters of the action."""

    at: FaultPoint | FaultPointGroup
    do: FaultActionName
    # How often, and for whom
    times: int | None
    after: int
    probability: float
    match: FaultMatch
    # Parameters of one action or another
    status: int
    detail: JSON
    retry_after: int | None
    seconds: float
    bytes_per_second: int
    code: int
    reason: str
    message: str
    body: JSON
    width: int
    height: int
