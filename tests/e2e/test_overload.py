"""A short run of `scripts/overload.py`: every call of an overloaded process is answered."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "overload.py"


def test_every_call_is_answered_under_overload() -> None:
    run = subprocess.run([sys.executable, SCRIPT, "3", "1"], capture_output=True, text=True, check=False, timeout=100)
    counts = dict(line.rsplit(maxsplit=1) for line in run.stdout.splitlines() if ": " in line)
    assert (run.returncode, counts.get("start: answered")) == (0, "3"), (
        f"expected 3 starts, got:\n{run.stdout}{run.stderr}"
    )
    assert [name for name in counts if not name.endswith(": answered")] == []
