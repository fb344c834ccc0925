"""Run all benchmarks quickly, and compare their ratios with `tests/bench_baseline.json`. Exit with 1 if one is worse.

A row that is worse than its noise band is measured again, twice, and fails if it is worse each time.

    python scripts/bench_check.py
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.support.bench.baseline import Report, check, load
from tests.support.bench.quick_runs import quick_run


def main() -> None:
    findings = check(_measured, load())
    for finding in findings:
        sys.stdout.write(f"{finding}\n")
    if any(each.fails for each in findings):
        sys.exit("bench-check: rows are worse than their baseline, or missing (scripts/bench_baseline.py measures it)")


def _measured(name: str) -> Report:
    sys.stderr.write(f"bench-check: odyssey-mock bench {name} --quick\n")
    return quick_run(name)


if __name__ == "__main__":
    main()
