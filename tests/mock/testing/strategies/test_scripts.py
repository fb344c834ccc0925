"""Tests of the strategies for scripts: client and mock accept every script."""

from collections.abc import Callable, Mapping
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client import Script
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.settings import Settings
from odyssey_mock.simulations.request import read_request
from odyssey_mock.simulations.timelines import Plan, planned
from odyssey_mock.testing.strategies import image_urls, prompts, script_entries, scripts
from tests.support.drawing import FEW, any_of, drawn, smallest


def plan_of(entries: JSON) -> Plan:
    """Parse a script as the mock does; return its planned stream: timeline, duration and error."""
    request = read_request({"script": entries})
    assert request.scripts is not None
    return planned(request.scripts[0], Settings(), tag=1, portrait=True, bypass=True)


def as_json(script: Script) -> JSON:
    return [entry.to_dict() for entry in script.entries]


def times(script: Script) -> list[int]:
    return [entry.timestamp_ms for entry in script.entries]


@FEW
@given(scripts())
def test_client_and_mock_accept_every_script(script: Script) -> None:
    assert script.faults() == ()
    plan = plan_of(as_json(script))
    assert (plan.error, plan.stalls, plan.delay) == (None, False, 0.0)
    assert plan.seconds == script.duration_seconds


@FEW
@given(script_entries())
def test_client_and_mock_accept_every_json_script(entries: list[dict[str, JSON]]) -> None:
    assert as_json(Script.of(entries)) == entries
    assert plan_of(entries).error is None


@FEW
@given(st.data())
def test_script_has_requested_length(data: st.DataObject) -> None:
    least, most = sorted(data.draw(st.lists(st.integers(1, 200_000), min_size=2, max_size=2)))
    fewest, many = sorted(data.draw(st.lists(st.integers(0, 6), min_size=2, max_size=2)))
    script = data.draw(
        scripts(
            min_interactions=fewest,
            max_interactions=many,
            min_seconds=least / 1000,
            max_seconds=most / 1000,
            images=st.none(),
        )
    )
    assert fewest <= len(script.entries) - 2 <= many
    assert least <= times(script)[-1] <= most
    assert script.faults() == ()


@FEW
@given(scripts(min_gap_ms=3000, max_interactions=30, max_seconds=40, images=st.none()))
def test_scripts_with_recommended_gaps_get_no_advice(script: Script) -> None:
    assert script.advice() == ()
    assert script.faults() == ()


def test_gaps_allow_as_many_interactions_as_fit() -> None:
    strategy = scripts(min_gap_ms=3000, min_interactions=3, max_interactions=9, max_seconds=6, images=st.none())
    assert {tuple(times(script)) for script in drawn(strategy, 20)} == {(0, 0, 3000, 6000, 6000)}


VARIANTS: Mapping[str, Callable[[Script], bool]] = {
    "no interaction": lambda script: len(script.entries) == 2,
    "the maximum of interactions": lambda script: len(script.entries) == 6,
    "two at one time": lambda script: any(a == b for a, b in pairwise(times(script)[1:])),
    "one at the start": lambda script: times(script)[1] == 0,
    "one at the end": lambda script: len(script.entries) > 2 and times(script)[-2] == times(script)[-1],
    "an empty prompt": lambda script: script.entries[0].prompt == "",
    "an image": lambda script: script.entries[0].image is not None,
    "a millisecond": lambda script: times(script)[-1] == 1,
    "the maximum length": lambda script: times(script)[-1] == 150_000,
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_drawn(variant: str) -> None:
    assert VARIANTS[variant](any_of(scripts(), VARIANTS[variant]))


def test_times_are_integers_and_floats() -> None:
    kinds = {type(entry["timestamp_ms"]) for entries in drawn(script_entries(), 20) for entry in entries}
    assert kinds == {int, float}


def test_given_strategies_draw_prompts_and_images() -> None:
    for script in drawn(scripts(prompts=prompts(min_size=3, max_size=5), images=image_urls(formats=["GIF"])), 20):
        assert all(3 <= len(entry.prompt) <= 5 for entry in script.entries[:-1])
        assert str(script.entries[0].image).startswith("data:image/gif;base64,")


def test_simplest_script_is_short() -> None:
    assert smallest(scripts()) == Script().start("A cat").wait(0.001).end()
    expected = Script().start("A cat").interact("A cat").interact("A cat").wait(0.001).end()
    assert smallest(scripts(), lambda script: len(script.entries) > 3) == expected


@pytest.mark.parametrize("strategy", [scripts, script_entries])
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"min_interactions": 2, "max_interactions": 1}, "got 2 and 1"),
        ({"min_interactions": -1}, "got -1"),
        ({"min_seconds": 3, "max_seconds": 2}, r"at least 0\.001 and min_seconds \(3\), got 2$"),
        ({"max_seconds": 0}, r"at least 0\.001 and min_seconds \(0\.001\), got 0$"),
        ({"min_interactions": 4, "max_seconds": 5, "min_gap_ms": 3000}, "4 interactions that are 3000 ms apart"),
        ({"min_gap_ms": -1}, "-1 ms apart"),
    ],
)
def test_invalid_arguments_are_rejected_at_once(
    strategy: Callable[..., object], arguments: Mapping[str, float], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        strategy(**arguments)
