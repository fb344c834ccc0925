"""Distribution of tests over the workers of pytest-xdist: one worker runs all tests of an entry of `TOGETHER`.

The marker `xdist_group` of pytest-xdist 3.8 would do the same, but has no effect with pytest 9.2. pytest-xdist stores
the group in the attribute `_nodeid` of a test, which pytest no longer reads.
"""

from collections.abc import Sequence
from typing import override

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
