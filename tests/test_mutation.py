"""Tests of the mutation campaigns in `tests/support/mutation/`: the changes that they make, and what they report."""

import ast
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support.mutation.mutants import all_mutants
from tests.support.mutation.report import accepted
from tests.support.mutation.targets import TARGETS

ROOT = Path(__file__).parents[1]
LIMIT_S = 120.0


def changes(source: str) -> list[str]:
    return [each.name for each in all_mutants(textwrap.dedent(source), "example.py")]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", ["x: `a < b` becomes `a <= b`", "x: `a < b` becomes `a >= b`"]),
        ("x = a and b", ["x: `a and b` becomes `a or b`"]),
        ("x = not a", ["x: `not a` becomes `a`"]),
        ("x = a + b", ["x: `a + b` becomes `a - b`"]),
        ("x = 7", ["x: `7` becomes `8`"]),
        ("x = True", ["x: `True` becomes `False`"]),
        ("x = 'text'", ["x: `'text'` becomes `''`"]),
        ("x = f'{a} or more'", ["x: `f'{a} or more'` becomes `''`"]),
        ("x = y[:n]", ["x: `y[:n]` becomes `y`"]),
        ("x = min(a, b)", ["x: `min(a, b)` becomes `max(a, b)`"]),
        ("x = isinstance(a, b | c)", ["x: `b | c` becomes `b`", "x: `b | c` becomes `c`"]),
        ("x += y", ["module: `x += y` removed", "module: `x += y` becomes `x -= y`"]),
        ("x.y = z", ["module: `x.y = z` removed"]),
        ("x()", ["module: `x()` removed"]),
        ("def f(): return x()", ["f: `return x()` becomes `return None`"]),
        ("def f(): raise x", ["f: `raise x` removed"]),
        ("if x: y", ["module: `y` removed", "module: `x` becomes `not x`"]),
        ("def f(a: int = 1) -> int | None: ...", ["f: `1` becomes `2`"]),
    ],
)
def test_each_operator_changes_code(source: str, expected: list[str]) -> None:
    assert sorted(changes(source)) == sorted(expected)


def test_table_entries_are_removed_and_swapped() -> None:
    assert changes("TABLE = {A: b, C: d}") == [
        "TABLE: entry `A: ...` removed from `{A: b, C: d}`",
        "TABLE: entry `C: ...` removed from `{A: b, C: d}`",
        "TABLE: values of `A` and `C` swapped in `{A: b, C: d}`",
    ]
    assert changes("EFFECTS = (a, b)") == [
        "EFFECTS: `a` removed from `(a, b)`",
        "EFFECTS: `b` removed from `(a, b)`",
        "EFFECTS: `a` and `b` swapped in `(a, b)`",
    ]


def test_state_becomes_next_state_of_enum() -> None:
    source = """
        class State(StrEnum):
            OPEN = "open"
            CLOSED = "closed"

        def f():
            self.state = State.CLOSED
    """
    assert changes(source) == [
        "f: `self.state = State.CLOSED` removed",
        "f: `State.CLOSED` becomes `State.OPEN`",
    ]


def test_docstrings_types_and_imports_stay() -> None:
    source = '''
        """A module."""
        import a
        type B = int | None
        if TYPE_CHECKING:
            import c
        x: Literal["a"]
        @dataclass(frozen=True)
        class C(Base[1]):
            """A class."""
    '''
    assert changes(source) == []


def test_equal_changes_get_numbers() -> None:
    assert changes("def f(): a(1); a(1)")[-2:] == ["f: `a(1)` removed (2)", "f: `1` becomes `2` (2)"]


def test_mutant_compiles_to_changed_code() -> None:
    mutants = all_mutants("x = 2 + 3\ny = 5", "example.py")

    values = []
    for each in mutants:
        names: dict[str, object] = {}
        exec(each.compile(), names)
        values.append((names["x"], names["y"]))

    assert values == [(-1, 5), (6, 5), (5 + 1, 5), (5, 6)]
    assert mutants[0].diff() == "-x = 2 + 3\n+x = 2 - 3"


def test_mutants_leave_module_unchanged() -> None:
    path = "odyssey_client/scripts/rules.py"
    source = (ROOT / path).read_text()
    last = all_mutants(source, path)[-1]

    last.compile()

    changed = last._module.tree
    assert ast.dump(changed, include_attributes=True) == ast.dump(ast.parse(source), include_attributes=True)


def test_campaign_finds_change_that_no_test_notices(tmp_path: Path) -> None:
    (tmp_path / "limits.py").write_text(
        "LIMIT = 3\nBEGIN = 0\n\n\ndef is_allowed(number):\n    return BEGIN <= number <= LIMIT\n"
    )
    (tmp_path / "test_limits.py").write_text(
        "from limits import is_allowed\n\n\ndef test_limit():\n    assert is_allowed(3)\n    assert not is_allowed(4)\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\nasyncio_default_fixture_loop_scope = function\n")
    program = """
        import sys
        from pathlib import Path
        from tests.support.mutation.campaign import Target, run_mutants

        target = Target("limits.py", ["test_limits.py"], is_pure=True)
        for mutant, outcome in run_mutants(target, Path.cwd(), lambda mutant: True):
            print(f"{outcome}: {mutant.name}")
    """

    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )

    assert sorted(run.stdout.splitlines()) == [
        "killed: LIMIT: `3` becomes `4`",
        "killed: is_allowed: `BEGIN <= number <= LIMIT` becomes `BEGIN <= number < LIMIT`",
        "killed: is_allowed: `BEGIN <= number <= LIMIT` becomes `BEGIN <= number > LIMIT`",
        "killed: is_allowed: `BEGIN <= number <= LIMIT` becomes `BEGIN > number <= LIMIT`",
        "killed: is_allowed: `return BEGIN <= number <= LIMIT` becomes `return None`",
        "survived: BEGIN: `0` becomes `1`",
        "survived: is_allowed: `BEGIN <= number <= LIMIT` becomes `BEGIN < number <= LIMIT`",
    ], run.stderr


@pytest.mark.parametrize("path", [each.path for each in TARGETS if accepted(each.path)])
def test_accepted_survivors_exist(path: str) -> None:
    source = (ROOT / path).read_text()

    unknown = set(accepted(path)) - {each.name for each in all_mutants(source, path)}

    assert not unknown, f"expected tests/support/mutation/accepted.toml to list mutants of {path}, got {unknown}"
