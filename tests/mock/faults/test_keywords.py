"""The typed keywords of faults: they are those of the catalog, and a type checker refuses others."""

from collections.abc import Iterator, Mapping
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from pydantic import ConfigDict, TypeAdapter, with_config

from odyssey_mock import FaultError, MockOdyssey
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.catalog import POINTS, WHERE, points_of
from odyssey_mock.faults.fault import HOW_OFTEN
from odyssey_mock.faults.keywords import FaultActionName, FaultKeywords, FaultMatch, FaultPoint, FaultPointGroup
from odyssey_mock.testing.strategies import faults

ANY_FAULT = TypeAdapter(with_config(ConfigDict(extra="forbid", strict=True))(FaultKeywords))


def groups() -> Iterator[str]:
    """All that can stand for several points: those that begin alike, and have an action in common."""
    for at in {f"{name[:place]}.*" for name in POINTS for place, letter in enumerate(name) if letter == "."}:
        if frozenset.intersection(*(frozenset(POINTS[point].actions) for point in points_of(at))):
            yield at


def test_every_point_and_every_group_of_points_is_known() -> None:
    assert get_args(FaultPoint.__value__) == tuple(POINTS)
    assert set(get_args(FaultPointGroup.__value__)) == set(groups())


def test_every_action_is_known() -> None:
    assert set(get_args(FaultActionName.__value__)) == {name for point in POINTS.values() for name in point.actions}


def test_every_parameter_and_every_condition_is_a_keyword() -> None:
    actions = [action for point in POINTS.values() for action in point.actions.values()]
    parameters = {name for action in actions for name in action.parameters}
    assert get_type_hints(FaultKeywords).keys() == {"at", "do", "match", *HOW_OFTEN, *parameters}
    assert get_type_hints(FaultMatch).keys() == WHERE.keys()


@given(faults())
def test_whatever_a_fault_may_be_has_the_types_of_the_keywords(fault: Mapping[str, JSON]) -> None:
    ANY_FAULT.validate_python(fault)


async def test_what_a_type_checker_refuses_is_refused_when_it_runs() -> None:
    async with MockOdyssey() as mock:
        with pytest.raises(FaultError, match=r"no fault point 'rest.session.request'; did you mean"):
            mock.faults.add(at="rest.session.request", do="reset")  # type: ignore[arg-type]
        with pytest.raises(FaultError, match=r"no action at rest.sessions.request 'statuss'"):
            mock.faults.add(at="rest.sessions.request", do="statuss")  # type: ignore[arg-type]
        with pytest.raises(FaultError, match="`times` must be a whole number above 0"):
            mock.faults.add(at="rest.sessions.request", do="reset", times="twice")  # type: ignore[arg-type]
        with pytest.raises(FaultError, match=r"no parameter of rest.sessions.request reset 'time'"):
            mock.faults.add(at="rest.sessions.request", do="reset", time=1)  # type: ignore[call-arg]
        with pytest.raises(FaultError, match=r"no `match` of rest.sessions.request reset 'job_id'"):
            mock.faults.add(
                at="rest.sessions.request",
                do="reset",
                match={"job_id": "a"},  # type: ignore[typeddict-unknown-key]
            )
        assert not mock.faults
