"""Tests of the exported strategies: each works without arguments and has an example."""

import inspect

import pytest
from hypothesis.strategies import SearchStrategy

from odyssey_mock.testing import strategies
from tests.support.drawing import drawn

STRATEGIES = (
    "scripts",
    "script_entries",
    "broken_scripts",
    "prompts",
    "images",
    "image_urls",
    "broken_images",
    "handler_sets",
    "faults",
    "fault_lists",
    "clock_jumps",
    "clock_jump_lists",
    "job_histories",
)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_works_without_arguments(name: str) -> None:
    strategy = getattr(strategies, name)()
    assert isinstance(strategy, SearchStrategy)
    assert drawn(strategy, 3)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_has_example(name: str) -> None:
    """The example in each strategy's docstring is valid Python and uses the strategy."""
    _, _, rest = str(inspect.getdoc(getattr(strategies, name))).partition("::\n\n")
    lines = rest.splitlines()
    example = "\n".join(lines[: next((i for i, line in enumerate(lines) if line[:1].strip()), len(lines))])
    example = inspect.cleandoc("\n" + example)
    compile(example, name, "exec")
    assert f"@given({name}(" in "".join(example.split())


BESIDE = {
    "IMAGE_FORMATS",
    "IMAGE_KINDS",
    "IMAGE_RULES",
    "OFFERED",
    "SCRIPT_RULES",
    "TRIALS",
    "BrokenImage",
    "BrokenScript",
    "ClockJump",
    "HandlerCall",
    "HandlerFailedError",
    "HandlerSet",
    "HandlerShape",
    "JobHistory",
    "JobStep",
}


def test_package_exports_strategies_and_their_types() -> None:
    imported: dict[str, object] = {}
    exec("from odyssey_mock.testing.strategies import *", imported)
    assert imported.keys() - {"__builtins__"} == {*STRATEGIES, *BESIDE}
