"""Tests of the strategies for faults: the mock accepts every drawn list, and every fault in it can fire."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock import FaultError
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.catalog import POINTS
from odyssey_mock.faults.registry import ActiveFault, Faults
from odyssey_mock.testing.strategies import fault_lists, faults
from odyssey_mock.testing.strategies.fault import may_hide
from tests.support.drawing import FEW, any_of, drawn, smallest

type Described = Mapping[str, JSON]

CROWDED = ["rest.auth.token", "stream.interact"]
"""Two fault points, so that a list of three or more faults has several at the same point."""
TIMES = 40
"""Number of rounds (see `passed`) after which every fault must have fired: the drawn `after` and `times` are small."""


def listed(described: Sequence[Described]) -> Faults:
    return Faults(Journal(lambda: 0.0, 1000), lambda: "1", described)


def passed(on_list: Faults, times: int = TIMES) -> list[ActiveFault]:
    """Imitate requests that reach the faults, and return the faults, each with the number of times that it has fired.

    In each of `times` rounds, one request with matching values reaches the point of each fault.
    """
    for _ in range(times):
        for active in on_list:
            known: dict[str, Any] = dict(active.fault.match)  # Any: as in the signature of `fire`
            on_list.fire(active.fault.at, **known)
    return list(on_list)


@FEW
@given(fault_lists())
def test_mock_accepts_every_list(drawn_list: list[dict[str, JSON]]) -> None:
    assert len(listed(drawn_list)) == len(drawn_list) <= 3
    assert not any("match" in fault for fault in drawn_list)


@FEW
@given(fault_lists(CROWDED, max_size=5, narrowed=True))
def test_no_fault_hides_later_one(drawn_list: list[dict[str, JSON]]) -> None:
    for index, fault in enumerate(drawn_list):
        for later in drawn_list[index + 1 :]:
            assert not may_hide(fault, later)


@FEW
@given(fault_lists(CROWDED, max_size=5))
def test_every_fault_fires_after_enough_passes(drawn_list: list[dict[str, JSON]]) -> None:
    uncertain = [fault.get("probability", 1) != 1 for fault in drawn_list]
    if any(uncertain):
        # Faults with a probability fire only by chance, so they are left out.
        drawn_list = [fault for fault, is_chance in zip(drawn_list, uncertain, strict=True) if not is_chance]
    assert all(active.fired for active in passed(listed(drawn_list)))


@pytest.mark.parametrize(
    ("behind", "fault", "hidden"),
    [
        ({}, {}, True),
        ({"times": 3}, {}, False),
        ({"match": {"prompt": "cat"}}, {}, False),
        ({}, {"match": {"prompt": "cat"}}, True),
        ({"match": {"prompt": "cat"}}, {"match": {"prompt": "a cat"}}, True),
        ({"match": {"prompt": "a cat"}}, {"match": {"prompt": "cat"}}, False),
        ({"match": {"stream": "s1"}}, {"match": {"stream": "s1", "session": "s"}}, True),
        ({"match": {"stream": "s1"}}, {"match": {"stream": "s2"}}, False),
    ],
)
def test_hidden_fault_never_fires(behind: Described, fault: Described, hidden: bool) -> None:
    first = {"at": "stream.interact", "do": "silent", **behind}
    second = {"at": "stream.interact", "do": "twice", **fault}
    assert may_hide(first, second) == hidden
    on_list = listed([first, second])
    others: list[dict[str, Any]] = [{"prompt": "a dog", "stream": "s3"}]  # Any: as in the signature of `fire`
    for _ in range(TIMES):
        for known in [*(dict(active.fault.match) for active in reversed(list(on_list))), *others]:
            on_list.fire("stream.interact", **{"stream": "s1", "session": "s", "prompt": "a cat", **known})
    assert (list(on_list)[1].fired == 0) == hidden


def test_fault_with_after_can_hide_later_fault() -> None:
    hidden: dict[str, JSON] = {"at": "peer.ice", "do": "never"}
    late, soon = {**hidden, "after": 1}, {**hidden, "times": 1}
    assert [active.fired > 0 for active in passed(listed([late, soon, hidden]))] == [True, True, False]
    assert may_hide(late, hidden)


def test_probability_or_other_point_hides_nothing() -> None:
    always = {"at": "stream.interact", "do": "silent"}
    assert not may_hide({**always, "probability": 0.5}, always)
    assert not may_hide({**always, "at": "stream.start"}, always)


@FEW
@given(st.data())
def test_list_has_requested_length_and_points(data: st.DataObject) -> None:
    points = data.draw(st.lists(st.sampled_from(sorted(POINTS)), min_size=1, max_size=3))
    least, most = sorted(data.draw(st.lists(st.integers(0, 5), min_size=2, max_size=2)))
    drawn_list = data.draw(fault_lists(points, min_size=least, max_size=most))
    assert least <= len(drawn_list) <= most
    assert {fault["at"] for fault in drawn_list} <= set(points)


def test_every_point_is_drawn() -> None:
    seen = {fault["at"] for each in drawn(fault_lists(min_size=6, max_size=8), 100) for fault in each}
    for point in set(POINTS) - seen:
        any_of(faults(), lambda fault, point=point: fault["at"] == point)  # type: ignore[misc]  # bound in this iteration


def test_every_action_is_drawn() -> None:
    points = {frozenset(POINTS[point].actions): point for point in POINTS}  # many points have the same actions
    for actions, point in points.items():
        seen = {fault["do"] for fault in drawn(faults([point]), 3 * len(actions))}
        for do in actions - seen:
            any_of(faults([point]), lambda fault, do=do: fault["do"] == do)  # type: ignore[misc]  # bound in this iteration


def test_several_and_endless_faults_are_drawn() -> None:
    any_of(fault_lists(["peer.ice"]), lambda each: len(each) == 3)
    any_of(fault_lists(CROWDED), lambda each: len(each) > 1 and "times" not in each[0])
    any_of(fault_lists(CROWDED, narrowed=True), lambda each: any("match" in fault for fault in each))


def test_simplest_fault_has_only_required_fields() -> None:
    assert smallest(fault_lists()) == []
    assert smallest(fault_lists(["stream.interact"]), lambda each: len(each) == 1) == [
        {"at": "stream.interact", "do": "error", "reason": ""}
    ]


def test_invalid_arguments_are_rejected_at_once() -> None:
    with pytest.raises(FaultError, match=r"unknown fault point 'rest\.nope'"):
        fault_lists(["rest.nope"])
    with pytest.raises(ValueError, match="got 2 and 1"):
        fault_lists(min_size=2, max_size=1)
