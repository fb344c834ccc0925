"""The test suite in workers of pytest-xdist that are forks of one process, which has collected the tests.

A worker is a new interpreter otherwise: each imports all test modules, with everything that they use, again.

    python -m tests.support.forked_suite [--beside PROGRAM]... [ARGUMENT OF PYTEST]...

While this process collects the tests, the programs run. The first test starts when all of them have ended with status
0. Otherwise no test runs, and the result is the status of the collection if that failed, or else of the first program
in the order of the arguments that did.

The workers collect the tests again, from the imported modules. So a module must not keep standard streams when it is
imported, and its parameters must be no iterators, which would be empty then. pytest warns about such parameters.
Modules that were skipped, or not imported without an error, cannot be collected again: the run then has new
interpreters. So has every run on systems other than Linux, where forks are not safe.
"""

import argparse
import gc
import io
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import pytest

from tests.support.fork_server import fork_workers, remember_distributions, run_and_end, workers


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--beside", action="append", default=[], metavar="PROGRAM")
    known, arguments = parser.parse_known_args()
    with beside(known.beside):
        count = workers(arguments) if sys.platform == "linux" else 0
        is_collected = count > 0 and collect(arguments)
    if not is_collected:
        os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])
    fork_workers(count)
    run_and_end(["-m", "pytest", *arguments])


@contextmanager
def beside(programs: Sequence[str]) -> Iterator[None]:
    """Run programs during the block, and wait for their ends. Exit if one ends with another status than 0."""
    running = [subprocess.Popen([each]) for each in programs]
    try:
        yield
    finally:
        failed = [status for each in running if (status := each.wait()) != 0]
    if failed:
        sys.exit(failed[0])


class Collection:
    """A pytest plugin that prepares another collection of the same tests.

    Attributes:
        is_whole: whether all modules were imported, and none was skipped.
    """

    def __init__(self) -> None:
        self.is_whole = True

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.is_whole = self.is_whole and report.passed

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for mark in [mark for item in session.items for mark in item.iter_markers("parametrize")]:
            # pytest keeps the ids that a function has returned, and would escape them again.
            object.__setattr__(mark._param_ids_from or mark, "_param_ids_generated", None)  # no public name


def collect(arguments: Sequence[str]) -> bool:
    """Collect the tests, and return whether forks of this process can run them.

    Show the errors of the collection and exit, unless the arguments of pytest allow some errors. The run itself then
    reports them.
    """
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # a process with threads cannot be forked safely
    remember_distributions()
    collection = Collection()
    with redirect_stdout(io.StringIO()) as shown, redirect_stderr(io.StringIO()):
        status = pytest.main(["--collect-only", "-q", *arguments], plugins=[collection])
    if status in {pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR}:
        print(shown.getvalue())
        sys.exit(status)
    if status != pytest.ExitCode.OK or not collection.is_whole:
        return False
    if threads := len(os.listdir("/proc/self/task")) - 1:  # noqa: PTH208 - their names are not needed
        sys.exit(
            f"expected no threads after the collection of the tests, got {threads}: a fork has the locks of a thread, "
            "but not the thread, and hangs. Find the module that starts them, for example with a conversion of a "
            "video frame for a parameter, and let its tests do that"
        )
    gc.collect()
    gc.freeze()  # so that forks do not copy the memory of these objects
    return True


if __name__ == "__main__":
    main()
