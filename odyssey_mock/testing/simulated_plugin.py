"""The part of the pytest plugin for tests in the simulated world: `@pytest.mark.odyssey_sim`.

The modules of the plugin are imported in every pytest run. They import the mock and the client inside functions, when a
test needs them.
"""

import inspect
import unittest
from collections.abc import Generator
from typing import TYPE_CHECKING, cast

import pytest

from odyssey_mock.testing.marked_settings import marked_settings
from odyssey_mock.testing.stash import SEED_RECORDING
from odyssey_mock.testing.trace_plugin import mode_of

if TYPE_CHECKING:
    from odyssey_mock.sim.world import World
    from odyssey_mock.testing.simulated import Test

MARKER = (
    "odyssey_sim(seeds=50, depth='light', weather=False, timeout=600, **settings): run this async test in a simulated "
    "world and virtual time, once for each seed; depth='full' uses real WebRTC; weather=True breaks connections and "
    "moves clocks at random moments; timeout is in virtual seconds; settings are those of the mock"
)
SEED_REPORT = pytest.StashKey[str]()
"""Stash key of a test's seed report, which shows the run with the seed that failed."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("odyssey", "Odyssey: tests with a mock (@pytest.mark.odyssey, @pytest.mark.odyssey_sim)")
    group.addoption("--odyssey-seed", type=int, metavar="N", help="run each simulated test with seed N only")
    group.addoption("--odyssey-seeds", type=int, metavar="N", help="run each simulated test with N seeds")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


def is_simulated(item: pytest.Item) -> bool:
    """Return whether a test runs in the simulated world: it has the marker or uses the fixture `odyssey_sim`."""
    return isinstance(item, pytest.Function) and (
        item.get_closest_marker("odyssey_sim") is not None or "odyssey_sim" in item.fixturenames
    )


@pytest.fixture
def odyssey_sim() -> "World":
    """Return the simulated `World` of a test marked `odyssey_sim`, a new one for each seed.

    The world has `mock`, `client()`, `wire` and more. `ODYSSEY_API_URL` and `ODYSSEY_API_KEY` point to its mock, and
    every `Odyssey()` created in the test uses the simulated network. Other fixtures run once for all seeds and cannot
    use the world.
    """
    from odyssey_mock.testing.simulated import NotYet  # noqa: PLC0415

    return cast("World", NotYet())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a simulated test that cannot run in the simulated world, before its fixtures are set up."""
    if is_simulated(item):
        _require_simulation()
        _refuse_unittest(cast("pytest.Function", item))
        _refuse_fixtures(cast("pytest.Function", item))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a simulated test, and return True; return None for other tests.

    True prevents other plugins, such as pytest-asyncio, from running the test again.
    """
    __tracebackhide__ = True
    if not is_simulated(pyfuncitem):
        return None
    from odyssey_mock.testing.simulated import Plan, PlanError, play  # noqa: PLC0415

    option = pyfuncitem.config.getoption
    # Settings of an `odyssey` marker, for example on the module, apply to simulated tests too.
    marked = marked_settings(pyfuncitem) | marked_settings(pyfuncitem, "odyssey_sim")
    try:
        plan = Plan.of(marked, seeds=option("--odyssey-seeds"), seed=option("--odyssey-seed"))
    except PlanError as error:
        raise pytest.fail.Exception(f"@pytest.mark.odyssey_sim: {error}", pytrace=False) from None
    names = pyfuncitem._fixtureinfo.argnames  # noqa: SLF001 - pytest has no public name for it
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    records = mode_of(pyfuncitem.config) != "off"
    played = play(_test_function(pyfuncitem), arguments, plan, _from_here(pyfuncitem), records=records)
    if played.recording is not None:
        pyfuncitem.stash[SEED_RECORDING] = played.recording
    failure = played.failure
    if failure is not None:
        if not isinstance(failure.error, pytest.skip.Exception):
            failure.error.add_note(f"failed with seed {failure.seed}; to reproduce: {failure.replay}")
            pyfuncitem.stash[SEED_REPORT] = failure.seed_report
        raise failure.error
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the seed report to the report of a failed simulated test, below the traceback."""
    report = yield
    seed_report = item.stash.get(SEED_REPORT, None)
    if seed_report is not None and report.when == "call":
        report.sections.append(("odyssey_sim: the seed that failed", seed_report))
    return report


def _require_simulation() -> None:
    try:
        import odyssey_mock.testing.simulated  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        raise pytest.fail.Exception(
            f"@pytest.mark.odyssey_sim requires {error.name}; install the extras `mock` and `sim`: "
            "pip install 'odyssey-testkit[mock,sim]'",
            pytrace=False,
        ) from None


def _from_here(item: pytest.Function) -> str:
    """Return the test's id relative to the directory where pytest was started, for the command that reproduces it."""
    path, separator, name = item.nodeid.partition("::")
    file, here = item.config.rootpath / path, item.config.invocation_params.dir
    return (file.relative_to(here) if file.is_relative_to(here) else file).as_posix() + separator + name


def _refuse_unittest(item: pytest.Function) -> None:
    """Fail a test that is a method of a `TestCase`, because `unittest` would run it outside of the simulated world."""
    if item.cls is not None and issubclass(item.cls, unittest.TestCase):
        pytest.fail(
            f"@pytest.mark.odyssey_sim does not support unittest.TestCase: make {item.cls.__name__} a plain class, or "
            "make the test a function",
            pytrace=False,
        )


def _test_function(item: pytest.Function) -> "Test":
    """Return the original test function, because pytest-asyncio may have replaced it by a wrapper.

    Fail the test if the function is not async, or has `@given`.
    """
    test = getattr(item.instance if item.cls is not None else item.module, item.originalname, item.obj)
    if getattr(test, "is_hypothesis_test", False):
        pytest.fail(
            "@pytest.mark.odyssey_sim cannot be combined with @given: draw random values from odyssey_sim.chance, or "
            "write a state machine (odyssey_mock.testing.OdysseyMachine)",
            pytrace=False,
        )
    if not inspect.iscoroutinefunction(test):
        pytest.fail("@pytest.mark.odyssey_sim requires an async test: define it with `async def`", pytrace=False)
    return cast("Test", test)


def _refuse_fixtures(item: pytest.Function) -> None:
    """Fail a test that requests a mock, a client or an async fixture, directly or through other fixtures.

    Async autouse fixtures are allowed.
    """
    info = item._fixtureinfo  # noqa: SLF001 - pytest has no public name for it
    wanted = [*info.argnames, *(name for marker in item.iter_markers("usefixtures") for name in marker.args)]
    seen: set[str] = set()
    while wanted:
        name = wanted.pop(0)
        if name in seen or name not in info.name2fixturedefs:
            continue
        seen.add(name)
        fixture_of = info.name2fixturedefs[name][-1]
        if name in _INSTEAD:
            pytest.fail(
                f"the fixture {name!r} does not run in the simulated world of this test. {_INSTEAD[name]}",
                pytrace=False,
            )
        if inspect.iscoroutinefunction(fixture_of.func) or inspect.isasyncgenfunction(fixture_of.func):
            pytest.fail(
                f"the fixture {name!r} is async, but does not run in the simulated event loop of this test. Move its "
                "code into the test, or into an async function that the test calls.",
                pytrace=False,
            )
        wanted += fixture_of.argnames


_INSTEAD = {
    "odyssey_mock": "Use odyssey_sim.mock instead.",
    "odyssey_client": "Use odyssey_sim.client() instead.",
    "odyssey_sync_client": "Use odyssey_sim.client() instead.",
}
