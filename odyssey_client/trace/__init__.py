"""Traces: what a client did, second by second, in one file that `odyssey-mock trace show` displays.

docs/reference/trace.md describes the file.
"""

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
    "read_trace",
    "write_trace",
]
