"""Broken scripts that are drawn: client and mock, each by code of its own, refuse each for the one reason named."""

import ast
import inspect
import sys
from functools import cache
from types import FrameType
from typing import Any

import pytest
from hypothesis import given

from odyssey_client import Script, ScriptError
from odyssey_client.scripts import rules as client_rules
from odyssey_client.scripts.request import script_fields
from odyssey_mock.http.errors import answer_to
from odyssey_mock.settings import Settings
from odyssey_mock.simulations import scripts as mock_rules
from odyssey_mock.simulations.request import InvalidRequestError, read_request
from odyssey_mock.simulations.timelines import planned
from odyssey_mock.testing.strategies import SCRIPT_RULES, BrokenScript, broken_scripts
from tests.mock.testing.strategies.drawing import FEW, any_of, drawn, smallest

RULES = list(SCRIPT_RULES)


@cache
def of(rule: str) -> list[BrokenScript]:
    """Examples of one rule; not to be changed."""
    return drawn(broken_scripts([rule]), 15)


def all_examples() -> list[BrokenScript]:
    return [broken for rule in RULES for broken in of(rule)]


def refused_by_the_client(script: Any) -> ScriptError:  # Any: decoded JSON of any form
    with pytest.raises(ScriptError) as refused:
        Script.of(script)
    return refused.value


@pytest.mark.parametrize("rule", RULES)
def test_the_client_refuses_each_for_that_and_nothing_else(rule: str) -> None:
    for broken in of(rule):
        (fault,) = refused_by_the_client(broken.script).faults
        assert fault.path == broken.path, broken
        assert broken.says in fault.expected, broken


@FEW
@given(broken_scripts())
def test_it_does_so_before_anything_is_sent(broken: BrokenScript) -> None:
    with pytest.raises(ScriptError) as refused:
        script_fields(script=broken.script, scripts=None, script_url=None, portrait=True)
    assert [fault.path for fault in refused.value.faults] == [broken.path]


@pytest.mark.parametrize("rule", [rule for rule in RULES if SCRIPT_RULES[rule].type is not None])
def test_the_mock_refuses_each_for_that_and_nothing_else(rule: str) -> None:
    for broken in of(rule):
        with pytest.raises(InvalidRequestError) as refused:
            read_request({"script": broken.script})
        answer = answer_to(refused.value)
        assert answer.status == 422
        assert isinstance(answer.detail, list)
        (fault,) = answer.detail
        assert (fault["loc"], fault["type"]) == (broken.loc, broken.type), broken


@pytest.mark.parametrize("rule", [rule for rule in RULES if SCRIPT_RULES[rule].type is None])
def test_what_the_mock_takes_at_first_fails_when_the_job_runs(rule: str) -> None:
    for broken in of(rule):
        request = read_request({"script": broken.script})
        assert request.scripts is not None
        plan = planned(request.scripts[0], Settings(), tag=1, portrait=True, bypass=True)
        assert plan.error is not None
        assert "image" in plan.error


def test_only_what_is_in_an_image_is_noticed_that_late() -> None:
    assert [rule for rule in RULES if SCRIPT_RULES[rule].type is None] == ["image_readable"]


def test_no_two_rules_are_one() -> None:
    """As the client and the mock tell them apart together, with the place in the entry."""
    told = {(rule.says, rule.type, broken.place[1:]) for name, rule in SCRIPT_RULES.items() for broken in of(name)[:1]}
    # An entry without an action and one with two are said in the same words.
    assert len(told) == len(RULES) - 1


# That there is a rule here for every one there is: each line that finds a fault is reached.


def fault_lines(module: Any) -> dict[int, str]:  # Any: a module
    """The lines of a module's source that note a fault or raise one, with their text."""
    tree = ast.parse(inspect.getsource(module))
    found = {}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="add")):
                found[node.lineno] = ast.unparse(node)
            case ast.Raise(exc=ast.Call()):
                found[node.lineno] = ast.unparse(node)
            case ast.Return(value=ast.Constant(value=str())):
                found[node.lineno] = ast.unparse(node)
    return found


