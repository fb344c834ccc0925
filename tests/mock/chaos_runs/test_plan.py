"""Tests of the plan of a chaos run: its faults, the patterns that select or exclude faults, and the time limit."""

import pytest

from odyssey_mock import Fault
from odyssey_mock.chaos_runs.plan import MIDWAY, ChaosPlanError, PlannedFault, default_limit, faults_at, plan
from odyssey_mock.faults.catalog import POINTS

REACHED = ("stream.end", "rest.auth.token", "peer.dtls")


def names(*faults: PlannedFault) -> list[str]:
    return [f"{fault.point}:{fault.action}" for fault in faults]


def test_every_action_has_one_valid_fault() -> None:
    planned = faults_at(POINTS)
    assert [(fault.point, fault.action) for fault in planned] == [
        (point, action) for point, described in POINTS.items() for action in described.actions
    ]
    for fault in planned:
        assert Fault.of(fault.to_fault({})).at == fault.point
    assert len({fault.name for fault in planned}) == len(planned)


def test_plan_has_only_reached_points() -> None:
    assert names(*plan(REACHED, exclude=["rest.*"])) == [
        "peer.dtls:fail",
        "stream.end:error",
        "stream.end:lost",
        "stream.end:silent",
        "stream.end:late",
        "stream.end:twice",
        "stream.end:not_json",
    ]


@pytest.mark.parametrize(
    ("only", "exclude", "expected"),
    [
        (["peer.*"], [], ["peer.dtls:fail"]),
        (["peer.*", "*:status"], [], ["rest.auth.token:status", "peer.dtls:fail"]),
        (["rest.auth.token:[dr]*"], [], ["rest.auth.token:delay", "rest.auth.token:reset"]),
        (["stream.end"], ["*:[elt]*", "*:not_json"], ["stream.end:silent"]),
    ],
)
def test_patterns_select_points_and_actions(only: list[str], exclude: list[str], expected: list[str]) -> None:
    assert names(*plan(REACHED, only=only, exclude=exclude)) == expected


@pytest.mark.parametrize(
    ("only", "exclude", "message"),
    [
        (
            ["job.*"],
            [],
            r"expected patterns of fault points that the run reached \(peer.dtls, rest.auth.token",
        ),
        (
            ["stream.*"],
            ["*:*"],
            r"expected patterns that leave at least one fault, but '\*:\*' excludes every fault; the run reached peer",
        ),
        (
            ["streams.*"],
            [],
            r"the pattern 'streams\.\*' matches no fault point and no point:action; fault points: rest",
        ),
        ([], ["stream.end:status"], "the pattern 'stream.end:status' matches no fault point"),
    ],
)
def test_patterns_without_match_are_rejected(only: list[str], exclude: list[str], message: str) -> None:
    with pytest.raises(ChaosPlanError, match=f"^{message}"):
        plan(REACHED, only=only, exclude=exclude)


def test_run_that_reached_no_point_is_rejected() -> None:
    with pytest.raises(ChaosPlanError, match=r"reached no fault point: .* ODYSSEY_API_URL and ODYSSEY_API_KEY"):
        plan([])


@pytest.mark.parametrize(
    ("point", "action", "name"),
    [
        ("rest.sessions.request", "status", "rest.sessions.request: status 503"),
        ("rest.regions.list", "delay", "rest.regions.list: delay 2 s, every time"),
        ("peer.frame", "resize", "peer.frame: resize 320 176, 30 times"),
        ("peer.frame", "late", "peer.frame: late 2 s"),
        ("artifact", "slow", "artifact: slow 100000 bytes/s"),
        ("peer.dtls", "fail", "peer.dtls: fail"),
    ],
)
def test_name_states_values_and_how_often(point: str, action: str, name: str) -> None:
    assert name in [fault.name for fault in faults_at([point]) if fault.action == action]


def test_faults_at_connected_or_running_are_delayed() -> None:
    midway = dict.fromkeys(MIDWAY, 1.25)
    later = {fault.point for fault in faults_at(POINTS) if fault.to_fault(midway).get("seconds") == 1.25}
    assert later == {"signaling.connected", "peer.connected", "stream.running"}


def test_default_limit_depends_on_first_run() -> None:
    assert (default_limit(1.0), default_limit(30.0)) == (60.0, 150.0)
