"""Tests of parsing prompt markers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.prompts.markers import SLOWEST_MS, PromptMarkers, markers_of

plain = st.text(st.characters(exclude_characters="[]"))
reasons = st.text(st.characters(exclude_characters="[]"), min_size=1, max_size=200).filter(str.strip)


@given(plain, reasons, st.text())
def test_error_marker_is_found_anywhere(before: str, reason: str, after: str) -> None:
    assert markers_of(f"{before}[error:{reason}]{after}").error == reason.strip()


@given(plain, st.integers(0, SLOWEST_MS), plain)
def test_slow_marker_is_found_anywhere(before: str, delay: int, after: str) -> None:
    assert markers_of(f"{before}[slow:{delay}]{after}") == PromptMarkers(slow_ms=delay)


@given(plain, plain)
def test_stall_marker_is_found_anywhere(before: str, after: str) -> None:
    assert markers_of(f"{before}[stall]{after}") == PromptMarkers(stall=True)


@given(plain, st.booleans(), plain)
def test_moderated_marker_is_found_anywhere(before: str, ends: bool, after: str) -> None:
    marker = "[moderated:end]" if ends else "[moderated]"
    assert markers_of(f"{before}{marker}{after}") == PromptMarkers(moderated=True, ends_stream=ends)


@given(st.permutations(["[error:lost]", "[stall]", "[slow:250]"]), plain)
def test_markers_of_different_kinds_can_be_combined(marks: list[str], between: str) -> None:
    assert markers_of(between.join(marks)) == PromptMarkers("lost", stall=True, slow_ms=250)


@given(st.text(st.characters(exclude_characters="[")))
def test_prompt_without_markers_has_no_effect(prompt: str) -> None:
    assert markers_of(prompt) == PromptMarkers()


@pytest.mark.parametrize(
    "prompt",
    [
        *("[error:]", "[error: ]", "[error]", "[error:x", "error:x]", f"[error:{'x' * 201}]"),
        *("[moderated ]", "[Moderated]", "[moderated:]", "[moderated:END]", "moderated"),
        *("[stall ]", "[Stall]", "stall", "[stall:1]"),
        *("[slow]", "[slow:]", "[slow:-1]", "[slow:1.5]", "[slow: 1]", "[slow:1s]", "[slow:\u0661]"),
        f"[slow:{SLOWEST_MS + 1}]",
        f"[slow:{10**30}]",
    ],
)
def test_malformed_markers_have_no_effect(prompt: str) -> None:
    assert markers_of(prompt) == PromptMarkers()


def test_first_valid_marker_of_a_kind_counts() -> None:
    prompt = "A cat [error: ] [error:one] [error:two] [slow:9999999] [slow:20] [slow:10]"
    assert markers_of(prompt) == PromptMarkers("one", slow_ms=20)
