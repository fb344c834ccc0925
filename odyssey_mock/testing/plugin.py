"""The pytest plugin: a mock with new state for each test, and clients for it.

Every pytest run imports this module if the package is installed. It therefore imports the mock and the client inside
functions, when a test needs them. `simulated_plugin.py` has the part for tests in the simulated world.
"""

import inspect
import threading
import unittest
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import pytest

from odyssey_mock.testing import leftovers, marked_settings
from odyssey_mock.testing.around_test import around_test, is_given, original_test
from odyssey_mock.testing.simulated_plugin import is_simulated
from odyssey_mock.testing.stash import EXTRA_FAULTS, FIRED, REACHED_POINTS
from odyssey_mock.testing.trace_plugin import begin_recording, record_failure

if TYPE_CHECKING:
    from odyssey_client import Odyssey
    from odyssey_client.sync import Odyssey as SyncOdyssey
    from odyssey_mock.accounts.accounts import MockAccount
    from odyssey_mock.settings import ClockKind, Plan
    from odyssey_mock.sync import MockOdyssey
    from odyssey_mock.testing.per_test_mock import Ending, PerTestMock

pytest_plugins = (
    "odyssey_mock.testing.simulated_plugin",
    "odyssey_mock.testing.chaos_plugin",
    "odyssey_mock.testing.trace_plugin",
    "odyssey_mock.testing.live_plugin",
)

MARKER = (
    "odyssey(**settings): settings of the odyssey_mock fixture for this test, the keyword arguments of MockOdyssey; "
    'for example @pytest.mark.odyssey(clock="manual")'
)
PASSED = pytest.StashKey[bool]()
"""Stash key: whether the test itself passed; missing while it runs, and if it was interrupted."""
KEPT_THREADS = pytest.StashKey[leftovers.KeptThreads]()
"""Stash key of the threads of fixtures with a wider scope than one test."""
_FIXTURES = frozenset(
    {"odyssey_mock", "odyssey_url", "odyssey_api_key", "odyssey_account", "odyssey_client", "odyssey_sync_client"}
)
"""Names of the fixtures that tests request."""
_SETTING_FIXTURES = ("odyssey_settings", "odyssey_plan", "odyssey_clock", "odyssey_faults")
"""Names of the fixtures that a project overrides to change the settings of mocks."""
_LOOP_FIXTURES = frozenset(f"_{scope}_scoped_runner" for scope in ("function", "class", "module", "package", "session"))
"""Names of the fixtures by which pytest-asyncio creates event loops."""
MOCK = pytest.StashKey["PerTestMock"]()
"""Stash key of the mock of all tests, while its server runs."""
CLIENTS = pytest.StashKey["list[Odyssey]"]()
"""Stash key of the clients that are disconnected in the event loop of the test, when it ends."""
_INI_KEYWORDS = pytest.StashKey[dict[str, Any]]()  # Any: settings have different types
"""Stash key of the settings of all mocks in the ini file, as keyword arguments."""
_OVERRIDDEN = pytest.StashKey[bool]()
"""Stash key of the parent of tests: whether a project overrides a fixture of `_SETTING_FIXTURES` for them."""
RUNNING = pytest.StashKey["pytest.Item | None"]()
"""Stash key of the test whose setup or call is running, or was interrupted."""


def pytest_addoption(parser: pytest.Parser) -> None:
    marked_settings.add_ini_options(parser)
    leftovers.add_ini_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    marked_settings.check_ini(config)
    leftovers.mode_of(config)
    config.stash[KEPT_THREADS] = leftovers.KeptThreads()
    config.pluginmanager.register(_with_configuration(config), "odyssey_configuration")


def _with_configuration(config: pytest.Config) -> ModuleType:
    """Return a plugin with the fixture `_odyssey_configuration`, which is `config`.

    `pytestconfig` is the same, but requests the fixture `request`. In each test, pytest then inspects its function,
    which takes a tenth of the setup of a mock.
    """

    @pytest.fixture(scope="session")
    def _odyssey_configuration() -> pytest.Config:
        return config

    plugin = ModuleType("odyssey_configuration")
    vars(plugin)[_odyssey_configuration.__name__] = _odyssey_configuration
    return plugin


# Settings, which a project can override


@pytest.fixture(scope="session")
def odyssey_settings() -> Mapping[str, Any]:  # Any: settings have different types
    """Return settings for the mocks of all tests. Override this fixture to change them: `{"stream_duration": 60}`."""
    return {}


@pytest.fixture(scope="session")
def odyssey_plan(pytestconfig: pytest.Config) -> "Plan | None":
    """Return the plan of every mock: `free` or `unlimited`.

    To change it, override this fixture or set the ini option `odyssey_plan`.
    """
    return pytestconfig.getini(marked_settings.INI_PLAN) or None


