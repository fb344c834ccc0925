"""What users have for tests of their own: the pytest plugin, the simulated world, Hypothesis strategies.

Names are loaded when they are first used: pytest imports this package in every run, for the plugin, also where nobody
has the extra `sim`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from odyssey_mock.sim.world import CLIENT, SERVER, World

__all__ = ["CLIENT", "SERVER", "World"]

_EXTRA = "simloop"
"""What the extra `sim` brings for a simulated world."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        world = import_module("odyssey_mock.sim.world")
    except ModuleNotFoundError as error:
        if error.name != _EXTRA:
            raise
        raise ImportError(
            f"{__name__}.{name} needs {_EXTRA}, which comes with an extra: pip install 'odyssey-testkit[mock,sim]'"
        ) from error
    return getattr(world, name)


def __dir__() -> list[str]:
    return __all__
