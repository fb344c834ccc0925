"""A short run of `scripts/overload.py`: every call of an overloaded process is answered."""

from pathlib import Path

from tests.support.forks import run_python

SCRIPTS = Path(__file__).parents[2] / "scripts"


def test_every_call_is_answered_under_overload() -> None:
    run = run_python("-m", "overload", "3", "1", cwd=SCRIPTS, limit_s=100)
    counts = dict(line.rsplit(maxsplit=1) for line in run.stdout.splitlines() if ": " in line)
    assert (run.returncode, counts.get("start: answered")) == (0, "3"), (
        f"expected 3 starts, got:\n{run.stdout}{run.stderr}"
    )
    assert [name for name in counts if not name.endswith(": answered")] == []
