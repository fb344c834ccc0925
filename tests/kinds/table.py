"""The table of kinds of tests: small projects of a user, each run with other pytest plugins and options.

`docs/reference/kinds-of-tests.md` is generated from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECTS = Path(__file__).parent / "projects"

WORKS = "works"
"""Result of a kind whose tests all passed."""

WITHIN_S = 1.0
"""Maximum seconds of tests that cannot work, with their fixtures."""

VARIANTS: Mapping[str, Sequence[str]] = {
    "alone": ("-p", "no:randomly"),
    "`-n 2`": ("-p", "no:randomly", "-n", "2"),
    "pytest-randomly": (),
    "coverage": ("-p", "no:randomly", "--cov", "--cov-report="),
    "`-p no:anyio`": ("-p", "no:randomly", "-p", "no:anyio"),
}
"""The columns of the table: the name, and the options of pytest. pytest-randomly is active unless it is disabled."""


@dataclass(frozen=True)
class Kind:
    """One kind of tests: a folder of a project.

    Attributes:
        title: the kind in words.
        folder: the folder in `PROJECTS`; its first part is the project, which has the ini file.
        tests: the number of its tests.
    """

    title: str
    folder: str
    tests: int

    @property
    def project(self) -> str:
        """The folder that pytest runs."""
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
    Kind("unittest, run by pytest", "strict/unittest_cases", 5),
    Kind("unittest, `python -m unittest`", "strict/unittest_alone", 4),
    Kind("doctest", "strict/doctests", 2),
    Kind("`@given`", "strict/given", 4),
    Kind("threads", "strict/threads", 4),
    Kind("another process", "strict/another_process", 4),
)

CONFIGURATIONS: Sequence[Kind] = (
    Kind("only `asyncio_default_test_loop_scope = session` is set", "only_test_scope/only_test_scope", 4),
    Kind("only `asyncio_default_fixture_loop_scope = session` is set", "only_fixture_scope/only_fixture_scope", 4),
    Kind("uvloop is the event loop policy of the process", "uvloop_policy/uvloop_policy", 4),
)
"""Configurations of a whole project, which run only alone."""

NO_ANYIO = "Unknown pytest.mark.anyio - is this a typo?"

FAILURES: Mapping[tuple[str, str], str] = {
    (folder, "`-p no:anyio`"): NO_ANYIO
    for folder in ("strict/anyio_asyncio", "strict/anyio_trio", "strict/anyio_uvloop")
}
"""The cells that fail, by folder and variant, and the beginning of their message."""


@dataclass(frozen=True)
class Cell:
    """One kind in one variant."""

    kind: Kind
    variant: str

    def __str__(self) -> str:
        return f"{self.kind.folder} | {self.variant}"

    @property
    def expected(self) -> str:
        """`WORKS`, or the beginning of the message."""
        return FAILURES.get((self.kind.folder, self.variant), WORKS)

    @property
    def shown(self) -> str:
        """The expected result as Markdown."""
        return WORKS if self.expected == WORKS else f"fails: `{self.expected}`"


def cells() -> Iterator[Cell]:
    """Yield every cell of the tables."""
    for kind in CONFIGURATIONS:
        yield Cell(kind, "alone")
    for kind in KINDS:
        for variant in VARIANTS:
            yield Cell(kind, variant)