class Lines:
    """The lines of a module that are run."""

    def __init__(self, module: Any) -> None:  # Any: a module
        self.file = module.__file__
        self.seen: set[int] = set()

    def __enter__(self) -> "Lines":
        self.before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self.before)

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:  # Any: itself, or nothing
        if frame.f_code.co_filename != self.file:
            return None
        if event == "line":
            self.seen.add(frame.f_lineno)
        return self._trace


def test_every_place_where_the_client_finds_a_fault_is_reached() -> None:
    broken = all_examples()
    with Lines(client_rules) as lines:
        for each in broken:
            refused_by_the_client(each.script)
    missed = {text for line, text in fault_lines(client_rules).items() if line not in lines.seen}
    assert {text for text in missed if "ScriptError" not in text and text not in WORDS} == set()


WORDS = {"return 'an array'", "return 'an object'", "return 'a number beyond all bounds'"}
"""Of how a value is called, which is no fault."""


def test_every_rule_on_order_and_times_of_the_client_is_broken() -> None:
    said = {fault.expected for each in all_examples() for fault in refused_by_the_client(each.script).faults}
    for rule in client_rules._RULES:
        assert any(rule.expected.replace("{latest}", "") in each for each in said), rule.expected


def test_every_type_of_fault_that_the_mock_knows_is_drawn() -> None:
    """Every text in its source that names one."""
    tree = ast.parse(inspect.getsource(mock_rules))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    kinds = {text for text in texts if text.endswith(("_type", "_error", "_unicode", "_short", "_mismatch", "_equal"))}
    kinds |= {"missing", "extra_forbidden", "int_from_float"} & texts
    assert {rule.type for rule in SCRIPT_RULES.values()} - {None} == kinds


# What is drawn.


def test_every_rule_is_broken_where_any_may_be() -> None:
    seen = {broken.rule for broken in drawn(broken_scripts(), 300)}
    for rule in set(RULES) - seen:
        any_of(broken_scripts(), lambda broken, rule=rule: broken.rule == rule)  # type: ignore[misc]  # of this turn


@pytest.mark.parametrize("rule", ["entry", "an_action", "one_action", "known_keys", "fields", "time", "time_number"])
def test_every_entry_may_be_the_wrong_one(rule: str) -> None:
    examples = drawn(broken_scripts([rule]), 50)
    assert {each.place[0] for each in examples} >= {0, 1, 2}
    assert any(each.place[0] == len(each.script) - 1 for each in examples)


@FEW
@given(broken_scripts())
def test_the_place_is_in_the_script(broken: BrokenScript) -> None:
    within = broken.script
    for step in broken.place[:-1]:
        within = within[step]
    if broken.place and isinstance(broken.place[0], int):
        assert 0 <= broken.place[0] < len(broken.script)


def test_what_one_test_does_to_a_script_is_not_in_the_next() -> None:
    for broken in drawn(broken_scripts(["fields", "array", "entry", "prompt_text"]), 100):
        assert "spoiled" not in repr(broken.script)
        spoil(broken.script)


def spoil(value: Any) -> None:  # Any: decoded JSON of any form
    if isinstance(value, dict):
        for each in value.values():
            spoil(each)
        value["spoiled"] = True
    elif isinstance(value, list):
        for each in value:
            spoil(each)
        value.append("spoiled")


def test_the_simplest_of_each_rule_is_short() -> None:
    for rule in ("prompt", "times_in_order"):
        assert len(smallest(broken_scripts([rule])).script) <= 3
    assert smallest(broken_scripts(["end_last"])).script == [{"timestamp_ms": 0, "start": {"prompt": "A cat"}}]


@pytest.mark.parametrize(
    ("rules", "says"), [(["prompts"], "no rule 'prompts' of scripts; known are array"), ([], "none")]
)
def test_a_rule_that_there_is_not_is_refused_at_once(rules: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        broken_scripts(rules)
