"""Distribution of tests over the workers of pytest-xdist: one worker runs all tests of an entry of `TOGETHER`.

The marker `xdist_group` of pytest-xdist 3.8 would do the same, but has no effect with pytest 9.2. pytest-xdist stores
the group in the attribute `_nodeid` of a test, which pytest no longer reads.
"""

from typing import override

from xdist.scheduler import LoadScopeScheduling

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
    "tests/e2e/test_demo.py",  # a run of the command
)
"""Folders and files whose tests share a fixture that takes seconds: one worker runs all of them. They are run first.

The first entry with which the name of a test begins counts."""


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Gives each worker one test or one group of `TOGETHER` at a time."""

    @override
    def _split_scope(self, nodeid: str) -> str:
        """Return the group of a test. pytest-xdist documents this method as the one to override."""
        return next((path for path in TOGETHER if nodeid.startswith(path)), nodeid)
