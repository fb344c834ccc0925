"""Tests of `odyssey-mock explore`: output, files and exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from odyssey_client.trace import read_trace
from odyssey_mock.cli.app import main
from tests.support.explore.commanded import COMMIT, explore
from tests.support.explore.scenarios import raises
from tests.support.hash_seeds import other_hash_seed

LIMIT = 60.0

pytestmark = pytest.mark.usefixtures("of_one_version")


def test_seeds_without_failures_exit_with_zero() -> None:
    ran = explore("--seeds", "3", "--workers", "1")
    assert ran.exit_code == 0
    assert ran.stdout.startswith("3 light seeds: 0 failed, 0 distinct failures, 9 steps, 0.1 virtual hours, ")
    assert ran.stdout.endswith(" s)\n")
    assert " seeds/s (3 in " in ran.stdout


def test_failure_is_printed_with_trace_and_diagram() -> None:
    ran = explore("--full", "--seeds", "4", "--first", "14", "--workers", "1")
    assert ran.exit_code == 1
    shown, _, rates = ran.stdout.rstrip("\n").rpartition("\n")
    assert rates.startswith("4 full seeds: 2 failed, 2 distinct failures, ")
    assert (
        shown
        == f"""\
FAILED seed 16, full, commit {COMMIT}
  slots_add_up, at 60.000000: expected 0 slots taken, got 16
  reproduce: odyssey-mock explore --full --seed 16 --log
log up to the failure (last 4 lines of 4):
      0.000000 client-0: connect()
      0.250000 client-0 -> odyssey: POST /sessions/request
      2.500000 world: cut, by the seed
     60.000000 odyssey: session closed {{"seed": 16}}
diagram up to the failure:
   seconds  client-0                              odyssey
     0.000  | * connect()                         |
     0.250  |------ POST /sessions/request ------>|
            :                                     :
     2.500  {"== cut, by the seed ":=<108}
            :                                     :
    60.000  |                                     | * session closed (seed=16)
FAILED seed 17, full, commit {COMMIT}
  every_call_settles, at 2.500000: expected interact() to settle, got nothing in 17.5 s
  reproduce: odyssey-mock explore --full --seed 17 --log
log up to the failure (last 3 lines of 3):
      0.000000 client-0: connect()
      0.250000 client-0 -> odyssey: POST /sessions/request
      2.500000 world: cut, by the seed
diagram up to the failure:
   seconds  client-0                              odyssey
     0.000  | * connect()                         |
     0.250  |------ POST /sessions/request ------>|
            :                                     :
     2.500  {"== cut, by the seed ":=<108}"""
    )


def test_one_example_of_each_distinct_failure() -> None:
    ran = explore("--seeds", "100", "--workers", "2")
    assert [line for line in ran.stdout.splitlines() if line.startswith("FAILED")] == [
        f"FAILED seed 3, light, commit {COMMIT}, and 13 other seeds",
        f"FAILED seed 5, light, commit {COMMIT}, and 8 other seeds",
    ]
    assert ran.stderr.splitlines()[-1].startswith("100 of 100 seeds, 22 failed, 2 distinct, ")


def test_error_in_a_run_is_not_repeated() -> None:
    ran = explore("--seeds", "1", "--first", "4", "--workers", "1", play=raises)
    assert ran.exit_code == 1
    assert "  run_raised, at 0.000000: LookupError: raised by the test for seed 4\n" in ran.stdout


def test_trace_ends_with_hash_and_verdict() -> None:
    ran = explore("--seed", "2", "--log")
    assert ran.exit_code == 0
    assert (ran.stdout, ran.stderr) == (
        f"""\
    0.000000 client-0: connect()
    0.250000 client-0 -> odyssey: POST /sessions/request
    2.500000 world: cut, by the seed
   60.000000 odyssey: session closed {{"seed": 2}}
