"""The part of the pytest plugin for runs against the real service: the options and the marker.

Every pytest run imports this module. `live/`, which runs the tests, is imported with the option `--odyssey-live`.
"""

import pytest

MARKER = "odyssey_live: run this test only against the real service, with the option --odyssey-live"
OPTION = "--odyssey-live"
SECONDS = "30"
"""Default of the budget in seconds. It is enough for a few short tests, and costs little if a test runs wild."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("odyssey live", "tests against the real service (--odyssey-live)")
    group.addoption(
        OPTION,
        action="store_true",
        help="run the tests against the real service instead of a mock, with the key in ODYSSEY_API_KEY",
    )
    group.addoption(
        "--odyssey-live-seconds",
        metavar="N",
        help=f"budget of the run in seconds of live streams and simulations (default: {SECONDS})",
    )
    parser.addini("odyssey_live_seconds", "default of --odyssey-live-seconds", "string", SECONDS)


@pytest.hookimpl(tryfirst=True)  # before plugins and conftest files, which may create clients
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    if not config.getoption(OPTION):
        return
    from odyssey_mock.testing.live.run import LiveRun  # noqa: PLC0415 - imports the client

    config.pluginmanager.register(LiveRun(config), "odyssey_live_run")
    config.pluginmanager.import_plugin("odyssey_mock.testing.live.fixtures")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the tests that are marked `odyssey_live` in a run without the option."""
    if config.getoption(OPTION):
        return
    for item in items:
        if item.get_closest_marker("odyssey_live") is not None:
            item.add_marker(pytest.mark.skip(reason=f"the test needs the real service: pytest {OPTION}"))
