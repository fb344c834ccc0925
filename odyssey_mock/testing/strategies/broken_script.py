"""Simulation scripts that break exactly one rule.

`SCRIPT_RULES` has an entry for every rule of scripts (`protocol.md` section 8): how to break it, and how the client and
the service report it.
"""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from odyssey_mock.core.strict_json import JSON
from odyssey_mock.testing.strategies import script_breaks as breaks
from odyssey_mock.testing.strategies.script import script_entries

_LATEST_MS = 2**53 - 1


@dataclass(frozen=True, slots=True)
class BrokenScript:
    """A script that breaks one rule.

    Attributes:
        rule: Name in `SCRIPT_RULES` of the rule that the script breaks.
        script: The invalid script: decoded JSON, usually an array of entries.
        place: The place of the error, such as `(1, "interact", "prompt")`; empty for the script itself.
    """

    rule: str
    script: Any  # Any: decoded JSON of any shape
    place: breaks.Place

    @property
    def path(self) -> str:
        """The place in the notation of the client's `ScriptFault.path`, such as `script[1].interact.prompt`."""
        return "script" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.place)

    @property
    def loc(self) -> list[str | int]:
        """The place in the notation of `loc` in the service's 422 response.

        An example is `["body", "script", 1, "interact", "prompt"]`.
        """
        return ["body", "script", *self.place]

    @property
    def says(self) -> str:
        """A part of the client's `ScriptFault.expected`."""
        return SCRIPT_RULES[self.rule].says

    @property
    def type(self) -> str | None:
        """The `type` of the error in the 422 response; None if the service accepts the script, and its job fails."""
        return SCRIPT_RULES[self.rule].type


@dataclass(frozen=True, slots=True)
class ScriptRule:
    """A rule that every simulation script must follow, with a function that breaks it.

    Attributes:
        means: A description of what is wrong.
        says: The client's `ScriptFault.expected`, or a part of it.
        type: The `type` in the service's 422 response; None if the service notices the error only when the job runs.
        break_it: A function that makes a valid script break the rule.
    """

    means: str
    says: str
    type: str | None
    break_it: breaks.Break


def broken_scripts(rules: Iterable[str] | None = None) -> SearchStrategy[BrokenScript]:
    """Draw a script that breaks exactly one rule, with the rule and the place of the error.

    ::

        @given(broken_scripts())
        def test_editor_marks_invalid_entry(broken):
            with pytest.raises(ScriptError) as refused:
                Script.of(broken.script)
            assert [fault.path for fault in refused.value.faults] == [broken.path]

    Args:
        rules: Names in `SCRIPT_RULES` of the rules to break; None for all.

    Raises:
        ValueError: a name in `rules` is unknown, or `rules` is empty.
    """
    wanted = list(SCRIPT_RULES) if rules is None else list(rules)
    if not wanted:
        raise ValueError(f"rules must contain at least one script rule, got none; known: {', '.join(SCRIPT_RULES)}")
    if unknown := [rule for rule in wanted if rule not in SCRIPT_RULES]:
        raise ValueError(f"unknown script rule {unknown[0]!r}; known: {', '.join(SCRIPT_RULES)}")
    good = script_entries(max_interactions=2, max_seconds=20, prompts=breaks.PROMPTS, images=st.none())
    return _broken(st.sampled_from(wanted), good)


@st.composite
def _broken(
    draw: st.DrawFn, rules: SearchStrategy[str], scripts: SearchStrategy[list[dict[str, JSON]]]
) -> BrokenScript:
    rule = draw(rules)
    good: Any = draw(scripts)  # Any: breaking it changes the types of its values
    script, place = SCRIPT_RULES[rule].break_it(draw, good)
    return BrokenScript(rule, deepcopy(script), place)  # a copy: examples share the values of `sampled_from`


_DATA = "data:image/png;base64,"
_NO_PNG = f"{_DATA}bm8gcGljdHVyZQ=="
"""A `data:` URL whose content is not an image."""

