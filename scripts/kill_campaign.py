"""Kill `odyssey-mock serve --state-dir` at random moments of a workload, and check that it has lost nothing.

The script prints how many kills, jobs, recordings, files, journal entries and faults it has checked. It exits with an
error if something that the server had acknowledged is missing, changed, or there twice.

    python scripts/kill_campaign.py [ROUNDS] [SEED]
"""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.support.kill_campaign import run_campaign  # noqa: E402

ROUNDS = 200


def main() -> None:
    """Run the campaign, and print what was checked."""
    rounds, seed = (int(text) for text in (*sys.argv[1:], *(str(ROUNDS), "0")[len(sys.argv) - 1 :]))
    for name, number in asyncio.run(run_campaign(rounds, seed=seed, progress=True)).items():
        print(f"{number:8} {name}")


if __name__ == "__main__":
    main()
