"""Run all benchmarks quickly, and compare their ratios with `tests/bench_baseline.json`. Exit with 1 if one is worse.

A row that is worse than its noise band is measured again, twice, and fails if it is worse each time.

    python scripts/bench_check.py
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.support.bench.baseline import best, compare, load, ratios_of
from tests.support.bench.quick_runs import quick_run

REPEATS = 2
"""Number of further runs of a benchmark with a row that is worse."""


def main() -> None:
    baseline = load()
    ratios = ratios_of(quick_run("all"))
    for _ in range(REPEATS):
        worse = {baseline[each.name].benchmark for each in compare(ratios, baseline) if each.kind == "worse"}
        for name in sorted(worse):
            sys.stdout.write(f"bench-check: {name} is measured again\n")
            ratios = best([ratios, ratios_of(quick_run(name))])
    findings = compare(ratios, baseline)
    for finding in findings:
        sys.stdout.write(f"{finding}\n")
    if any(each.fails for each in findings):
        sys.exit("bench-check: rows are worse than their baseline, or missing (scripts/bench_baseline.py measures it)")


if __name__ == "__main__":
    main()
