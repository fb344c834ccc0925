"""Run mutation campaigns: change the code of a module in many small ways, and check that its tests notice each change.

The modules and their tests are listed in `tests/support/mutation/targets.py`. A change that no test notices has
survived. Write a test of the behavior, or remove the code that makes no difference. If the changed code does the same
as the original, add the change with a reason to `tests/support/mutation/accepted.toml`.

The exit status is 1 if fewer than 85 % of the changes of a module are killed, or if one survived without a reason.

    python scripts/mutation.py                                        # all modules
    python scripts/mutation.py odyssey_client/redaction.py            # one
    python scripts/mutation.py odyssey_client/redaction.py -k _places # changes with this text in their names

mutmut 3 changes only functions, and most of a state machine is its table. mutmut 2 and cosmic-ray parse with parso,
which does not support `match`, `type` statements and generics of Python 3.12. So the project has its own operators.
"""

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.support.mutation.report import run_and_report
from tests.support.mutation.targets import TARGETS

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(usage="%(prog)s [MODULE ...] [-k TEXT]", description="Run mutation campaigns.")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="path of a module; all modules by default")
    parser.add_argument("-k", dest="text", default="", help="run only the mutants with this text in their names")
    arguments = parser.parse_args()
    by_path = {each.path: each for each in TARGETS}
    unknown = [path for path in arguments.modules if path not in by_path]
    if unknown:
        parser.error(f"expected modules of tests/support/mutation/targets.py, got {', '.join(unknown)}")
    os.chdir(ROOT)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # a process with threads cannot be forked safely
    statuses = []
    for path in arguments.modules or by_path:
        # Each module needs a process that has not imported the packages.
        process = os.fork()
        if not process:
            os._exit(run_and_report(by_path[path], ROOT, arguments.text))
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
    sys.exit(max(statuses))


if __name__ == "__main__":
    main()
