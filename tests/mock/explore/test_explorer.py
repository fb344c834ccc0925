"""Tests of running scenarios: reproducibility, logs, steps and disturbances."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from odyssey_mock.core.journal import Journal
from odyssey_mock.explore.chaos import CHAOS
from odyssey_mock.explore.explorer import explore, play
from odyssey_mock.explore.scenario import Actor, ChaosStep, Scenario, Step
from odyssey_mock.explore.scenario_generator import STEPS, draw
from odyssey_mock.explore.server_rules import ServerRules
from odyssey_mock.sim.fidelity import Fidelity
from odyssey_mock.sim.run_log import WORLD
from odyssey_mock.sim.world import World
from tests.support.explore.planted import RULES
from tests.support.hash_seeds import other_hash_seed

SAMPLE: Mapping[Fidelity, Sequence[int]] = {"light": (1312, 2175, 4081, 4187, 5322), "full": (996, 3920)}
"""For each fidelity, seeds of short scenarios to run twice.

Together they cause all disturbances; the `light` seeds also run all steps.
"""

HASHES = """
import json, sys
from odyssey_mock.explore.explorer import play
for fidelity, seeds in json.loads(sys.argv[1]).items():
    for seed in seeds:
        print(fidelity, seed, play(seed, fidelity=fidelity, keeps_log=True).run_hash)
