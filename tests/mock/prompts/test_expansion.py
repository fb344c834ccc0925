"""Tests of prompt expansion."""

import json

from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.prompts.expansion import applied_prompt, expand


def test_expanded_prompt_starts_with_the_original() -> None:
    assert expand("A cat  by a window.").startswith("A cat by a window, ")


def test_empty_prompt_gets_a_default_scene() -> None:
    assert expand("").startswith("An open scene, ")


@given(st.text())
def test_expansion_is_deterministic(prompt: str) -> None:
    assert expand(prompt) == expand(prompt)


@given(st.text())
def test_bypass_applies_prompt_unchanged(prompt: str) -> None:
    assert applied_prompt(prompt, bypass=True) == prompt


@given(st.characters(), st.booleans())
def test_applied_prompt_fits_into_one_message(character: str, bypass: bool) -> None:
    message = json.dumps(
        {"type": "stream_started", "applied_prompt": applied_prompt(character * 300_000, bypass=bypass)}
    )
    assert len(message.encode()) < 262_144


def test_wording_of_the_expansion_is_pinned() -> None:
    assert expand("A cat") == "A cat, lit by a low golden sun. Camera drifting to the right."
    assert applied_prompt("A cat", bypass=False) == "A cat, lit by a low golden sun. Camera drifting to the right."
