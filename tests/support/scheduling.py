"""Order of the tests, and their distribution over the workers of pytest-xdist.

One worker runs all tests of an entry of `TOGETHER`.

The marker `xdist_group` of pytest-xdist 3.8 would do the same, but has no effect with pytest 9.2. pytest-xdist stores
the group in the attribute `_nodeid` of a test, which pytest no longer reads.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import override

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

TOGETHER = (
    "tests/contract/browser/test_firefox.py",  # Firefox
    "tests/contract/browser/test_react.py",  # a Chromium of its own
    "tests/contract/browser/",  # Chromium
    "tests/contract/openapi/",  # schemathesis
    "tests/access/",  # three mocks with a session, a broadcast and a recording
    "tests/client/cli/test_process.py",  # a mock in another process, as in the next three
    "tests/client/client/test_event_loops.py",
    "tests/client/client/test_live.py",
    "tests/client/sync/test_processes.py",
    "tests/e2e/test_container.py",  # the image
    "tests/e2e/test_demo.py",  # a run of the command
    "tests/mock/verification/test_verification.py",  # a run of the program
)
"""Folders and files whose tests share a fixture that takes seconds: one worker runs all of them. They are run first.

The first entry with which the name of a test begins counts."""

SLOW = (
    "tests/e2e/test_life_cycles.py",
    "tests/mock/testing/test_tour.py",
    "tests/kinds/",
    "tests/test_docs.py",
    "tests/mock/testing/test_odyssey_sim_example.py",
    "tests/mock/testing/test_state_machine.py",
)
"""Folders and files with tests that take long. They are run before all others but the groups.

At the end of a run, the other workers would have no tests while the last one runs them.
"""
WAITING = "tests/matrix/"
"""The folder whose tests wait for most of their time. They are spread over the run.

If all workers ran them at the same time, the processors would be idle.
"""


def in_order(tests: list[pytest.Item]) -> list[pytest.Item]:
    """Return tests in the order in which they are run, those of `SLOW` first."""
    first = [test for path in SLOW for test in tests if test.nodeid.startswith(path)]
    waiting = [test for test in tests if test.nodeid.startswith(WAITING)]
    others = [test for test in tests if not test.nodeid.startswith((*SLOW, WAITING))]
    spread = [(i / len(kind), test) for kind in (others, waiting) for i, test in enumerate(kind)]
    return [*first, *(test for _, test in sorted(spread, key=itemgetter(0)))]


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Gives each worker one test or one group of `TOGETHER` at a time.

    pytest-xdist expects groups of many tests. At every test, it visits all groups that the worker has ever run, and
    searches the list of all tests. With thousands of groups, this takes seconds.
    """

    @override
    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        super().add_node_collection(node, collection)
        self._numbers = {test: number for number, test in enumerate(collection)}

    @override
    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        test = self.registered_collections[node][item_index]
        groups, group = self.assigned_work[node], self._split_scope(test)
        if tests := groups.get(group):  # the reports of subtests complete a test again
            tests[test] = True
            if all(tests.values()):
                del groups[group]
        self._reschedule(node)

    @override
    def _assign_work_unit(self, node: WorkerController) -> None:
        group, tests = self.workqueue.popitem(last=False)
        self.assigned_work[node][group] = tests
        node.send_runtest_some([self._numbers[test] for test, is_complete in tests.items() if not is_complete])

    @override
    def _split_scope(self, nodeid: str) -> str:
        """Return the group of a test. pytest-xdist documents this method as the one to override."""
        return next((path for path in TOGETHER if nodeid.startswith(path)), nodeid)