@pytest.fixture(scope="session")
def odyssey_clock(pytestconfig: pytest.Config) -> "ClockKind | None":
    """Return the clock of every mock: `real` or `manual`.

    To change it, override this fixture or set the ini option `odyssey_clock`.
    """
    return pytestconfig.getini(marked_settings.INI_CLOCK) or None


@pytest.fixture(scope="session")
def odyssey_faults(pytestconfig: pytest.Config) -> Sequence[Mapping[str, Any]]:  # Any: as in the setting `faults`
    """Return the faults of every mock. To change them, override this fixture or set the ini option `odyssey_faults`."""
    return marked_settings.ini_faults(pytestconfig)


# The mock


@pytest.fixture(scope="session")
def _odyssey_server(_odyssey_configuration: pytest.Config) -> "Iterator[PerTestMock]":
    """Run the server of all tests. Projects may override the fixture `odyssey_mock`, but not this one."""
    from odyssey_mock.testing.per_test_mock import PerTestMock  # noqa: PLC0415

    config = _odyssey_configuration
    mock = config.stash[MOCK] = PerTestMock(on_idle=lambda: _begin_late(config))
    yield mock
    del config.stash[MOCK]
    mock.close()
    if config.stash.get(RUNNING, None) is None:
        leftovers.report_late(config, mock.late_requests())


@pytest.fixture(scope="session")
def odyssey_mock(_odyssey_server: "PerTestMock") -> "MockOdyssey":
    """Provide a mock with new state for each test; `ODYSSEY_API_URL` and `ODYSSEY_API_KEY` point to it.

    The mock runs in a background thread. It works in sync and async tests, in any event loop, in threads and for other
    processes. Calls that wait, for example `odyssey_mock.advance(60)`, block. In async code, write
    `await odyssey_mock.aio.advance(60)`. Change its settings with `@pytest.mark.odyssey(clock="manual")`.

    The object and its address are the same for all tests of a process. With `@given`, every example gets new state.
    """
    return _odyssey_server


@pytest.fixture(scope="session")
def odyssey_url(_odyssey_server: "PerTestMock") -> str:
    """Return the base URL of the mock, the same for all tests of a process.

    With it, a session-scoped fixture can start the code under test once.
    """
    return _odyssey_server.shared_url


@pytest.fixture
def odyssey_api_key(odyssey_mock: "MockOdyssey") -> str:
    """Return the API key of this test's account."""
    return odyssey_mock.api_key


@pytest.fixture(scope="session")
def odyssey_account(_odyssey_server: "MockOdyssey") -> "Callable[..., MockAccount]":
    """Return a function that adds an account to the test's mock: `odyssey_account(plan="free").api_key`.

    Its keywords are the fields of `odyssey_mock.AccountSettings`, such as `concurrent_sessions=1`.
    """
    return _odyssey_server.add_account


# Clients


@pytest.fixture
def odyssey_client(odyssey_mock: "MockOdyssey", request: pytest.FixtureRequest) -> "Odyssey":
    """Return an async `Odyssey` client of this test's mock, not connected yet. It is disconnected after the test."""
    item = request.node
    _refuse_given(item, "odyssey_client")
    _require_async_test(item)
    if _odyssey_test.__name__ not in item.fixturenames:
        pytest.fail(
            f"{item.name} must request odyssey_client before it begins, because the client is disconnected in the "
            "event loop of the test: add odyssey_client to the arguments of the test, or mark the test with "
            '@pytest.mark.usefixtures("odyssey_mock")',
            pytrace=False,
        )
    from odyssey_client import Odyssey  # noqa: PLC0415

    client = Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url)
    item.stash[CLIENTS].append(client)
    return client


@pytest.fixture
def odyssey_sync_client(odyssey_mock: "MockOdyssey", request: pytest.FixtureRequest) -> "Iterator[SyncOdyssey]":
    """Provide a sync `Odyssey` client of this test's mock, not connected yet. It is disconnected after the test."""
    _refuse_given(request.node, "odyssey_sync_client")
    from odyssey_client.sync import Odyssey  # noqa: PLC0415

    client = Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url)
    yield client
    client.disconnect()


# The mock of one test


