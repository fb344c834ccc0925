"""Tests of running scenarios: reproducibility, logs, steps and disturbances."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pytest

from odyssey_mock.explore.explorer import explore, play
from odyssey_mock.explore.scenario import Actor, ChaosStep, Scenario, Step
from odyssey_mock.sim.fidelity import Fidelity
from odyssey_mock.sim.run_log import WORLD
from tests.support.explore.planted import RULES

SAMPLE: dict[Fidelity, range] = {"light": range(604, 616), "full": range(592, 596)}
"""For each fidelity, seeds to run twice. Together they cause all disturbances; the `light` seeds also run all steps."""

HASHES = """
import json, sys
from odyssey_mock.explore.explorer import play
for fidelity, start, stop in json.loads(sys.argv[1]):
    for seed in range(start, stop):
        print(fidelity, seed, play(seed, fidelity=fidelity, keeps_log=True).run_hash)
"""


def hashes(hash_seed: str) -> str:
    """Return a line with the run hash for each seed in `SAMPLE`, from a process with this seed of Python's hashes."""
    sample = json.dumps([(fidelity, seeds.start, seeds.stop) for fidelity, seeds in SAMPLE.items()])
    return subprocess.run(
        [sys.executable, "-c", HASHES, sample],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout


def test_trace_of_seed_is_same_in_every_process() -> None:
    with ThreadPoolExecutor() as at_once:
        first, second = at_once.map(hashes, ("1", "2"))
    assert first == second
    ran = [line.split() for line in first.splitlines()]
    assert [(fidelity, int(seed)) for fidelity, seed, _ in ran] == [
        (fidelity, seed) for fidelity, seeds in SAMPLE.items() for seed in seeds
    ]
    assert len({run_hash for _, _, run_hash in ran}) == len(ran), (
        f"expected a different run hash for each seed, got\n{first}"
    )


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
