"""Measure the baseline of `make bench-check` in several quick runs, and write it to `tests/bench_baseline.json`.

Run it on an idle machine, after a change that makes a row faster or adds one.

    python scripts/bench_baseline.py [RUNS]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.support.bench.baseline import FILE, Report, save
from tests.support.bench.quick_runs import quick_run

RUNS = 20


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    reports: list[Report] = []
    for number in range(count):
        reports.append(quick_run("all"))
        save(reports)  # after each run, so that an interrupted one leaves a baseline
        sys.stderr.write(f"bench-baseline: run {number + 1} of {count}\n")
    sys.stdout.write(f"bench-baseline: {FILE} is written\n")


if __name__ == "__main__":
    main()
