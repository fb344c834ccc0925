"""Strategies for single faults of the mock and for lists of faults."""

from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.catalog import POINTS, WHERE, Parameter
from odyssey_mock.faults.fault import Fault, FaultError
from odyssey_mock.impairment.presets import NETWORK_PRESETS

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_ANY_JSON: SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)

_VALUES: Mapping[str, SearchStrategy[JSON]] = MappingProxyType(
    {
        "status": st.integers(400, 599),
        "detail": _ANY_JSON,
        "retry_after": st.none() | st.integers(0, 3600),
        "seconds": st.integers(0, 60) | st.floats(0, 60),
        "bytes_per_second": st.integers(1, 10**9),
        "code": st.sampled_from([1000, 1001, 1002, 1003, 1007, 1008, 1011, 1012, 1013]) | st.integers(3000, 4999),
        "width": st.integers(80, 2048).map(lambda half: 2 * half),
        "height": st.integers(80, 2048).map(lambda half: 2 * half),
        "body": _TEXT | _ANY_JSON,
        "reason": _TEXT,
        "message": _TEXT,
        "ends_stream": st.booleans(),
        "network_profile": st.sampled_from([*NETWORK_PRESETS])
        | st.fixed_dictionaries({}, optional={"loss": st.floats(0, 1), "delay": st.floats(0, 1)}),
        "duration": st.none() | st.integers(0, 60) | st.floats(0, 60),
    }
)
"""Candidate values of action parameters, by parameter name; `Parameter.holds` rejects invalid values."""

_MATCHES: Mapping[str, SearchStrategy[JSON]] = MappingProxyType(
    {
        **dict.fromkeys(WHERE, _TEXT),
        "account": st.from_regex(r"ody_[a-z0-9]{4,12}", fullmatch=True)
        | st.from_regex(r"acct_[0-9a-f]{12}", fullmatch=True),
        "prompt": _TEXT.filter(bool),
        "script_index": st.integers(0, 9),
    }
)


def faults(points: Iterable[str] | None = None) -> SearchStrategy[dict[str, JSON]]:
    """Draw one valid fault, as `mock.faults.add` accepts it.

    ::

        @given(faults(["rest.sessions.request", "stream.start"]))
        def test_application_survives_fault(fault): ...

    Args:
        points: Names in `POINTS` of the fault points to draw from; None for all.

    Raises:
        FaultError: a name in `points` is unknown.
    """
    wanted = sorted(POINTS) if points is None else list(points)
    for point in wanted:
        if point not in POINTS:
            raise FaultError(f"unknown fault point {point!r}; known: {', '.join(POINTS)}")
    return st.sampled_from(wanted).flatmap(_at)


def fault_lists(
    points: Iterable[str] | None = None, *, min_size: int = 0, max_size: int = 3, narrowed: bool = False
) -> SearchStrategy[list[dict[str, JSON]]]:
    """Draw a list of faults in which every fault can fire.

    If several faults apply at a point, only the first one in the list fires. A fault that would always fire in place
    of a later one is therefore drawn with a limit (`times`).

    ::

        @given(fault_lists(["rest.sessions.request", "stream.start"]))
        def test_application_survives_faults(faults):
            mock = MockOdyssey(faults=faults)

    Args:
        points: Names in `POINTS` of the fault points to draw from; None for all.
        min_size: Minimum number of faults.
        max_size: Maximum number of faults.
        narrowed: Whether faults may have a `match`. Its values are random, so most of these faults never fire.

    Raises:
        FaultError: a name in `points` is unknown.
        ValueError: `min_size` is negative or above `max_size`.
    """
    if not 0 <= min_size <= max_size:
        raise ValueError(f"expected 0 <= min_size <= max_size, got {min_size} and {max_size}")
    each = faults(points) if narrowed else faults(points).map(_of_everybody)
    return _together(st.lists(each, min_size=min_size, max_size=max_size))


def may_hide(fault: Mapping[str, JSON], later: Mapping[str, JSON]) -> bool:
    """Return whether `fault` can prevent `later`, a later fault in the same list, from ever firing.

    The function ignores `after`: while `fault` is not active yet, another fault may fire in place of `later`.

    Raises:
        FaultError: one of the faults is invalid.
    """
    mine, other = Fault.of(fault), Fault.of(later)
    goes_on_for_ever = mine.times is None and mine.probability >= 1
    return goes_on_for_ever and mine.at == other.at and _includes(mine.match, other.match)


def _includes(wide: Mapping[str, JSON], narrow: Mapping[str, JSON]) -> bool:
    return all(name in narrow and _is_met(name, value, narrow[name]) for name, value in wide.items())


def _is_met(name: str, wanted: JSON, value: JSON) -> bool:
    if name == "prompt" and isinstance(wanted, str) and isinstance(value, str):
        return wanted in value
    return wanted == value


@st.composite
def _together(draw: st.DrawFn, lists: SearchStrategy[list[dict[str, JSON]]]) -> list[dict[str, JSON]]:
    drawn = draw(lists)
    for index, fault in enumerate(drawn):
        if any(may_hide(fault, later) for later in drawn[index + 1 :]):
            fault["times"] = draw(st.integers(1, 5))
    return drawn


def _of_everybody(fault: dict[str, JSON]) -> dict[str, JSON]:
    return {name: value for name, value in fault.items() if name != "match"}


@cache
def _at(point: str) -> SearchStrategy[dict[str, JSON]]:
    return st.sampled_from(sorted(POINTS[point].actions)).flatmap(lambda do: _of(point, do))


@cache
def _of(point: str, do: str) -> SearchStrategy[dict[str, JSON]]:
    action, matches = POINTS[point].actions[do], {*POINTS[point].matches, "account"}
    needed = {name: _value(name, each) for name, each in action.parameters.items() if each.required}
    free = {name: _value(name, each) for name, each in action.parameters.items() if not each.required}
    often: dict[str, SearchStrategy[JSON]] = {
        "times": st.none() | st.integers(1, 5),
        "after": st.integers(0, 5),
        "probability": st.floats(0, 1, exclude_min=True) | st.just(1),
        "match": st.fixed_dictionaries({}, optional={name: _MATCHES[name] for name in sorted(matches)}),
    }
    return st.fixed_dictionaries(
        {"at": st.just(point), "do": st.just(do), **needed},
        optional={**free, **often},
    )


def _value(name: str, parameter: Parameter) -> SearchStrategy[JSON]:
    return _VALUES[name].filter(parameter.holds)
