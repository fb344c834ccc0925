"""The expected results of running small test projects with several pytest plugins and options.

`docs/reference/kinds-of-tests.md` is generated from this module.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECTS = Path(__file__).parent / "projects"

WORKS = "works"
"""The result of a folder whose tests all passed."""

WITHIN_S = 1.0
"""Maximum seconds until a combination that cannot work has failed, including setup and teardown."""

VARIANTS: Mapping[str, Sequence[str]] = {
    "alone": ("-p", "no:randomly"),
    "`-n 2`": ("-p", "no:randomly", "-n", "2"),
    "pytest-randomly": (),
    "coverage": ("-p", "no:randomly", "--cov=.", "--cov-report="),
    "`-p no:anyio`": ("-p", "no:randomly", "-p", "no:anyio"),
}
"""The columns of the table, as options of pytest by column name. pytest-randomly is active unless it is disabled."""


@dataclass(frozen=True)
class Kind:
    """One kind of tests, for example async tests with uvloop: a row of the table, and the folder with its tests.

    Attributes:
        title: the name of the kind in the table.
        folder: the path relative to `PROJECTS`. Its first part is the project, which contains `pytest.ini`.
        tests: the number of tests in the folder.
    """

    title: str
    folder: str
    tests: int

    @property
    def project(self) -> str:
        """The name of the project in which pytest runs."""
        return self.folder.partition("/")[0]


KINDS: Sequence[Kind] = (
    Kind("sync", "strict/sync", 4),
    Kind("asyncio, function loop, strict mode", "strict/asyncio_function", 4),
    Kind("asyncio, module loop, strict mode", "strict/asyncio_module", 4),
    Kind("asyncio, session loop, strict mode", "strict/asyncio_session", 4),
    Kind("asyncio, function loop, auto mode", "auto/auto_function", 4),
    Kind("asyncio, module loop, auto mode", "auto/auto_module", 4),
    Kind("asyncio, session loop, auto mode", "auto/auto_session", 4),
    Kind("asyncio, with `async with MockOdyssey()`", "strict/in_loop", 3),
    Kind("anyio on asyncio", "strict/anyio_asyncio", 4),
    Kind("anyio on trio", "strict/anyio_trio", 4),
    Kind("anyio on uvloop", "strict/anyio_uvloop", 4),
    Kind("uvloop", "strict/uvloop_tests", 4),
    Kind("uvloop, with `async with MockOdyssey()`", "strict/uvloop_in_loop", 9),
    Kind("unittest, run by pytest", "strict/unittest_cases", 5),
    Kind("unittest, `python -m unittest`", "strict/unittest_alone", 4),
    Kind("doctest", "strict/doctests", 2),
    Kind("`@given`", "strict/given", 4),
    Kind("frozen time (time-machine)", "strict/frozen_time", 2),
    Kind("simulated time", "simulated/simulated", 3),
    Kind("threads", "strict/threads", 4),
    Kind("another process", "strict/another_process", 4),
)

CONFIGURATIONS: Sequence[Kind] = (
    Kind("only `asyncio_default_test_loop_scope = session` is set", "only_test_scope/only_test_scope", 4),
    Kind("only `asyncio_default_fixture_loop_scope = session` is set", "only_fixture_scope/only_fixture_scope", 4),
    Kind("uvloop is the event loop policy of the process", "uvloop_policy/uvloop_policy", 4),
)
"""Projects with an unusual configuration. They run only without additional plugins and options."""

NO_ANYIO = "Unknown pytest.mark.anyio - is this a typo?"

FAILURES: Mapping[tuple[str, str], str] = {
    (folder, "`-p no:anyio`"): NO_ANYIO
    for folder in ("strict/anyio_asyncio", "strict/anyio_trio", "strict/anyio_uvloop")
}
"""The cells whose tests fail, by folder and variant, each with a part of the expected error message."""


@dataclass(frozen=True)
class Refusal:
    """A combination of a fixture or call with a kind of test that cannot work, and a part of its error message.

    Attributes:
        title: a description of the combination for the table.
        test: the name of the test in `PROJECTS / "refused"` that uses the combination.
        message: the part of the error message that says what to write instead.
    """

    title: str
    test: str
    message: str


REFUSALS: Sequence[Refusal] = (
    Refusal(
        "`odyssey_client` in a sync test",
        "test_sync_test_with_async_client",
        "use odyssey_sync_client, or define the test with `async def`",
    ),
    Refusal(
        "`odyssey_client` on trio",
        "test_trio_with_async_client",
        "use odyssey_sync_client in a thread, as in `await trio.to_thread.run_sync(odyssey_sync_client.connect)`",
    ),
    Refusal(
        "`odyssey_client.Odyssey` on trio",
        "test_trio_with_own_client",
        "Use odyssey_client.sync.Odyssey, and call it with trio.to_thread.run_sync",
    ),
    Refusal(
        "`async with MockOdyssey()` on trio",
        "test_trio_with_mock_of_asyncio",
        "use odyssey_mock.sync.MockOdyssey, which has a loop of its own: with MockOdyssey() as mock",
    ),
    Refusal(
        "a call of the sync client on trio",
        "test_trio_with_blocking_client",
        "Call it in a thread: await trio.to_thread.run_sync(...)",
    ),
    Refusal(
        "a call of the sync client on asyncio",
        "test_asyncio_with_blocking_client",
        "In async code use odyssey_client.Odyssey, or call it in a thread: await asyncio.to_thread(...)",
    ),
    Refusal(
        "a call of the sync client in the event loop of the mock",
        "test_mock_of_asyncio_with_blocking_client",
        "In async code use odyssey_client.Odyssey, or call it in a thread: await asyncio.to_thread(...)",
    ),
    Refusal(
        "`odyssey_mock.advance(60)` on asyncio",
        "test_asyncio_with_blocking_call",
        "write `await mock.aio.advance(...)` instead",
    ),
    Refusal(
        "a client that a fixture connected in another event loop",
        "test_client_of_other_loop",
        "With pytest-asyncio, set the same loop_scope for the test and its fixtures",
    ),
    Refusal(
        "`odyssey_client` with `@given`",
        "test_given_with_async_client",
        "create an odyssey_client.Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url) in the test",
    ),
    Refusal(
        "`odyssey_sync_client` with `@given`",
        "test_given_with_sync_client",
        "create an odyssey_client.sync.Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url) in the test",
    ),
    Refusal(
        "`odyssey_url` with `@pytest.mark.odyssey(port=8400)`",
        "test_own_port_with_shared_address",
        "use odyssey_mock.url",
    ),
    Refusal(
        "a fixture of the session that reads `odyssey_mock.api_key`",
        "test_wider_fixture_with_state",
        "remove the scope of the fixture, or use only the address, odyssey_url",
    ),
    Refusal(
        '`request.getfixturevalue("odyssey_client")`',
        "test_async_client_requested_late",
        "add odyssey_client to the arguments of the test, or mark the test with "
        '@pytest.mark.usefixtures("odyssey_mock")',
    ),
    Refusal(
        "a fixture as argument of a method of `unittest.TestCase`",
        "TestMethods::test_unittest_with_argument",
        "write an autouse fixture in the class that stores them (self.mock = odyssey_mock)",
    ),
    Refusal(
        "`odyssey_mock` as argument of a `multiprocessing.Process` that is spawned",
        "test_mock_for_another_process",
        "pass mock.url and mock.api_key to it instead",
    ),
    Refusal(
        "an unknown setting in the marker",
        "test_marker_with_unknown_setting",
        "unknown setting 'clocks'; did you mean 'clock'?",
    ),
)


@dataclass(frozen=True)
class Cell:
    """One cell of the table: a kind of tests, run with the plugins and options of one column."""

    kind: Kind
    variant: str

    def __str__(self) -> str:
        return f"{self.kind.folder} | {self.variant}"

    @property
    def expected(self) -> str:
        """`WORKS` if the tests pass, otherwise a part of the error message."""
        return FAILURES.get((self.kind.folder, self.variant), WORKS)

    @property
    def shown(self) -> str:
        """The expected result as Markdown."""
        return WORKS if self.expected == WORKS else f"fails: `{self.expected}`"


def cells() -> Iterator[Cell]:
    """Yield one cell for each of `CONFIGURATIONS`, then a cell for each of `KINDS` with each of `VARIANTS`."""
    for kind in CONFIGURATIONS:
        yield Cell(kind, "alone")
    for kind in KINDS:
        for variant in VARIANTS:
            yield Cell(kind, variant)
