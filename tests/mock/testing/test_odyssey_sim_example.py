"""Tests of the example `directing_tests.py`, which finds a race between an interaction and its acknowledgment."""

import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

from odyssey_mock.testing.chaos import Chaos
from odyssey_mock.testing.simulated import Plan, play
from tests.mock.testing.examples.directing import HastyDirector
from tests.mock.testing.examples.directing_tests import test_nothing_happens_twice as nothing_happens_twice
from tests.support.forks import run_pytest
from tests.support.project import seed_and_story

ROOT = Path(__file__).parents[3]
EXAMPLE = "tests/mock/testing/examples/directing_tests.py"


def direct(which: str, *options: str, hash_seed: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run pytest in a subprocess, as a user does, with those tests of the example whose names match `which`.

    The process is a fork, or a new interpreter if a seed of Python's hashes is given. Return the finished process with
    its output.
    """
    arguments = ["-p", "no:cacheprovider", EXAMPLE, "-k", which, *options]
    if hash_seed is None:
        return run_pytest(*arguments, folder=ROOT, environment={"PATH": ""}, limit_s=120)
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={"PYTHONHASHSEED": str(hash_seed), "PATH": ""},
        timeout=120,
    )


def test_race_is_found_and_replayed() -> None:
    """The test of `HastyDirector` fails, because a connection reset precedes an acknowledgment.

    The printed seed reproduces the failure. The test of `Director`, which has no bug, passes with the same seeds.
    """
    found = direct("HastyDirector")
    assert found.returncode == 1, (
        f"expected exit status 1 (failed tests), got {found.returncode}:\n{found.stdout}{found.stderr}"
    )
    seed = int(re.findall(r"--odyssey-seed=(\d+)", found.stdout)[0])
    passed = seed_and_story(found.stdout)
    before, after = passed.split("chaos: every TCP connection is reset")[-2:]
    last = re.findall(r"\b(update|update_acknowledged) \(", before)[-1]
    assert last == "update", (
        f"expected the last prompt message before the reset to be an update without acknowledgment, got {last}"
    )
    sent = re.compile(r'\bupdate \(prompt="(.*)"\)')
    repeated, original = sent.findall(after)[0], sent.findall(before)[-1]
    assert repeated == original, (
        f"expected the first prompt after the reset to repeat the last one before it, {original!r}; got {repeated!r}"
    )

    again = direct("HastyDirector", f"--odyssey-seed={seed}", hash_seed=7)
    assert again.returncode == 1
    assert seed_and_story(again.stdout) == passed

    corrected = direct("not HastyDirector", f"--odyssey-seeds={seed + 1}")
    assert corrected.returncode == 0, (
        f"expected exit status 0 (all tests pass) without the bug, got {corrected.returncode}:\n{corrected.stdout}"
    )


def test_race_is_found_only_with_resets() -> None:
    """For seeds whose test fails in a simulation with resets, the test passes in the same simulation without resets."""
    finding = [*islice((seed for seed in range(200) if is_found(seed, ["reset"])), 5)]
    assert len(finding) == 5
    assert not [seed for seed in finding if is_found(seed, False)]


def is_found(seed: int, weather: Chaos) -> bool:
    """Run the example with this seed and chaos; return whether its test fails."""
    plan = Plan.of({"weather": weather}, seeds=None, seed=seed)
    played = play(nothing_happens_twice, {"odyssey_sim": None, "make": HastyDirector}, plan, EXAMPLE)
    return played.failure is not None
