"""A mutation campaign: each mutant of a module is run with the tests of the module, in a fork of this process.

Most mutants change the code of a function. For these, one process imports and collects all tests. A fork of it for
each mutant replaces the function's code, and runs the tests that call the function.

Other mutants change what happens when the module is imported: tables, constants, default values. For these, a fork of
a process that has only imported libraries imports the changed module, and collects and runs all tests.

Hypothesis draws the same examples in every run, does not shrink an example that fails, and draws at most `EXAMPLES`
unless the test has its own number.
"""

import gc
import importlib
import importlib.abc
import importlib.util
import inspect
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import TextIO, override

import hypothesis
import pytest

from tests.support.mutation.mutants import Mutant, all_mutants

EXAMPLES = 50
"""Number of examples of a Hypothesis test that does not state its own number."""

CPU_FACTOR, CPU_EXTRA_S = 5, 10
"""Limit of the processor time of a mutant: this many times that of its tests without a change, and some seconds."""

WALL_FACTOR = 8
"""Limit of the elapsed time: this many times the limit of the processor time. Tests may wait for ever for an event."""

MEMORY_BYTES = 4 << 30
"""Limit of the memory of a mutant, for endless loops that fill a list."""

OPTIONS = ("-q", "-x", "-s", "--no-header", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist")
"""Options of pytest. A `-x` ends the run of a mutant at the first failure."""

PURE_OPTIONS = ("--noconftest", "-p", "no:odyssey", "-p", "no:hypothesispytest")
"""Options for tests that need no fixture. The plugin of Hypothesis is left out because it takes most of the time."""

_UNMEASURED = 600.0
"""Limit of the processor time of tests without a change, in seconds."""


class Outcome(StrEnum):
    """What the tests show about a mutant."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    """The tests took much longer than without the change. This counts as killed."""
    SURVIVED = "survived"
    EQUAL = "equal"
    """The change makes no difference to the compiled code. This does not count as a mutant."""


@dataclass(frozen=True)
class Target:
    """A module, and the tests that belong to it.

    Attributes:
        path: the file of the module.
        tests: files, folders or single tests.
        is_pure: whether the tests need nothing from `tests/conftest.py`. Then they import less.
    """

    path: str
    tests: Sequence[str]
    is_pure: bool = False

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").replace("/", ".")

    def arguments(self) -> list[str]:
        return [*OPTIONS, *(PURE_OPTIONS if self.is_pure else ()), *self.tests]


@dataclass(frozen=True)
class MeasuredTest:
    """The processor time of a test without a change, in seconds, and the functions of the module that it has called."""

    name: str
    cpu_s: float
    functions: Sequence[str]


def run_mutants(target: Target, root: Path, is_wanted: Callable[[Mutant], bool]) -> Iterator[tuple[Mutant, Outcome]]:
    """Run the mutants of a module for which `is_wanted` is true, and yield each with its outcome.

    Raises:
        RuntimeError: the tests fail without a change.
    """
    root = root.resolve()  # as in the file names of code
    path = str(root / target.path)
    source = Path(path).read_text()
    original = compile(source, path, "exec", dont_inherit=True)
    mutants = {each.name: each for each in all_mutants(source, path) if is_wanted(each)}
    _preload(target, root)
    reading, writing = os.pipe()
    collecting = os.fork()
    if not collecting:
        os.close(reading)
        _discard_output()
        with os.fdopen(writing, "w") as results:
            loop = _Loop(original, path, list(mutants.values()), results)
            status = _run_pytest(target, loop)
        os._exit(status)
    os.close(writing)
    tests: list[MeasuredTest] = []
    with os.fdopen(reading) as lines:
        for line in lines:
            match json.loads(line):
                case {"tests": measured}:
                    tests = [MeasuredTest(**each) for each in measured]
                case {"mutant": name, "outcome": outcome}:
                    yield mutants.pop(name), Outcome(outcome)
    if os.waitpid(collecting, 0)[1] or not tests:
        raise RuntimeError(f"expected the tests of {target.path} to pass without a change, got a failure")
    order = _Order(tests)

    def run(code: CodeType) -> Outcome:
        return _outcome(lambda: _import_changed(target, path, code, order), tests)

    if mutants and run(original) is not Outcome.SURVIVED:
        raise RuntimeError(f"expected the tests of {target.path} to pass in another process, got a failure")
    for mutant in mutants.values():
        yield mutant, run(mutant.compile())


# Processes.


def _outcome(action: Callable[[], int], tests: Sequence[MeasuredTest]) -> Outcome:
    """Run `action` in a fork with the limits for these tests; return what its exit status means for a mutant."""
    limit_s = CPU_FACTOR * sum(each.cpu_s for each in tests) + CPU_EXTRA_S
    status = _status(action, limit_s)
    if status == 0:
        return Outcome.SURVIVED
    if status in {None, -signal.SIGXCPU, -signal.SIGKILL}:
        return Outcome.TIMED_OUT
    return Outcome.KILLED


def _status(action: Callable[[], int], cpu_limit_s: float) -> int | None:
    """Run `action` in a fork and return its exit status; None if it exceeded `WALL_FACTOR` times the limit."""
    process = os.fork()
    if not process:
        status = 1
        try:
            os.setsid()
            _discard_output()
            seconds = int(time.process_time() + cpu_limit_s)
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
            status = action()
        finally:
            os._exit(status)
    descriptor = os.pidfd_open(process)
    is_over, _, _ = select.select([descriptor], [], [], WALL_FACTOR * cpu_limit_s)
    os.close(descriptor)
    # The fork, if it still runs, and the processes that its tests have left.
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    _, code = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(code) if is_over else None


def _discard_output() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _preload(target: Target, root: Path) -> None:
    """Import the libraries that the tests import, but neither the packages of this project nor the tests."""
    hypothesis.settings.register_profile(
        "mutation",
        deadline=None,
        derandomize=True,
        database=None,
        max_examples=EXAMPLES,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    names = _Names(root)
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        _discard_output()
        status = _run_pytest(target, names)
        with os.fdopen(writing, "w") as file:
            file.write("\n".join(names.found))
        os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as file:
        found = file.read().split()
    if os.waitpid(process, 0)[1] or not found:
        raise RuntimeError(
            f"expected pytest to collect the tests of {target.path}, got an error: pytest {target.tests}"
        )
    for name in found:
        try:
            importlib.import_module(name)
        except ImportError:  # a module that an extension creates
            continue
    gc.collect()
    gc.freeze()  # so that forks do not copy the memory of these objects


class _Names:
    """Plugin of pytest: runs no test, and lists the imported libraries: modules from outside of `root`."""

    def __init__(self, root: Path) -> None:
        self.found: list[str] = []
        self._root = root

    def pytest_runtestloop(self) -> bool:
        self.found = [name for name, module in list(sys.modules.items()) if self._is_library(module)]
        return True

    def _is_library(self, module: ModuleType) -> bool:
        file = getattr(module, "__file__", None)
        if file is None or module.__name__ == "__main__":
            return False
        return "site-packages" in Path(file).parts or not Path(file).is_relative_to(self._root)


def _run_pytest(target: Target, plugin: object) -> int:
    hypothesis.settings.load_profile("mutation")
    # `tests/conftest.py` loads another profile, and this option loads the first one again.
    profile = () if target.is_pure else ("--hypothesis-profile=mutation",)
    return int(pytest.main([*target.arguments(), *profile], plugins=[plugin]))


# Mutants of functions.


class _Loop:
    """Plugin of pytest: measures the collected tests, and then runs them for each mutant of a function."""

    def __init__(self, original: CodeType, path: str, mutants: Sequence[Mutant], results: TextIO) -> None:
        self._original = original
        self._path = path
        self._mutants = mutants
        self._results = results

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        functions = [
            each
            for each in gc.get_objects()
            if isinstance(each, FunctionType) and each.__code__.co_filename == self._path
        ]
        gc.collect()
        gc.freeze()
        session.config.pluginmanager.unregister(self)
        tests = self._measured(session)
        for mutant in self._mutants if tests else ():
            changed = _changed_functions(self._original, mutant.compile())
            if changed is None:
                continue
            replaced = [(each, new) for old, new in changed for each in functions if each.__code__ == old]
            calling = [each for each in tests if any(_key(old) in each.functions for old, _ in changed)]
            if not changed:
                outcome = Outcome.EQUAL
            elif replaced and calling:
                outcome = self._outcome(session, replaced, calling)
            else:
                continue
            self._send({"mutant": mutant.name, "outcome": outcome})
        return True

    def _measured(self, session: pytest.Session) -> list[MeasuredTest]:
        """Run all tests without a change, and send their times and functions; return nothing if a test fails."""
        with tempfile.TemporaryFile("w+") as file:

            def measure() -> int:
                measuring = _Measuring(self._path)
                session.config.pluginmanager.register(measuring)
                status = _run_tests(session)
                json.dump([asdict(each) for each in measuring.tests], file)
                file.flush()
                return status

            if _status(measure, _UNMEASURED):
                return []
            file.seek(0)
            measured = json.load(file)
        self._send({"tests": measured})
        return [MeasuredTest(**each) for each in measured]

    def _send(self, message: object) -> None:
        print(json.dumps(message), file=self._results, flush=True)

    @staticmethod
    def _outcome(
        session: pytest.Session,
        replaced: Sequence[tuple[FunctionType, CodeType]],
        calling: Sequence[MeasuredTest],
    ) -> Outcome:
        def run() -> int:
            for function, code in replaced:
                function.__code__ = code
            session.items[:] = _Order(calling).of(session.items)
            return _run_tests(session)

        return _outcome(run, calling)


def _run_tests(session: pytest.Session) -> int:
    try:
        session.config.hook.pytest_runtestloop(session=session)
    except (pytest.Session.Failed, pytest.Session.Interrupted):
        return 1
    return int(session.testsfailed > 0)


class _Measuring:
    """Plugin of pytest: measures each test, and lists the functions of a module that it calls."""

    def __init__(self, path: str) -> None:
        self.tests: list[MeasuredTest] = []
        self._path = path
        self._called: set[str] = set()
        monitoring = sys.monitoring
        monitoring.use_tool_id(monitoring.COVERAGE_ID, "mutation")
        monitoring.register_callback(monitoring.COVERAGE_ID, monitoring.events.PY_START, self._note)
        monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.PY_START)

    def _note(self, code: CodeType, _offset: int) -> object:
        if code.co_filename != self._path:
            return sys.monitoring.DISABLE
        self._called.add(_key(code))
        return None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._called.clear()
        cpu_s = time.process_time()
        result = yield
        self.tests.append(MeasuredTest(item.nodeid, time.process_time() - cpu_s, sorted(self._called)))
        return result


def _changed_functions(old: CodeType, new: CodeType) -> list[tuple[CodeType, CodeType]] | None:
    """Return the codes of the functions that differ; None if code outside of functions differs."""
    if old == new:
        return []
    if old.co_flags & inspect.CO_OPTIMIZED and not old.co_name.startswith("<generic"):
        return [(old, new)]
    inner_old, inner_new = ([each for each in code.co_consts if isinstance(each, CodeType)] for code in (old, new))
    if _without_inner(old) != _without_inner(new):
        return None
    changed = []
    for pair in zip(inner_old, inner_new, strict=True):
        inner = _changed_functions(*pair)
        if inner is None:
            return None
        changed += inner
    return changed


def _without_inner(code: CodeType) -> CodeType:
    return code.replace(co_consts=tuple(None if isinstance(each, CodeType) else each for each in code.co_consts))


def _key(code: CodeType) -> str:
    return f"{code.co_qualname}:{code.co_firstlineno}"


# Mutants of other code.


def _import_changed(target: Target, path: str, code: CodeType, order: "_Order") -> int:
    """Run the tests with `code` in place of the code of the module."""
    sys.meta_path.insert(0, _Finder(target.module, path, code))
    return _run_pytest(target, order)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module, with other code than that of its file."""

    def __init__(self, name: str, path: str, code: CodeType) -> None:
        self._name = name
        self._path = path
        self._loader = _Loader(name, path, code)

    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(fullname, self._path, loader=self._loader)


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self._code = code

    @override
    def get_code(self, fullname: str) -> CodeType:
        return self._code


class _Order:
    """Plugin of pytest: runs the fastest tests first, and only those that were measured."""

    def __init__(self, tests: Sequence[MeasuredTest]) -> None:
        self._rank = {each.name: rank for rank, each in enumerate(sorted(tests, key=lambda each: each.cpu_s))}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = self.of(items)

    def of(self, items: Sequence[pytest.Item]) -> list[pytest.Item]:
        ranked = [each for each in items if each.nodeid in self._rank]
        return sorted(ranked, key=lambda each: self._rank[each.nodeid])
