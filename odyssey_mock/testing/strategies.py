"""Hypothesis strategies, for tests that want whatever can go wrong. They need Hypothesis, which comes with no extra."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from odyssey_mock.faults.catalogue import POINTS, WHERE, Parameter
from odyssey_mock.faults.fault import FaultError
from odyssey_mock.journal import JSON

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
    }
)
"""What is drawn for the parameters of actions, by name, before it is asked whether the parameter can be that."""

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
    """Draw one fault that there can be, as `mock.faults.add` takes it.

    ::

        @given(st.lists(faults(["rest.sessions.request", "stream.start"]), max_size=3))
        def test_my_application_survives(faults): ...

    Args:
        points: where it may be, from `POINTS`; anywhere if None.

    Raises:
        FaultError: one of `points` is none.
    """
    wanted = sorted(POINTS) if points is None else list(points)
    for point in wanted:
        if point not in POINTS:
            raise FaultError(f"there is no fault point {point!r}; known are {', '.join(POINTS)}")
    return st.sampled_from(wanted).flatmap(_at)


def _at(point: str) -> SearchStrategy[dict[str, JSON]]:
    return st.sampled_from(sorted(POINTS[point].actions)).flatmap(lambda do: _of(point, do))


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