SCRIPT_RULES: Mapping[str, ScriptRule] = MappingProxyType(
    {
        "array": ScriptRule("the script is not an array", "an array of entries", "list_type", breaks.no_array),
        "not_empty": ScriptRule(
            "the script is empty", "an array of entries, from a start to an end", "too_short", breaks.empty
        ),
        "entry": ScriptRule(
            "an entry is not an object", "an object with timestamp_ms", "dict_type", breaks.entry_no_object
        ),
        "an_action": ScriptRule("an entry has no action", "exactly one of", "value_error", breaks.no_action),
        "one_action": ScriptRule("an entry has two actions", "exactly one of", "value_error", breaks.two_actions),
        "known_keys": ScriptRule(
            "an entry has an unknown key", "no keys except", "extra_forbidden", breaks.unknown_key
        ),
        "fields": ScriptRule("an action is not an object", "object", "dict_type", breaks.fields_no_object),
        "known_fields": ScriptRule("an action has an unknown key", "no key", "extra_forbidden", breaks.unknown_field),
        "prompt": ScriptRule("a prompt is missing", "text", "missing", breaks.no_prompt),
        "prompt_text": ScriptRule(
            "a prompt is not a string", "text", "string_type", breaks.prompt_is(None, True, 7, [], ["A cat"], {})
        ),
        "prompt_utf8": ScriptRule(
            "a prompt has a lone surrogate",
            "text that UTF-8",
            "string_unicode",
            breaks.prompt_is("\ud83d", "A \udc08 cat"),
        ),
        "image_text": ScriptRule(
            "an image is not a string", "an image that can be sent", "string_type", breaks.image_is(None, False, 7, {})
        ),
        "image_inline": ScriptRule(
            "an image is a web address or a path",
            "an image that can be sent",
            "string_pattern_mismatch",
            breaks.image_is("https://example.com/cat.png", "HTTP://example.com/cat.png", "", "no/such/cat.png"),
        ),
        "image_url": ScriptRule(
            "an image is a data: URL of another type",
            "a data: URL of an image in base64",
            "string_pattern_mismatch",
            breaks.image_is(
                "data:", "data:image/png", "data:image/png,A", "data:text/plain;base64,QQ==", _NO_PNG.upper()
            ),
        ),
        "image_base64": ScriptRule(
            "an image has invalid base64",
            "a data: URL of an image in base64",
            "value_error",
            breaks.image_is(_DATA, f"{_DATA}@@@@", f"{_DATA}QQ=", f"{_DATA}QQ==\n", f"{_DATA}QQ-_"),
        ),
        "image_readable": ScriptRule(
            "an image cannot be decoded",
            "an image that can be sent",
            None,
            breaks.image_is(_NO_PNG, f"{_DATA}iVBORw0KGgo="),
        ),
        "time": ScriptRule("a time is missing", "a whole number of milliseconds", "missing", breaks.no_time),
        "time_number": ScriptRule(
            "a time is not a number",
            "a whole number of milliseconds",
            "int_type",
            breaks.time_is(st.sampled_from([None, True, False, "3000", "", [], {}])),
        ),
        "time_whole": ScriptRule(
            "a time is a fraction",
            "a whole number of milliseconds",
            "int_from_float",
            breaks.time_is(st.sampled_from([0.5, 1500.25, -0.5, 1e-9])),
        ),
        "time_not_negative": ScriptRule(
            "a time is below 0",
            "a whole number of milliseconds",
            "greater_than_equal",
            breaks.time_is(st.integers(max_value=-1) | st.sampled_from([-1.0, -1e300])),
        ),
        "time_in_bounds": ScriptRule(
            "a time is above the maximum",
            "a whole number of milliseconds",
            "less_than_equal",
            breaks.time_is(st.integers(min_value=_LATEST_MS + 1) | st.sampled_from([2.0**53, 1e300, 10**400])),
        ),
        "first_at_0": ScriptRule(
            "the first time is not 0", "0, the time of the first entry", "value_error", breaks.first_time
        ),
        "times_in_order": ScriptRule("times decrease", "times must not decrease", "value_error", breaks.time_goes_back),
        "some_length": ScriptRule(
            "the end is at 0", "more than 0, as the time of the end", "value_error", breaks.no_length
        ),
        "start_first": ScriptRule(
            "the first entry is not a start", "a start, as the first entry", "value_error", breaks.no_start
        ),
        "one_start": ScriptRule(
            "there is a second start", "no start after the first", "value_error", breaks.second_start
        ),
        "no_early_end": ScriptRule(
            "there is an end before the last entry", "no end before the last", "value_error", breaks.early_end
        ),
        "end_last": ScriptRule(
            "there is no end as the last entry", "an end, as the last entry", "value_error", breaks.no_end
        ),
    }
)
"""All rules that `broken_scripts` can break, by name."""
