"""Tests that the types of the keyword arguments for faults match the fault catalog."""

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
    """Yield the names of all point groups: points with a common prefix and at least one common action."""
    for at in {f"{name[:place]}.*" for name in POINTS for place, letter in enumerate(name) if letter == "."}:
        if frozenset.intersection(*(frozenset(POINTS[point].actions) for point in points_of(at))):
            yield at


def test_types_list_every_point_and_group() -> None:
    assert get_args(FaultPoint.__value__) == tuple(POINTS)
    assert set(get_args(FaultPointGroup.__value__)) == set(groups())


def test_types_list_every_action() -> None:
    assert set(get_args(FaultActionName.__value__)) == {name for point in POINTS.values() for name in point.actions}


def test_every_parameter_and_condition_is_a_keyword() -> None:
    actions = [action for point in POINTS.values() for action in point.actions.values()]
    parameters = {name for action in actions for name in action.parameters}
    assert get_type_hints(FaultKeywords).keys() == {"at", "do", "match", *HOW_OFTEN, *parameters}
    assert get_type_hints(FaultMatch).keys() == WHERE.keys()


@given(faults())
def test_generated_faults_match_the_keyword_types(fault: Mapping[str, JSON]) -> None:
    ANY_FAULT.validate_python(fault)


async def test_type_errors_are_also_rejected_at_runtime() -> None:
    async with MockOdyssey() as mock:
        with pytest.raises(FaultError, match=r"unknown fault point 'rest.session.request'; did you mean"):
            mock.faults.add(at="rest.session.request", do="reset")  # type: ignore[arg-type]
        with pytest.raises(FaultError, match=r"unknown action at rest.sessions.request: 'statuss'"):
            mock.faults.add(at="rest.sessions.request", do="statuss")  # type: ignore[arg-type]
        with pytest.raises(FaultError, match="`times` must be a whole number above 0"):
            mock.faults.add(at="rest.sessions.request", do="reset", times="twice")  # type: ignore[arg-type]
        with pytest.raises(FaultError, match=r"unknown parameter of rest.sessions.request reset: 'time'"):
            mock.faults.add(at="rest.sessions.request", do="reset", time=1)  # type: ignore[call-arg]
        with pytest.raises(FaultError, match=r"unknown `match` condition of rest.sessions.request reset: 'job_id'"):
            mock.faults.add(
                at="rest.sessions.request",
                do="reset",
                match={"job_id": "a"},  # type: ignore[typeddict-unknown-key]
            )
        assert not mock.faults
