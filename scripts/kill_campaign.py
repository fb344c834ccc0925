"""Kill `odyssey-mock serve --state-dir` at random moments of a workload, and check that it has lost nothing.

The script prints how many kills, jobs, recordings, files, journal entries and faults it has checked. It exits with an
error if something that the server had acknowledged is missing, changed, or there twice.

    python scripts/kill_campaign.py [ROUNDS] [SEED]
"""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.support.kill_campaign import run_campaign

ROUNDS = 200


def main() -> None:
    """Run the campaign, and print what was checked."""
    rounds, seed = (int(text) for text in (*sys.argv[1:], *(str(ROUNDS), "0")[len(sys.argv) - 1 :]))
    checked = asyncio.run(run_campaign(rounds, seed=seed, tell=lambda line: sys.stderr.write(f"{line}\n")))
    for name, number in checked.items():
        sys.stdout.write(f"{number:8} {name}\n")


if __name__ == "__main__":
    main()
