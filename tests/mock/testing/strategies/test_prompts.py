"""Tests of the strategy for prompts: client and mock accept every prompt, and some prompts are unusual."""

import json
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.client.arguments import check_prompt
from odyssey_mock.prompts.expansion import applied_prompt
from odyssey_mock.prompts.markers import PromptMarkers, markers_of
from odyssey_mock.sessions.messages import DATA_CHANNEL, Update, decode
from odyssey_mock.testing.strategies import TRIALS, prompts
from odyssey_mock.testing.strategies.prompt import LONGEST_PROMPT, ODD, PLAIN, SLOWEST_MS, Trial
from tests.support.drawing import FEW, any_of, drawn, smallest

DATA_CHANNEL_BYTES = 262_144
ASKED: dict[Trial, Callable[[PromptMarkers], bool]] = {
    "moderated": lambda markers: markers.moderated,
    "error": lambda trial: trial.error is not None,
    "stall": lambda trial: trial.stall,
    "slow": lambda trial: trial.slow_ms is not None,
}


def arrived(prompt: str) -> Update:
    """Encode an `update` message with this prompt; return the message as parsed by the mock."""
    message = json.dumps({"type": "update", "prompt": prompt})
    assert len(message.encode()) <= DATA_CHANNEL_BYTES
    update = DATA_CHANNEL.parse(decode("clientToStreamer", message))
    assert isinstance(update, Update)
    return update


@FEW
@given(prompts())
def test_client_and_mock_accept_every_prompt_unchanged(prompt: str) -> None:
    check_prompt(prompt)
    assert arrived(prompt).prompt == applied_prompt(prompt, bypass=True) == prompt


@FEW
@given(prompts())
def test_default_prompts_contain_no_markers(prompt: str) -> None:
    assert markers_of(prompt) == PromptMarkers()


@FEW
@given(st.lists(st.integers(0, 3000), min_size=2, max_size=2).map(sorted), st.data())
def test_prompt_has_requested_length(sizes: list[int], data: st.DataObject) -> None:
    least, most = sizes
    assert least <= len(data.draw(prompts(min_size=least, max_size=most))) <= most


def test_longest_prompts_fit_into_message() -> None:
    for prompt in drawn(prompts(min_size=LONGEST_PROMPT - 1, max_size=LONGEST_PROMPT), 20):
        arrived(prompt)


KINDS: dict[str, Callable[[str], bool]] = {
    "empty": lambda prompt: not prompt,
    "blank": lambda prompt: bool(prompt) and not prompt.strip(),
    "of several lines": lambda prompt: len(prompt.strip().splitlines()) > 1,
    "long": lambda prompt: len(prompt) >= 1000,
    "with emoji": lambda prompt: any(ord(each) > 0x1F000 for each in prompt),
    "joined emoji": lambda prompt: "\u200d" in prompt,
    "right to left": lambda prompt: any(unicodedata.bidirectional(each) in {"R", "AL"} for each in prompt),
    "with an override": lambda prompt: "\u202e" in prompt,
    "with combining characters": lambda prompt: any(unicodedata.combining(each) for each in prompt),
    "with a null": lambda prompt: "\x00" in prompt,
    "JSON": lambda prompt: prompt.startswith("{"),
    "HTML": lambda prompt: "<script>" in prompt,
    "similar to a test prompt": lambda prompt: "[error:" in prompt,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_text_is_drawn(kind: str) -> None:
    assert KINDS[kind](any_of(prompts(), KINDS[kind]))


def test_all_listed_prompts_are_drawn_and_valid() -> None:
    examples = drawn(prompts(max_size=60), 400)
    assert {*PLAIN, *ODD} <= set(examples)
    for prompt in examples:
        check_prompt(prompt)


@pytest.mark.parametrize("trial", TRIALS)
def test_only_requested_test_prompts_are_drawn(trial: Trial) -> None:
    asked = [markers_of(prompt) for prompt in drawn(prompts(trials=[trial]), 100)]
    assert 20 < sum(ASKED[trial](each) for each in asked) < 90
    assert not any(ASKED[other](each) for each in asked for other in TRIALS if other != trial)
    assert all((each.slow_ms or 0) <= SLOWEST_MS for each in asked)


@FEW
@given(prompts(min_size=50, max_size=90, trials=TRIALS))
def test_test_prompts_have_requested_length(prompt: str) -> None:
    assert 50 <= len(prompt) <= 90
    check_prompt(prompt)


def test_simplest_prompt_is_readable() -> None:
    assert smallest(prompts()) == "A cat"
    assert smallest(prompts(trials=["stall"]), lambda prompt: "[stall]" in prompt) == "A cat[stall]"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: prompts(min_size=3, max_size=2), "got 3 and 2"),
        (lambda: prompts(min_size=-1), "got -1"),
        (lambda: prompts(max_size=LONGEST_PROMPT + 1), f"<= {LONGEST_PROMPT}"),
        (lambda: prompts(max_size=30, trials=["slow"]), "for the marker of a test prompt"),
        (lambda: prompts(trials=["crash"]), "marker 'crash'; known: error, moderated, stall, slow"),  # type: ignore[list-item]  # invalid on purpose
    ],
)
def test_invalid_arguments_are_rejected_at_once(wrong: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        wrong()