run hash {2:064x}
seed 2, light: all rules held; 3 steps, 60.500 virtual seconds
""",
        "",
    )


def test_trace_of_failing_seed_includes_a_diagram() -> None:
    ran = explore("--seed", "3", "--log")
    assert ran.exit_code == 1
    assert "seed 3, light: 1 rule violated; 3 steps, 60.500 virtual seconds\nFAILED seed 3, light, " in ran.stdout
    assert "|------ POST /sessions/request ------>|" in ran.stdout
    assert "log up to the failure" not in ran.stdout


def test_diagram_option_draws_the_whole_run() -> None:
    ran = explore("--seed", "3", "--diagram")
    assert ran.stdout.startswith("   seconds  client-0 ")
    assert "* session closed (seed=3)" in ran.stdout
    assert ran.stdout.count("   seconds  client-0 ") == 1


def test_shrunk_scenario_is_printed_stored_and_run(tmp_path: Path) -> None:
    kept = tmp_path / "short scenario.json"
    ran = explore("--seed", "17", "--shrink", "--output", str(kept))
    assert (ran.exit_code, ran.stderr) == (1, "shrunk to 1 of 2 parts\n")
    assert ran.stdout.startswith("seed 17, light\nclient-0 (account 0):\n  after 0 s connect\nFAILED seed 17, light, ")
    assert f"reproduce: odyssey-mock explore --workload '{kept}' --log\n" in ran.stdout
    assert "== cut, by the scenario ==" in ran.stdout
    again = explore("--workload", str(kept), "--log")
    assert again.exit_code == 1
    assert again.stdout.splitlines()[2] == "    2.500000 world: cut, by the scenario"
    assert explore("--workload", str(kept), "--shrink").exit_code == 1


def test_passing_seed_is_not_shrunk() -> None:
    ran = explore("--seed", "2", "--shrink")
    assert (ran.exit_code, ran.stdout) == (
        0,
        "seed 2, light: all rules held; there is nothing to shrink\n",
    )


@pytest.mark.parametrize("content", ["", "{}", '{"format": 0}', "[]", "\x00"])
def test_invalid_scenario_file_is_named_in_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "scenario.json"
    path.write_text(content)
    ran = explore("--workload", str(path))
    assert ran.exit_code == 2
    assert f"cannot run {path}: " in ran.stderr


NO_FOLDER = "No such file or directory; use another file"
GIVEN = {"seeds": ["9"], "first": ["9"], "seed": ["9"], "workers": ["2"], "scheduler": ["tcp://localhost:1"]}
MANY = ("seeds", "first", "workers", "scheduler", "results")
TOGETHER_NEVER = [
    *(("seed", other) for other in ("workload", *MANY)),
    *(("workload", other) for other in ("depth", *MANY)),
    ("scheduler", "workers"),
    ("shrink", "log"),
    ("shrink", "diagram"),
]


@pytest.mark.parametrize(("option", "other"), TOGETHER_NEVER)
def test_conflicting_options_are_rejected(tmp_path: Path, option: str, other: str) -> None:
    path = tmp_path / "file"
    path.touch()

    def words(name: str) -> list[str]:
        flag = name in {"log", "diagram", "shrink"}
        return ["--full"] if name == "depth" else [f"--{name}", *GIVEN.get(name, [] if flag else [str(path)])]

    base = words("seed") if option == "shrink" else []
    ran = explore(*base, *words(option), *words(other))
    assert ran.exit_code == 2
    assert f"Error: --{option} cannot be used with " in ran.stderr
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    ("option", "needed"),
    [
        ("log", "--seed or --workload"),
        ("diagram", "--seed or --workload"),
        ("shrink", "--seed or --workload"),
        ("output", "--shrink"),
        ("restart", "--results"),
    ],
)
def test_option_without_its_required_option_is_rejected(option: str, needed: str, tmp_path: Path) -> None:
    ran = explore(f"--{option}", *([str(tmp_path / "file")] if option == "output" else []))
    assert ran.exit_code == 2
    assert f"Error: --{option} requires {needed}." in ran.stderr


@pytest.mark.parametrize("options", [["--seeds", "0"], ["--workers", "0"], ["--seed", "-1"], ["--workload", "nowhere"]])
def test_invalid_option_values_are_rejected(options: list[str]) -> None:
    assert explore(*options).exit_code == 2


def test_results_file_skips_known_seeds(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    assert explore("--seeds", "40", "--workers", "1", "--results", str(path)).exit_code == 1
    before = path.read_text()
    again = explore("--seeds", "41", "--workers", "1", "--results", str(path))
    assert "\n41 light seeds (40 from earlier runs): 9 failed, 2 distinct failures, " in again.stdout
    assert path.read_text().startswith(before)
    assert len(path.read_text().splitlines()) == len(before.splitlines()) + 1

    deeper = explore("--full", "--seeds", "2", "--workers", "1", "--results", str(path))
    assert deeper.exit_code == 2
    assert "use another file, or discard the results with --restart" in deeper.stderr
    assert explore("--full", "--seeds", "2", "--workers", "1", "--results", str(path), "--restart").exit_code == 0
    assert json.loads(path.read_text().splitlines()[0])["depth"] == "full"


def test_results_file_in_missing_folder_is_rejected(tmp_path: Path) -> None:
    ran = explore("--seeds", "2", "--results", str(tmp_path / "nowhere" / "results.jsonl"))
    assert ran.exit_code == 2
    assert ran.stderr == f"Error: cannot write {tmp_path / 'nowhere' / 'results.jsonl'}: {NO_FOLDER}\n"


def test_output_in_missing_folder_is_rejected_before_shrinking(tmp_path: Path) -> None:
    output = tmp_path / "nowhere" / "scenario.json"
    ran = explore("--seed", "3", "--shrink", "--output", str(output))
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr == f"Error: cannot write {output}: the folder {output.parent} does not exist\n"


def test_invalid_scheduler_address_is_rejected(tmp_path: Path) -> None:
    ran = explore("--seeds", "2", "--scheduler", "nonsense://")
    assert ran.exit_code == 2
    assert "Error: expected the address of a Dask scheduler, such as tcp://HOST:8786, got nonsense://: " in ran.stderr


def test_output_for_seed_is_same_in_every_process() -> None:
    # Compared with the subprocess, this process has another hash seed.
    options = ["explore", "--seed", "3", "--log"]
    process = subprocess.run(
        [sys.executable, "-c", "from odyssey_mock.cli import main; main()", *options],
        env={**os.environ, "PYTHONHASHSEED": other_hash_seed()},
        check=True,
        capture_output=True,
        timeout=LIMIT,
    )
    mine = CliRunner().invoke(main, options, catch_exceptions=False)
    assert mine.exit_code == 0
    assert process.stdout == mine.stdout_bytes
    assert process.stderr == mine.stderr_bytes == b""
    assert process.stdout.count(b"\n") > 100
    assert b"\nrun hash " in process.stdout


def test_missing_sim_extra_error_shows_the_command() -> None:
    code = (
        "import sys; sys.modules['simloop'] = None; from odyssey_mock.cli import main; main(['explore', '--seed', '1'])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=LIMIT)
    assert (ran.returncode, ran.stderr) == (
        2,
        "Error: odyssey-mock explore requires the extra `sim`: pip install 'odyssey-testkit[mock,sim]'\n",
    )


@pytest.mark.parametrize("name", ["explore", "all"])
def test_missing_sim_extra_error_shows_bench(name: str) -> None:
    code = f"import sys; sys.modules['simloop'] = None; from odyssey_mock.cli import main; main(['bench', '{name}'])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=LIMIT)
    assert (ran.returncode, ran.stdout, ran.stderr) == (
        2,
        "",
        "Error: odyssey-mock bench explore requires the extra `sim`: pip install 'odyssey-testkit[mock,sim]'\n",
    )


@pytest.mark.parametrize(
    "options", [("--seed", "3"), ("--seeds", "8", "--workers", "1")], ids=["one seed", "many seeds"]
)
def test_trace_of_each_failure_is_written(options: tuple[str, ...], tmp_path: Path) -> None:
    ran = explore(*options, "--trace", str(tmp_path / "traces"))
    seeds = ["seed-3-light.odytrace"] if "--seed" in options else ["seed-3-light.odytrace", "seed-5-light.odytrace"]

    assert sorted(path.name for path in (tmp_path / "traces").iterdir()) == seeds
    assert f"trace: {tmp_path / 'traces' / seeds[0]}" in ran.stdout
    with read_trace(tmp_path / "traces" / seeds[0]) as trace:
        assert (trace.manifest.seed, trace.manifest.time) == (3, "virtual")
        assert trace.manifest.command == "odyssey-mock explore --light --seed 3 --log"
        assert {"connect", "disconnect"} <= {event.name for event in trace.events if event.lane == "call"}


def test_trace_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = explore("--seed", "3", "--trace", str(tmp_path / "file" / "traces"))

    assert ran.exit_code == 2
    assert "cannot write the trace" in ran.stderr
