"""The plan of chaos runs: which faults to try, and with which parameters.

A run without faults shows which fault points the test reaches. The plan has one fault for each action of each of these
points. A robust application passes under every fault of the plan: each fault is temporary, or affects only optional
requests, such as telemetry.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType

from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.catalog import POINTS

VALUES: Mapping[str, Mapping[str, JSON]] = MappingProxyType(
    {
        "away": {"seconds": 1.0},
        "delay": {"seconds": 2.0},
        "impair": {"network_profile": "lossy-wifi"},
        "error": {"reason": "internal_error"},
        "late": {"seconds": 2.0},
        "refuse": {"status": 503},
        "resize": {"width": 320, "height": 176},
        "slow": {"bytes_per_second": 100_000},
        "status": {"status": 503},
    }
)
"""Parameters of the planned faults, by action. Parameters that are not listed have the defaults of the catalog."""

MIDWAY = frozenset({"signaling.connected", "peer.connected", "stream.running"})
"""Fault points at which a lasting state begins. The parameter `seconds` makes faults act in the middle of the state."""

SOON = 0.05
"""Minimum seconds until a fault at a point of `MIDWAY` acts; also used if the duration of the state is unknown."""

ONCE = 1
"""How many times a planned fault fires, unless `OFTEN` contains its point."""

OFTEN: Mapping[str, int | None] = MappingProxyType(
    {
        "rest.regions.list": None,
        "rest.regions.ping": None,
        "rest.telemetry": None,
        "peer.frame": 30,
        "peer.frame:late": ONCE,
    }
)
"""How many times a planned fault fires, by point or `point:action`; None if the number is not limited.

Faults of regions and telemetry fire every time, because these requests are optional. 30 frames are about one second of
video. One late frame delays all later frames.
"""

LEAST_LIMIT = 60.0
"""Minimum of the default time limit in seconds: enough for a client timeout of 30 s and a second attempt."""
LIMIT_FACTOR = 5.0
"""The default time limit is this factor times the duration of the run without a fault, but at least `LEAST_LIMIT`."""

_UNITS: Mapping[str, str] = {"seconds": " s", "bytes_per_second": " bytes/s"}


class ChaosPlanError(ValueError):
    """The plan would have no fault, or a pattern matches no fault of the catalog. The message states the reason."""


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A fault of the plan.

    Attributes:
        point: the name of the fault point.
        action: the action at this point.
        parameters: the parameters of the action, from `VALUES`.
        times: how many times the fault fires; None if the number is not limited.
    """

    point: str
    action: str
    parameters: Mapping[str, JSON] = field(default_factory=dict)
    times: int | None = ONCE

    @property
    def name(self) -> str:
        """The fault in words, such as `rest.sessions.request: status 503`."""
        values = "".join(f" {_shown(value)}{_UNITS.get(name, '')}" for name, value in self.parameters.items())
        often = "" if self.times == ONCE else ", every time" if self.times is None else f", {self.times} times"
        return f"{self.point}: {self.action}{values}{often}"

    @property
    def acts_midway(self) -> bool:
        """Whether a state begins at the point of the fault, and the fault acts in the middle of this state."""
        return self.point in MIDWAY

    def to_fault(self, midway: Mapping[str, float]) -> dict[str, JSON]:
        """Return the fault as `MockOdyssey(faults=...)` accepts it.

        `midway`: for each point of `MIDWAY`, the seconds after which the fault acts; the default is `SOON`.
        """
        later = {"seconds": midway.get(self.point, SOON)} if self.acts_midway else {}
        return {"at": self.point, "do": self.action, "times": self.times, **self.parameters, **later}

    def matches(self, pattern: str) -> bool:
        """Return whether a glob pattern matches `point` or `point:action` of this fault."""
        return fnmatchcase(self.point, pattern) or fnmatchcase(f"{self.point}:{self.action}", pattern)


def _shown(value: JSON) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def faults_at(points: Iterable[str]) -> Sequence[PlannedFault]:
    """Return the planned faults of `points`, in the order of the catalog."""
    reached = frozenset(points)
    return [
        PlannedFault(point, action, VALUES.get(action, {}), OFTEN.get(f"{point}:{action}", OFTEN.get(point, ONCE)))
        for point, described in POINTS.items()
        if point in reached
        for action in described.actions
    ]


def check_patterns(only: Sequence[str], exclude: Sequence[str]) -> None:
    """Check that each pattern matches a fault point or a `point:action` of the catalog.

    Raises:
        ChaosPlanError: a pattern matches no fault point and no `point:action`.
    """
    known = faults_at(POINTS)
    for pattern in (*only, *exclude):
        if not any(fault.matches(pattern) for fault in known):
            raise ChaosPlanError(
                f"the pattern {pattern!r} matches no fault point and no point:action; fault points: {', '.join(POINTS)}"
            )


def plan(reached: Iterable[str], *, only: Sequence[str] = (), exclude: Sequence[str] = ()) -> Sequence[PlannedFault]:
    """Return the faults to try at the fault points that a run without faults reached.

    Args:
        reached: the names of these fault points.
        only: glob patterns of points, or of `point:action`; without patterns, all points are used.
        exclude: patterns of points, or of `point:action`, to leave out.

    Raises:
        ChaosPlanError: no point was reached, a pattern matches no fault point, or the patterns leave no fault.
    """
    check_patterns(only, exclude)
    points = sorted(set(reached))
    possible = faults_at(points)
    if not possible:
        raise ChaosPlanError(
            "expected the run to use the mock, got a run that reached no fault point: let the code under test read its "
            "URL and key from ODYSSEY_API_URL and ODYSSEY_API_KEY"
        )
    wanted = [fault for fault in possible if not only or any(fault.matches(pattern) for pattern in only)]
    if not wanted:
        raise ChaosPlanError(
            f"expected patterns of fault points that the run reached ({', '.join(points)}), got {_listed(only)}"
        )
    left = [fault for fault in wanted if not any(fault.matches(pattern) for pattern in exclude)]
    if not left:
        raise ChaosPlanError(
            f"expected patterns that leave at least one fault, but {_listed(exclude)} excludes every fault; "
            f"the run reached {', '.join(points)}"
        )
    return left


def default_limit(seconds: float) -> float:
    """Return the default time limit of a run in seconds, if the run without a fault took `seconds`."""
    return max(LEAST_LIMIT, LIMIT_FACTOR * seconds)


def _listed(patterns: Iterable[str]) -> str:
    return ", ".join(map(repr, patterns))