@pytest.fixture
def _odyssey_test(_odyssey_configuration: pytest.Config, _odyssey_server: "PerTestMock") -> Iterator[None]:
    """Start a new mock before the other fixtures of the test are set up, and end it after they are torn down.

    The test comes from the stash, because pytest inspects a function for each fixture that requests `request`.
    """
    stash, mock = _odyssey_configuration.stash, _odyssey_server
    item = cast("pytest.Function", stash[RUNNING])
    request = item._request  # noqa: SLF001 - pytest has no public name for it
    begin_event_loop(request)
    common = _common_keywords(request)
    keywords = common | marked_settings.marked_settings(item)
    if "odyssey_url" in item.fixturenames and mock.needs_own_server(keywords):
        pytest.fail(
            "the fixture odyssey_url is the address of the shared server, but @pytest.mark.odyssey sets host or port: "
            "use odyssey_mock.url",
            pytrace=False,
        )
    clients: list[Odyssey] = []
    item.stash[CLIENTS] = clients
    found: list[str] = []
    endings: list[Ending] = []
    threads = leftovers.ThreadWatch(stash[KEPT_THREADS])
    try:
        _begin(mock, item, keywords)
    except marked_settings.setting_errors() as error:
        raise pytest.fail.Exception(f"{marked_settings.source(error, common)}: {error}", pytrace=False) from None
    with pytest.MonkeyPatch.context() as environment:
        _point_clients_to(mock, environment)

        def restart() -> None:
            endings.append(mock.end())
            begin_recording(item)
            _begin(mock, item, keywords)
            _point_clients_to(mock, environment)

        failed = partial(record_failure, item)
        with around_test(item, restart=restart, failed=failed, found=found, clients=clients):
            yield
    endings.append(mock.end())
    item.stash[REACHED_POINTS] = {point: count for each in endings for point, count in each.reached.items()}
    item.stash[FIRED] = sum(each.fired for each in endings)
    clients.clear()
    late = mock.late_requests()
    # A test that fails, or that runs under a fault of a chaos run, may be unable to clean up.
    if EXTRA_FAULTS in item.stash or PASSED not in item.stash:
        return
    if item.stash[PASSED]:
        found += [*(left for each in endings for left in each.left), *threads.left()]
    else:
        found.clear()
    leftovers.report(item, list(dict.fromkeys(found)), late)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Make `_odyssey_test` the first fixture of each test that uses `odyssey_mock`."""
    for item in items:
        if uses_mock(item):
            names = cast("pytest.Function", item).fixturenames  # a DoctestItem has it too
            if _odyssey_test.__name__ not in names:
                names.insert(0, _odyssey_test.__name__)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Drop the mock of the previous test before a test begins, even if that test uses no mock."""
    _refuse_arguments_of_unittest(item)
    item.config.stash[RUNNING] = item
    keys: tuple[pytest.StashKey[Any], ...] = (CLIENTS, PASSED)  # Any: of different types
    for key in keys:
        if key in item.stash:  # a plugin runs the test again
            del item.stash[key]
    if MOCK in item.config.stash:
        item.config.stash[MOCK].forget()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether the test passed."""
    if call.when == "call" or (call.when == "setup" and call.excinfo is not None):
        item.stash[PASSED] = call.excinfo is None
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any],
    request: pytest.FixtureRequest,  # Any: as in pytest
) -> Generator[None, object, object]:
    """Record the threads of fixtures that are kept for several tests, and forbid `odyssey_mock` in such fixtures."""
    if fixturedef.scope == "function":
        return (yield)
    why = (
        f"the fixture {fixturedef.argname} is kept for several tests (scope={fixturedef.scope!r}), but odyssey_mock "
        "has new state for each test: remove the scope of the fixture, or use only the address, odyssey_url"
    )
    mock = request.config.stash.get(MOCK, None)
    with request.config.stash[KEPT_THREADS].started(), nullcontext() if mock is None else mock.refused(why):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    item.config.stash[RUNNING] = None


def uses_mock(item: pytest.Item) -> bool:
    """Return whether a test uses the fixture `odyssey_mock` of this module, directly or through other fixtures.

    A project may override the fixture. The override counts only if it uses the fixture of this module.
    """
    if not isinstance(item, pytest.Function | pytest.DoctestItem) or is_simulated(item):
        return False
    return _odyssey_server.__name__ in item.fixturenames


def _begin_late(config: pytest.Config) -> None:
    """Start the mock for a running test that requested `odyssey_mock` by `getfixturevalue`, as a doctest does."""
    item = config.stash.get(RUNNING, None)
    if item is None or CLIENTS in item.stash or threading.current_thread() is not threading.main_thread():
        return
    if is_given(item):
        pytest.fail(
            f"with @given, the mock must be new for every example: add odyssey_mock to the arguments of {item.name}",
            pytrace=False,
        )
    cast("pytest.Function", item)._request.getfixturevalue(_odyssey_test.__name__)  # noqa: SLF001 - as above


def begin_event_loop(request: pytest.FixtureRequest) -> None:
    """Make pytest-asyncio create the event loop of the test before its mock begins.

    The mock then ends while the loop is still open, and can report clients that the test left connected. Closing the
    loop would cancel their tasks and disconnect them.
    """
    for name in request.fixturenames:
        if name in _LOOP_FIXTURES:
            request.getfixturevalue(name)


def _common_keywords(request: pytest.FixtureRequest) -> dict[str, Any]:  # Any: settings have different types
    """Return the settings for the mocks of all tests. Fixtures take precedence over the ini file.

    Most projects override no fixture. The settings are then those of the ini file, and the look-up of four fixtures,
    which costs 50 microseconds in each test, is left out.
    """
    if not _overrides_settings(request):
        stash = request.config.stash
        if _INI_KEYWORDS not in stash:
            stash[_INI_KEYWORDS] = marked_settings.ini_keywords(request.config)
        return stash[_INI_KEYWORDS].copy()
    value = request.getfixturevalue
    settings = marked_settings.checked(value("odyssey_settings"))
    common = {"plan": value("odyssey_plan"), "clock": value("odyssey_clock"), "faults": value("odyssey_faults") or None}
    return marked_settings.ini_settings(request.config) | settings | marked_settings.given(common)


def _overrides_settings(request: pytest.FixtureRequest) -> bool:
    """Return whether a test gets one of `_SETTING_FIXTURES` from a fixture or a parameter of its project."""
    item = cast("pytest.Function", request.node)
    if not set(_SETTING_FIXTURES).isdisjoint(item.fixturenames):
        return True  # the test may be parametrized with its value
    parent = item.parent
    assert parent is not None, "a test has a parent"
    if _OVERRIDDEN not in parent.stash:
        manager = request.session._fixturemanager  # noqa: SLF001 - pytest has no public name for it
        definitions = [manager.getfixturedefs(name, parent) for name in _SETTING_FIXTURES]
        parent.stash[_OVERRIDDEN] = any(each is None or len(each) != 1 for each in definitions)
    return parent.stash[_OVERRIDDEN]


def _point_clients_to(mock: "PerTestMock", environment: pytest.MonkeyPatch) -> None:
    """Set the variables with which `odyssey_client` connects to the mock."""
    environment.setenv("ODYSSEY_API_URL", mock.url)
    environment.setenv("ODYSSEY_API_KEY", mock.api_key)
    if mock.root_certificate is not None:
        environment.setenv("ODYSSEY_CA_FILE", str(mock.root_certificate))


def _begin(mock: "PerTestMock", item: pytest.Item, keywords: Mapping[str, Any]) -> None:  # Any: as above
    # Faults of the ini file, of a class or of a module may have no effect on some of their tests.
    must_fire = any(marker.name == "odyssey" and "faults" in marker.kwargs for marker in item.own_markers)
    mock.begin(item.nodeid, keywords, item.stash.get(EXTRA_FAULTS, ()), must_fire=must_fire)


def _require_async_test(item: pytest.Function) -> None:
    """Fail a test that uses `odyssey_client` if the test is not async, or does not run on asyncio."""
    arguments = item._fixtureinfo.argnames  # noqa: SLF001 - pytest has no public name for it
    if "odyssey_client" in arguments and not inspect.iscoroutinefunction(original_test(item)):
        pytest.fail(
            f"odyssey_client is an async client, and {item.name} is not an async test: use odyssey_sync_client, or "
            "define the test with `async def`",
            pytrace=False,
        )
    backend = item.callspec.params.get("anyio_backend") if hasattr(item, "callspec") else None
    backend = item.funcargs.get("anyio_backend", backend)
    name = backend[0] if isinstance(backend, tuple) else backend
    if name == "trio" or item.get_closest_marker("trio") is not None:
        pytest.fail(
            "odyssey_client requires asyncio, and this test runs on trio: use odyssey_sync_client in a thread, as in "
            "`await trio.to_thread.run_sync(odyssey_sync_client.connect)`",
            pytrace=False,
        )


def _refuse_given(item: pytest.Item, fixture: str) -> None:
    """Fail a test with `@given` that requests the client fixture `fixture`: all examples would share one client."""
    if is_given(item):
        module = "odyssey_client.sync" if fixture == "odyssey_sync_client" else "odyssey_client"
        pytest.fail(
            f"{fixture} cannot be used with @given, because all examples would share one client: create an "
            f"{module}.Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url) in the test",
            pytrace=False,
        )


def _refuse_arguments_of_unittest(item: pytest.Item) -> None:
    """Fail if a method of a `TestCase` has a fixture of this module as argument: `unittest` passes no arguments."""
    if isinstance(item, pytest.Function) and item.cls is not None and issubclass(item.cls, unittest.TestCase):
        arguments = inspect.signature(getattr(item.cls, item.originalname)).parameters
        names = [name for name in arguments if name in _FIXTURES]
        if names:
            pytest.fail(
                f"methods of a unittest.TestCase cannot have fixtures as arguments, got {', '.join(names)}: write an "
                "autouse fixture in the class that stores them (self.mock = odyssey_mock), or mark the class with "
                f'@pytest.mark.usefixtures("{names[0]}")',
                pytrace=False,
            )