"""


def test_trace_of_seed_is_same_in_every_process() -> None:
    # Compared with the subprocess, this process has another hash seed and has run other tests before.
    printed = subprocess.run(
        [sys.executable, "-c", HASHES, json.dumps(SAMPLE)],
        env={**os.environ, "PYTHONHASHSEED": other_hash_seed()},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout
    mine = [
        (fidelity, seed, play(seed, fidelity=fidelity, keeps_log=True).run_hash)
        for fidelity, seeds in SAMPLE.items()
        for seed in seeds
    ]
    assert [tuple(line.split()) for line in printed.splitlines()] == [
        (fidelity, str(seed), run_hash) for fidelity, seed, run_hash in mine
    ]
    assert len({run_hash for _, _, run_hash in mine}) == len(mine), (
        f"expected a different run hash for each seed, got\n{printed}"
    )


@pytest.mark.parametrize(("fidelity", "seed"), [(fidelity, seed) for fidelity in SAMPLE for seed in SAMPLE[fidelity]])
def test_run_without_log_is_the_same(fidelity: Fidelity, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    journals: list[Journal] = []

    def with_journal(world: World, *others: Any) -> ServerRules:  # Any: passed through
        journals.append(world.mock.journal)
        return ServerRules(world, *others)

    monkeypatch.setattr("odyssey_mock.explore.explorer.ServerRules", with_journal)
    logged = play(seed, fidelity=fidelity, keeps_log=True)
    unlogged = play(seed, fidelity=fidelity)

    assert replace(logged, lines=(), run_hash="") == unlogged
    of_logged, of_unlogged = (journal.to_jsonl().splitlines() for journal in journals)
    assert of_logged == of_unlogged


def test_sample_has_all_disturbances_and_steps() -> None:
    drawn = {fidelity: [draw(seed, fidelity) for seed in seeds] for fidelity, seeds in SAMPLE.items()}
    for scenarios in drawn.values():
        assert {each.what for scenario in scenarios for each in scenario.chaos} == CHAOS.keys()
    assert {step.do for scenario in drawn["light"] for actor in scenario.actors for step in actor.steps} == STEPS.keys()


def test_documentation_lists_all_rules() -> None:
    page = (Path(__file__).parents[3] / "docs/explanation/simulation.md").read_text(encoding="utf-8")
    _, _, table = page.partition("| rules | meaning |\n|---|---|\n")
    rows, _, _ = table.partition("\n\n")
    told = [rule for row in rows.splitlines() for rule in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(told) == sorted(RULES)


def test_earlier_run_does_not_change_the_outcome() -> None:
    alone = play(501, keeps_log=True)
    play(502)
    assert play(501, keeps_log=True) == alone


def test_explore_runs_seeds_in_order() -> None:
    outcomes = list(islice(explore(seeds=range(3, 100)), 3))
    assert [(each.seed, each.fidelity, each.failures) for each in outcomes] == [(n, "light", ()) for n in (3, 4, 5)]
    assert all(each.lines == () and each.run_hash == "" for each in outcomes), "expected no log by default, got one"


def test_explore_accepts_other_scenario_functions() -> None:
    def connecting(seed: int, fidelity: Fidelity) -> Scenario:
        return Scenario(seed, fidelity, {}, (Actor("client-1", seed, {}, (Step("connect"),) * seed),))

    outcomes = list(explore(connecting, seeds=[1, 3]))
    assert [(each.seed, each.steps, each.failures) for each in outcomes] == [(1, 1, ()), (3, 3, ())]


def scenario_of(*steps: Step, chaos: tuple[ChaosStep, ...] = ()) -> Scenario:
    return Scenario(
        seed=1, fidelity="light", settings={"fps": 4}, actors=(Actor("client-1", 0, {}, steps),), chaos=chaos
    )


def test_trace_contains_all_steps_of_scenario() -> None:
    outcome = play(
        1,
        scenario=scenario_of(
            Step("connect"),
            Step("start", arguments={"prompt": "a harbour", "broadcast": True}),
            Step("interact", arguments={"prompt": "a ship comes in"}),
            Step("look"),
            Step("spectate"),
            Step("end"),
            Step("recording"),
            Step("download"),
            Step("simulate", arguments={"prompt": "a forest", "interactions": ["rain"], "seconds": 1}),
            Step("wait for job"),
            Step("disconnect"),
        ),
        keeps_log=True,
    )
    assert outcome.failures == ()
    assert outcome.steps == 11
    told = [line.what for line in outcome.lines if line.who == "client-1"]
    for step in ("connect", "start", "interact", "look", "spectate", "end", "recording", "download", "simulate"):
        assert f"{step}: done" in told, f"expected the line '{step}: done' in the log of client-1, got {told}"
    assert told.index("on_connected") < told.index("start: done") < told.index("on_stream_ended")
    (well,) = [line for line in outcome.lines if line.who == WORLD]
    assert well.what == "all disturbances end"
    assert [line.at for line in outcome.lines] == sorted(line.at for line in outcome.lines)


def test_first_download_creates_a_temporary_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    created: list[Path] = []

    class NotedDirectory(tempfile.TemporaryDirectory[str]):
        def __init__(self, *, prefix: str) -> None:
            super().__init__(prefix=prefix)
            created.append(Path(self.name))

    monkeypatch.setattr(tempfile, "TemporaryDirectory", NotedDirectory)
    recorded = (Step("connect"), Step("start", arguments={"prompt": "a harbour"}), Step("end"))
    assert play(1, scenario=scenario_of(*recorded)).failures == ()
    assert created == []

    assert play(1, scenario=scenario_of(*recorded, Step("download"), Step("download"))).failures == ()
    (directory,) = created
    assert not directory.exists()


def test_messages_have_sender_and_receiver_in_log() -> None:
    outcome = play(1, scenario=scenario_of(Step("connect"), Step("disconnect")), keeps_log=True)
    arrows = {(line.who, line.what, line.to) for line in outcome.lines if line.to is not None}
    assert ("client-1", "POST /sessions/token", "odyssey") in arrows
    assert ("odyssey", "offer", "client-1") in arrows
    assert ("client-1", "answer", "odyssey") in arrows


def test_step_without_its_object_is_skipped() -> None:
    outcome = play(1, scenario=scenario_of(Step("poll"), Step("leave"), Step("download")), keeps_log=True)
    assert outcome.failures == ()
    assert [line.what for line in outcome.lines if "skipped" in line.what] == [
        "poll: skipped",
        "leave: skipped",
        "download: skipped",
    ]


def test_call_can_be_cancelled_or_run_concurrently() -> None:
    outcome = play(
        1,
        scenario=scenario_of(
            Step("connect", manner="cancel", patience=0.001),
            Step("connect", manner="go on"),
            Step("list jobs"),
            chaos=(ChaosStep(0.0, "latency", {"from": 0.01, "to": 0.02}),),
        ),
        keeps_log=True,
    )
    assert outcome.failures == ()
    told = [line.what for line in outcome.lines if line.who == "client-1"]
    assert "connect: cancelled" in told
    assert told.index("list jobs: done") < told.index("connect: done")


@pytest.mark.parametrize(
    ("weather", "is_noticed"),
    [
        (ChaosStep(2.0, "cut", {"host": "client-1", "ways": "both", "seconds": 4.0}), False),
        (ChaosStep(2.0, "cut", {"host": "client-1", "ways": "in", "seconds": 7.0}), True),
        (ChaosStep(2.0, "hold", {"host": "client-1", "ways": "out", "seconds": 7.0}), False),
        (ChaosStep(2.0, "half open", {"host": "client-1", "dead": "server"}), True),
        (ChaosStep(2.0, "reset", {"host": "client-1"}), True),
        (ChaosStep(2.0, "crash", {"seconds": 2.0}), True),
        (ChaosStep(2.0, "away", {"seconds": 2.0}), True),
        (ChaosStep(2.0, "jump", {"host": "odyssey", "seconds": 3600}), False),
        (ChaosStep(2.0, "jump", {"host": "client-1", "seconds": -86_400}), False),
    ],
    ids=str,
)
def test_stream_survives_each_disturbance(weather: ChaosStep, is_noticed: bool) -> None:
    outcome = play(
        1,
        scenario=scenario_of(
            Step("connect"),
            Step("start", arguments={"prompt": "a harbour"}),
            Step("interact", 30.0, {"prompt": "the storm clears"}),
            chaos=(ChaosStep(0.0, "latency", {"from": 0.01, "to": 0.03}), weather),
        ),
        keeps_log=True,
    )
    assert outcome.failures == ()
    told = [line.what for line in outcome.lines if line.who == "client-1"]
    assert "interact: done" in told
    assert ("status reconnecting" in "".join(told)) == is_noticed
