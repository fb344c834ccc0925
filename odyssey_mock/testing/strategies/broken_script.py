"""Scripts of simulations with exactly one thing wrong, and what it is.

`SCRIPT_RULES` has an entry for every rule of a script (`protocol.md` section 8): how it is broken, and what is then
said by the client and by the service.
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
    """A script with one thing wrong.

    Attributes:
        rule: Which rule it breaks, a name of `SCRIPT_RULES`.
        script: What was to be a script: decoded JSON, mostly an array of entries.
        place: Where the fault is, such as `(1, "interact", "prompt")`; empty for the script itself.
    """

    rule: str
    script: Any  # decoded JSON of any form
    place: breaks.Place

    @property
    def path(self) -> str:
        """The place as `ScriptFault.path` of the client has it: `script[1].interact.prompt`."""
        return "script" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.place)

    @property
    def loc(self) -> list[str | int]:
        """The place as `loc` of the service's 422 has it: `["body", "script", 1, "interact", "prompt"]`."""
        return ["body", "script", *self.place]

    @property
    def says(self) -> str:
        """What `ScriptFault.expected` of the client has in it."""
        return SCRIPT_RULES[self.rule].says

    @property
    def type(self) -> str | None:
        """The `type` of the fault in the service's 422; None where it takes the script, and the job fails."""
        return SCRIPT_RULES[self.rule].type


@dataclass(frozen=True, slots=True)
class ScriptRule:
    """One rule for scripts.

    Attributes:
        means: What is wrong where it is broken, for people.
        says: What the client then says that it expected, or a part of that.
        type: What the service then calls the fault; None where it notices only when the job runs.
    """

    means: str
    says: str
    type: str | None
    break_it: breaks.Break


def broken_scripts(rules: Iterable[str] | None = None) -> SearchStrategy[BrokenScript]:
    """Draw a script that was good until one rule was broken; it says which, and where.

    ::

        @given(broken_scripts())
        def test_my_editor_marks_the_entry_that_is_wrong(broken):
            with pytest.raises(ScriptError) as refused:
                Script.of(broken.script)
            assert [fault.path for fault in refused.value.faults] == [broken.path]

    Args:
        rules: Which may be broken, names of `SCRIPT_RULES`; any if None.

    Raises:
        ValueError: one of `rules` is none.
    """
    wanted = list(SCRIPT_RULES) if rules is None else list(rules)
    if unknown := [rule for rule in wanted if rule not in SCRIPT_RULES] or ([] if wanted else ["(none)"]):
        raise ValueError(f"there is no rule {unknown[0]!r} of scripts; known are {', '.join(SCRIPT_RULES)}")
    good = script_entries(max_interactions=2, max_seconds=20, prompts=breaks.PROMPTS, images=st.none())
    return _broken(st.sampled_from(wanted), good)


@st.composite
def _broken(
    draw: st.DrawFn, rules: SearchStrategy[str], scripts: SearchStrategy[list[dict[str, JSON]]]
) -> BrokenScript:
    rule = draw(rules)
    good: Any = draw(scripts)  # to be broken
    script, place = SCRIPT_RULES[rule].break_it(draw, good)
    return BrokenScript(rule, deepcopy(script), place)  # a copy: what was drawn from a list is there for the next, too


_DATA = "data:image/png;base64,"
_NO_PNG = f"{_DATA}bm8gcGljdHVyZQ=="
"""A `data:` URL whose bytes are no image."""

SCRIPT_RULES: Mapping[str, ScriptRule] = MappingProxyType(
    {
        "array": ScriptRule("it is no array", "an array of entries", "list_type", breaks.no_array),
        "not_empty": ScriptRule(
            "it is empty", "an array of entries, from a start to an end", "too_short", breaks.empty
        ),
        "entry": ScriptRule(
            "an entry is no object", "an object with timestamp_ms", "dict_type", breaks.entry_no_object
        ),
        "an_action": ScriptRule("an entry has no action", "exactly one of", "value_error", breaks.no_action),
        "one_action": ScriptRule("an entry has two actions", "exactly one of", "value_error", breaks.two_actions),
        "known_keys": ScriptRule(
            "an entry has a key too many", "no keys except", "extra_forbidden", breaks.unknown_key
        ),
        "fields": ScriptRule("an action is no object", "object", "dict_type", breaks.fields_no_object),
        "known_fields": ScriptRule("an action has a key too many", "no key", "extra_forbidden", breaks.unknown_field),
        "prompt": ScriptRule("a prompt is missing", "text", "missing", breaks.no_prompt),
        "prompt_text": ScriptRule(
            "a prompt is no text", "text", "string_type", breaks.prompt_is(None, True, 7, [], ["A cat"], {})
        ),
        "prompt_utf8": ScriptRule(
            "a prompt has half a surrogate pair",
            "text that UTF-8",
            "string_unicode",
            breaks.prompt_is("\ud83d", "A \udc08 cat"),
        ),
        "image_text": ScriptRule(
            "an image is no text", "an image that can be sent", "string_type", breaks.image_is(None, False, 7, {})
        ),
        "image_inline": ScriptRule(
            "an image is somewhere else",
            "an image that can be sent",
            "string_pattern_mismatch",
            breaks.image_is("https://example.com/cat.png", "HTTP://example.com/cat.png", "", "no/such/cat.png"),
        ),
        "image_url": ScriptRule(
            "an image is a data: URL of another kind",
            "a data: URL of an image in base64",
            "string_pattern_mismatch",
            breaks.image_is(
                "data:", "data:image/png", "data:image/png,A", "data:text/plain;base64,QQ==", _NO_PNG.upper()
            ),
        ),
        "image_base64": ScriptRule(
            "an image is no good base64",
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
            "a time is no number",
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
            "a time is beyond all bounds",
            "a whole number of milliseconds",
            "less_than_equal",
            breaks.time_is(st.integers(min_value=_LATEST_MS + 1) | st.sampled_from([2.0**53, 1e300, 10**400])),
        ),
        "first_at_0": ScriptRule(
            "the first time is not 0", "0, the time of the first entry", "value_error", breaks.first_time
        ),
        "times_in_order": ScriptRule("times go back", "times do not go back", "value_error", breaks.time_goes_back),
        "some_length": ScriptRule(
            "the end is at 0", "more than 0, as the time of the end", "value_error", breaks.no_length
        ),
        "start_first": ScriptRule(
            "the first entry is no start", "a start, as the first entry", "value_error", breaks.no_start
        ),
        "one_start": ScriptRule(
            "there is a second start", "no start after the first", "value_error", breaks.second_start
        ),
        "no_early_end": ScriptRule(
            "there is an end before the last", "no end before the last", "value_error", breaks.early_end
        ),
        "end_last": ScriptRule("the last entry is no end", "an end, as the last entry", "value_error", breaks.no_end),
    }
)
"""Every rule, by name."""
