"""Tests of the JSON Schemas of trace files: everything that is written matches them, and is drawn and exported."""

import json
import zipfile
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odyssey_client.trace import Manifest, Recording, SourceFile, Trace, TraceEvent, write_trace
from odyssey_client.trace.events import LANES
from odyssey_mock.trace.diff import Compared, diff_text, difference
from odyssey_mock.trace.har import http_archive
from odyssey_mock.trace.perfetto import trace_events
from odyssey_mock.trace.text import Selection, trace_text
from odyssey_mock.trace.webrtc_internals import webrtc_internals_dump
from odyssey_mock.verification.contract_documents import Contract
from tests.support.trace_strategies import MANIFESTS, events
from tests.support.traces import failed_trace

CONTRACT = Contract.load()


def written(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest, recorded: Iterable[TraceEvent]) -> Any:
    """Write a trace file; return the JSON of its manifest and of its events."""
    path = tmp_path_factory.mktemp("trace") / "x.odytrace"
    recording = Recording(manifest.began_at, manifest.duration, tuple(recorded), manifest.dropped)
    write_trace(path, recording, manifest, [SourceFile("a.py", "a")])
    with zipfile.ZipFile(path) as archive:
        lines = archive.read("events.jsonl").splitlines()
        return json.loads(archive.read("manifest.json")), [json.loads(line) for line in lines]


def faults(document: str, value: Any) -> list[str]:
    return [str(fault) for fault in CONTRACT.violations(document, "", value)]


@settings(max_examples=40)
@given(manifest=MANIFESTS, recorded=st.lists(events(), max_size=5))
def test_every_written_file_matches_the_schemas(
    manifest: Manifest, recorded: list[TraceEvent], tmp_path_factory: pytest.TempPathFactory
) -> None:
    content, lines = written(tmp_path_factory, manifest, recorded)
    assert faults("trace-manifest", content) == []
    assert [fault for line in lines for fault in faults("trace-event", line)] == []


@pytest.mark.parametrize("document", ["trace-manifest", "trace-event"])
def test_examples_of_the_schemas_match(document: str) -> None:
    schema = CONTRACT.documents[document]
    assert schema["examples"]
    assert [fault for example in schema["examples"] for fault in faults(document, example)] == []


def test_schemas_find_invalid_fields(tmp_path_factory: pytest.TempPathFactory) -> None:
    trace = failed_trace()
    content, lines = written(tmp_path_factory, trace.manifest, trace.events)
    span = next(line for line in lines if line["lane"] == "call")
    of_event: list[dict[str, Any]] = [
        {"lane": "smoke"},
        {"lane": "state"},
        {"t": "1"},
        {"from": "test"},
        {"more": 1},
        {"source": {}},
    ]
    for change in of_event:
        assert faults("trace-event", {**span, **change}), f"expected a violation of the schema by {change}, got none"
    of_manifest: list[dict[str, Any]] = [
        {"version": 2},
        {"format": "zip"},
        {"failure": {}},
        {"dropped": {"x": 1}},
        {"more": 1},
    ]
    for change in of_manifest:
        assert faults("trace-manifest", {**content, **change}), f"expected a violation by {change}, got none"
    del span["data"], content["seed"]
    assert faults("trace-event", span)
    assert faults("trace-manifest", content)


def test_schemas_have_the_lanes_of_the_format() -> None:
    assert tuple(CONTRACT.documents["trace-event"]["properties"]["lane"]["enum"]) == LANES
    assert tuple(CONTRACT.documents["trace-manifest"]["properties"]["dropped"]["propertyNames"]["enum"]) == LANES


@settings(max_examples=40)
@given(manifest=MANIFESTS, recorded=st.lists(events(), max_size=8), last=st.none() | st.floats(0.1, 2000))
def test_every_trace_is_drawn_exported_and_compared(
    manifest: Manifest, recorded: list[TraceEvent], last: float | None
) -> None:
    trace = Trace(manifest, sorted(recorded, key=lambda event: event.at), [SourceFile("a.py", "a")])
    text = "\n".join(trace_text(trace, Selection(last=last), width=100))
    assert [letter for letter in text if not letter.isprintable() and letter != "\n"] == []
    for export in (trace_events, http_archive, webrtc_internals_dump):
        json.dumps(export(trace), allow_nan=False)
    compared = Compared(trace)
    assert difference(compared, compared) is None
    assert list(diff_text(compared, compared, None))[-1] == "equal"
