"""Traces: what a client did, second by second, in one file that `odyssey-mock trace show` displays.

docs/reference/trace.md describes the file. The names of this package are imported on first use.
"""

from typing import TYPE_CHECKING

from odyssey_client.trace.defaults import default_recorder, record_by_default

if TYPE_CHECKING:  # `import odyssey_client` imports this package, and would become slower
    from odyssey_client.trace.archive import Trace, TraceFileError, read_trace, write_trace
    from odyssey_client.trace.events import Failure, Lane, Manifest, Side, Source, SourceFile, TraceEvent
    from odyssey_client.trace.recorder import Recorder, Recording, Span

__all__ = [
    "Failure",
    "Lane",
    "Manifest",
    "Recorder",
    "Recording",
    "Side",
    "Source",
    "SourceFile",
    "Span",
    "Trace",
    "TraceEvent",
    "TraceFileError",
    "default_recorder",
    "read_trace",
    "record_by_default",
    "write_trace",
]

_MODULES = {
    **dict.fromkeys(("Trace", "TraceFileError", "read_trace", "write_trace"), "archive"),
    **dict.fromkeys(("Failure", "Lane", "Manifest", "Side", "Source", "SourceFile", "TraceEvent"), "events"),
    **dict.fromkeys(("Recorder", "Recording", "Span"), "recorder"),
}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    if name in _MODULES:
        from importlib import import_module  # noqa: PLC0415 - only needed here

        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
