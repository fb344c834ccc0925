"""The pytest plugin: a fresh mock for a test, and a client on it.

pytest loads it in every run of everybody who has this package installed, so it imports nothing of weight by itself.
"""

import inspect
import unittest
from collections.abc import AsyncIterator, Generator
from typing import TYPE_CHECKING, Any, cast

import pytest

try:
    # In its strict mode, where its users need not change theirs, it takes no other's fixtures.
    from pytest_asyncio import fixture
except ImportError:
    # Then pytest says what is missing, or another plugin runs them.
    fixture = pytest.fixture  # type: ignore[assignment]  # called in the same way

if TYPE_CHECKING:
    from odyssey_client import Odyssey
    from odyssey_mock.server import MockOdyssey
    from odyssey_mock.sim.world import World
    from odyssey_mock.testing.simulated import Test

MARKER = (
    "odyssey(**settings): settings of the odyssey_mock fixture for this test, as MockOdyssey takes them by name; "
    'for example @pytest.mark.odyssey(clock="manual")'
)
SIMULATED_MARKER = (
    "odyssey_sim(seeds=50, depth='light', weather=False, timeout=600, **settings): run this async test in a simulated "
    "world and virtual time, once for each seed; depth='full' for real WebRTC; weather=True for connections that break "
    "now and then; timeout in virtual seconds; and settings of the mock"
)
TRACE_REPORT = pytest.StashKey[str]()
"""What passed in the seed that failed."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("odyssey", "simulated Odyssey (@pytest.mark.odyssey_sim)")
    group.addoption("--odyssey-seed", type=int, metavar="N", help="run each simulated test with seed N only")
    group.addoption("--odyssey-seeds", type=int, metavar="N", help="run each simulated test with N seeds")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    config.addinivalue_line("markers", SIMULATED_MARKER)


def marked_settings(node: pytest.Item, name: str = "odyssey") -> dict[str, Any]:  # Any: each is checked elsewhere
    """Gather what a test's markers of that name say; the nearest to the test wins."""
    settings: dict[str, Any] = {}
    for marker in reversed(list(node.iter_markers(name))):
        if marker.args:
            pytest.fail(f"@pytest.mark.{name} takes settings by name, got {marker.args!r}", pytrace=False)
        settings |= marker.kwargs
    return settings


@fixture
async def odyssey_mock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> "AsyncIterator[MockOdyssey]":
    """A `MockOdyssey` of this test's own; `ODYSSEY_API_URL` and `ODYSSEY_API_KEY` point to it.

    It runs in the test's event loop, so the test must be async: while a sync one runs, nothing answers.
    """
    from odyssey_mock import FaultError, MockOdyssey, SettingsError, UnknownSettingError  # noqa: PLC0415

    try:
        mock = MockOdyssey(**marked_settings(request.node))
    except (FaultError, SettingsError, UnknownSettingError) as error:
        raise pytest.fail.Exception(f"@pytest.mark.odyssey: {error}", pytrace=False) from None
    async with mock:
        monkeypatch.setenv("ODYSSEY_API_URL", mock.url)
        monkeypatch.setenv("ODYSSEY_API_KEY", mock.api_key)
        yield mock


@fixture
async def odyssey_client(odyssey_mock: "MockOdyssey") -> "AsyncIterator[Odyssey]":
    """An `Odyssey` client on this test's mock, not connected yet; disconnected at the end."""
    from odyssey_client import Odyssey  # noqa: PLC0415

    client = Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url)
    try:
        yield client
    finally:
        await client.disconnect()


# Simulated tests.


def is_simulated(item: pytest.Item) -> bool:
    """Whether it is a test that asks for the simulated world, by its marker or by the fixture."""
    return isinstance(item, pytest.Function) and (
        item.get_closest_marker("odyssey_sim") is not None or "odyssey_sim" in item.fixturenames
    )


