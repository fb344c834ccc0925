"""Prompts as the mock rewrites them."""

import json

from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.prompts.expansion import applied_prompt, expand


def test_the_rewritten_prompt_keeps_its_subject_and_adds_to_it() -> None:
    assert expand("A cat  by a window.").startswith("A cat by a window, ")


def test_an_empty_prompt_is_given_a_scene() -> None:
    assert expand("").startswith("An open scene, ")


@given(st.text())
def test_the_same_prompt_is_always_rewritten_the_same_way(prompt: str) -> None:
    assert expand(prompt) == expand(prompt)


@given(st.text())
def test_with_the_bypass_a_prompt_is_applied_as_it_came(prompt: str) -> None:
    assert applied_prompt(prompt, bypass=True) == prompt


@given(st.characters(), st.booleans())
def test_what_is_echoed_fits_into_a_data_channel_message(character: str, bypass: bool) -> None:
    message = json.dumps(
        {"type": "stream_started", "applied_prompt": applied_prompt(character * 300_000, bypass=bypass)}
    )
    assert len(message.encode()) < 262_144


def test_the_wording_is_pinned_so_that_it_cannot_change_unnoticed() -> None:
    assert expand("A cat") == "A cat, lit by a low golden sun. Camera drifting to the right."
    assert applied_prompt("A cat", bypass=False) == "A cat, lit by a low golden sun. Camera drifting to the right."
