"""Marks in prompts that bring something about."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.trial_prompts import error_in

reasons = st.text(st.characters(exclude_characters="[]"), min_size=1, max_size=200).filter(str.strip)


@given(st.text(st.characters(exclude_characters="[]")), reasons, st.text())
def test_a_reason_is_found_wherever_it_stands(before: str, reason: str, after: str) -> None:
    assert error_in(f"{before}[error:{reason}]{after}") == reason.strip()


@given(st.text(st.characters(exclude_characters="[")))
def test_a_prompt_without_the_mark_brings_nothing_about(prompt: str) -> None:
    assert error_in(prompt) is None


@pytest.mark.parametrize("prompt", ["[error:]", "[error: ]", "[error]", "[error:x", "error:x]", f"[error:{'x' * 201}]"])
def test_what_only_looks_like_the_mark_brings_nothing_about(prompt: str) -> None:
    assert error_in(prompt) is None


def test_the_first_of_several_counts() -> None:
    assert error_in("A cat [error: ] [error:one] [error:two]") == "one"