@pytest.fixture
def odyssey_sim() -> "World":
    """The simulated `World` of a test marked `odyssey_sim`, another for each seed: `mock`, `client()`, `wire` and more.

    The environment says where its mock is, and `Odyssey()` made anywhere in the test uses the simulated network. Other
    fixtures are made once, for all seeds, and cannot use the world.
    """
    from odyssey_mock.testing.simulated import NotYet  # noqa: PLC0415

    return cast("World", NotYet())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Say what stands in the way of a simulated test before its fixtures are made."""
    if is_simulated(item):
        _require_simulation()
        _refuse_unittest(cast("pytest.Function", item))
        _refuse_async_fixtures(cast("pytest.Function", item))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a simulated test; nobody else does then, pytest-asyncio in neither of its modes."""
    __tracebackhide__ = True
    if not is_simulated(pyfuncitem):
        return None
    from odyssey_mock.testing.simulated import Plan, PlanError, play  # noqa: PLC0415

    option = pyfuncitem.config.getoption
    # A marker `odyssey` on a whole module goes for its simulated tests as well.
    marked = marked_settings(pyfuncitem) | marked_settings(pyfuncitem, "odyssey_sim")
    try:
        plan = Plan.of(marked, seeds=option("--odyssey-seeds"), seed=option("--odyssey-seed"))
    except PlanError as error:
        raise pytest.fail.Exception(f"@pytest.mark.odyssey_sim: {error}", pytrace=False) from None
    names = pyfuncitem._fixtureinfo.argnames  # noqa: SLF001 - as pytest calls it; there is no other way to know them
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    failure = play(_test_function(pyfuncitem), arguments, plan, _from_here(pyfuncitem))
    if failure is not None:
        if not isinstance(failure.error, pytest.skip.Exception):
            failure.error.add_note(f"simulated with seed {failure.seed}; to see it again: {failure.replay}")
            pyfuncitem.stash[TRACE_REPORT] = failure.trace_report
        raise failure.error
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what passed in the seed that failed, below the traceback."""
    report = yield
    trace_report = item.stash.get(TRACE_REPORT, None)
    if trace_report is not None and report.when == "call":
        report.sections.append(("odyssey_sim: the seed that failed", trace_report))
    return report


def _require_simulation() -> None:
    try:
        import odyssey_mock.testing.simulated  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        raise pytest.fail.Exception(
            f"@pytest.mark.odyssey_sim needs {error.name}, which is not installed: "
            "pip install 'odyssey-testkit[mock,sim]'",
            pytrace=False,
        ) from None


def _from_here(item: pytest.Function) -> str:
    """The test as a command line names it where pytest was started; its id begins at the project's root."""
    path, separator, name = item.nodeid.partition("::")
    file, here = item.config.rootpath / path, item.config.invocation_params.dir
    return (file.relative_to(here) if file.is_relative_to(here) else file).as_posix() + separator + name


def _refuse_unittest(item: pytest.Function) -> None:
    """Fail for a method of a `TestCase`: `unittest` calls those itself, in its own event loop or in none."""
    if item.cls is not None and issubclass(item.cls, unittest.TestCase):
        pytest.fail(
            f"@pytest.mark.odyssey_sim runs no methods of unittest.TestCase: make {item.cls.__name__} a class without "
            "it, or make the test a function",
            pytrace=False,
        )


def _test_function(item: pytest.Function) -> "Test":
    """Find the test as it was written: pytest-asyncio may have put a function of its own in its place."""
    test = getattr(item.instance if item.cls is not None else item.module, item.originalname, item.obj)
    if getattr(test, "is_hypothesis_test", False):
        pytest.fail(
            "@pytest.mark.odyssey_sim and @given cannot be together: take what is random from odyssey_sim.chance, or "
            "make a state machine of it (odyssey_mock.testing.OdysseyMachine)",
            pytrace=False,
        )
    if not inspect.iscoroutinefunction(test):
        pytest.fail("@pytest.mark.odyssey_sim runs async tests: write `async def`", pytrace=False)
    return cast("Test", test)


def _refuse_async_fixtures(item: pytest.Function) -> None:
    """Fail for those that the test asks for, itself or by others; what is made for every test may be as it likes."""
    info = item._fixtureinfo  # noqa: SLF001 - pytest tells it nowhere else
    wanted = [*info.argnames, *(name for marker in item.iter_markers("usefixtures") for name in marker.args)]
    seen: set[str] = set()
    while wanted:
        name = wanted.pop(0)
        if name in seen or name not in info.name2fixturedefs:
            continue
        seen.add(name)
        fixture_of = info.name2fixturedefs[name][-1]
        if inspect.iscoroutinefunction(fixture_of.func) or inspect.isasyncgenfunction(fixture_of.func):
            instead = _INSTEAD.get(name, "Make what it makes in the test, or in an async function that the test calls.")
            pytest.fail(
                f"the fixture {name!r} is async, and its event loop is not the simulated one, in which this test runs. "
                f"{instead}",
                pytrace=False,
            )
        wanted += fixture_of.argnames


_INSTEAD = {
    "odyssey_mock": "Take odyssey_sim, and of that odyssey_sim.mock.",
    "odyssey_client": "Take odyssey_sim, and of that odyssey_sim.client().",
}
