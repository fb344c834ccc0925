"""Tools for your own tests: the pytest plugin, the simulated world, and a Hypothesis state machine.

Public names are imported on first use, because every pytest run imports this package for the plugin, even if the extra
`sim` is not installed. The Hypothesis strategies are in `odyssey_mock.testing.strategies`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from odyssey_mock.sim.world import CLIENT, SERVER, World
    from odyssey_mock.testing.state_machine import JOB_RULES, RULES, STREAM_RULES, TROUBLE_RULES, OdysseyMachine

__all__ = [
    "CLIENT",
    "JOB_RULES",
    "RULES",
    "SERVER",
    "STREAM_RULES",
    "TROUBLE_RULES",
    "OdysseyMachine",
    "World",
]

_MODULES = {
    "odyssey_mock.sim.world": ("CLIENT", "SERVER", "World"),
    "odyssey_mock.testing.state_machine": ("JOB_RULES", "RULES", "STREAM_RULES", "TROUBLE_RULES", "OdysseyMachine"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

_EXTRA = frozenset({"hypothesis", "simloop"})
"""Packages that the extra `sim` installs."""


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(_HOME[name])
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        raise ImportError(
            f"{__name__}.{name} requires {missing}; install the extra `sim`: pip install 'odyssey-testkit[mock,sim]'"
        ) from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__
