"""Tests of exported traces by programs from outside the project: speedscope, the schema of HAR, and Chromium.

Perfetto's own parser is not on PyPI or npm: the package `perfetto` downloads it when it runs. speedscope has an
independent parser of the same format. tests/mock/trace/test_perfetto.py checks the rules of Perfetto.
"""

import base64
import json
from pathlib import Path
from typing import Any, cast

import pytest
from jsonschema import Draft6Validator
from playwright.async_api import Browser
from referencing import Registry
from referencing.jsonschema import DRAFT6

from odyssey_client.models import JSON
from odyssey_mock.trace.har import http_archive
from odyssey_mock.trace.perfetto import trace_events
from odyssey_mock.trace.webrtc_internals import webrtc_internals_dump
from tests.contract.browser import chromium
from tests.contract.browser.waiting import wait_until
from tests.support.requirements import require
from tests.support.traces import failed_trace

SPEEDSCOPE = chromium.HERE / "node_modules" / "speedscope" / "dist" / "release" / "index.html"
SCHEMAS = chromium.HERE / "node_modules" / "har-schema" / "lib"

CONNECT_TWO = """
async () => {
    const [a, b] = [new RTCPeerConnection(), new RTCPeerConnection()];
    window.kept = [a, b];  // Chromium removes the connections that are garbage
    for (const [one, other] of [[a, b], [b, a]])
        one.onicecandidate = ({candidate}) => candidate && other.addIceCandidate(candidate);
    a.createDataChannel("x");
    a.addTransceiver("video", {direction: "recvonly"});
    await a.setLocalDescription(await a.createOffer());
    await b.setRemoteDescription(a.localDescription);
    await b.setLocalDescription(await b.createAnswer());
    await a.setRemoteDescription(b.localDescription);
}
"""
HAS_STATISTICS = """
() => {
    const both = Object.values(JSON.parse(JSON.stringify(peerConnectionDataStore)));
    return both.length === 2 && both.every(each => Object.keys(each.stats ?? {}).length > 0 &&
        each.updateLog?.some(({type, value}) => type === "onconnectionstatechange" && value === '"connected"'));
}
"""
DUMP = "JSON.stringify({getUserMedia: userMediaRequests, PeerConnections: peerConnectionDataStore, UserAgent: 'x'})"


@pytest.mark.asyncio(loop_scope="session")
async def test_speedscope_opens_the_trace_events(browser: Browser, tmp_path: Path) -> None:
    require(chromium.missing_package(["speedscope"]))
    content = base64.b64encode(json.dumps(trace_events(failed_trace())).encode()).decode()
    script = tmp_path / "trace.js"
    script.write_text(f'speedscope.loadFileFromBase64("trace.json", "{content}")')
    console: list[str] = []
    page = await browser.new_page()
    try:
        page.on("pageerror", lambda error: console.append(str(error)))
        page.on("console", lambda message: console.append(message.text))
        await page.goto(f"{SPEEDSCOPE.as_uri()}#localProfilePath={script}")
        await page.get_by_text("(1/13)").wait_for()
        assert await page.title() == "trace.json - speedscope"
    finally:
        await page.close()
    about_the_file = [text for text in console if "Frame" in text or "rror" in text]
    (pending,) = about_the_file
    assert pending.startswith('Frame "interact {'), pending
    assert pending.endswith("was still open at end of profile. Closing automatically."), pending


def test_http_archive_matches_the_har_schema() -> None:
    require(chromium.missing_package(["har-schema"]))
    schemas = {path.stem: json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")}
    resources = [(f"{name}.json", DRAFT6.create_resource(schema)) for name, schema in schemas.items()]
    registry: Registry[Any] = Registry().with_resources(resources)
    validator = Draft6Validator(schemas["har"], registry=registry, format_checker=Draft6Validator.FORMAT_CHECKER)
    archive = http_archive(failed_trace())
    assert [error.message for error in validator.iter_errors(archive)] == []
    entries = cast("Any", archive)["log"]["entries"]
    del entries[0]["request"]["method"]
    assert [error.message for error in validator.iter_errors(archive)] == ["'method' is a required property"], (
        "expected the validator to find a missing field"
    )


@pytest.mark.asyncio(loop_scope="session")
async def test_webrtc_internals_dump_has_the_fields_of_chromium(browser: Browser) -> None:
    context = await browser.new_context()  # the page shows only connections of its own context
    internals, connected = await context.new_page(), await context.new_page()
    try:
        await internals.goto("chrome://webrtc-internals")
        await connected.goto("about:blank")
        await connected.evaluate(CONNECT_TWO)
        await wait_until(internals, HAS_STATISTICS)
        theirs = json.loads(await internals.evaluate(DUMP))
    finally:
        await context.close()
    ours: Any = webrtc_internals_dump(failed_trace())

    assert shape(theirs) == shape(ours)
    connections = [list(dump["PeerConnections"].values()) for dump in (theirs, ours)]
    for kind in ("updateLog", "stats"):
        expected, got = (combined(each[kind] for each in side) for side in connections)
        assert got.items() <= expected.items(), f"expected only what Chromium has in {kind}, got {got} not {expected}"


def shape(dump: dict[str, JSON]) -> dict[str, str]:
    """Return the types of the fields of a dump and of its first connection."""
    connections = dump["PeerConnections"]
    assert isinstance(connections, dict)
    first = next(iter(connections.values()))
    assert isinstance(first, dict)
    return {name: type(value).__name__ for each in (dump, first) for name, value in each.items()}


def combined(parts: Any) -> dict[str, Any]:
    """Return the shapes of the entries of `updateLog` by type, or of the series that every report has."""
    found: dict[str, Any] = {}
    for part in parts:
        if isinstance(part, list):
            found |= {each["type"]: value_shape(each["value"]) for each in part}
        else:
            found |= {
                name.rpartition("-")[2]: (sorted(each), type(json.loads(each["values"])[0]).__name__)
                for name, each in part.items()
                if name.endswith(("-timestamp", "-type"))
            }
    return found


def value_shape(value: str) -> Any:
    parsed = json.loads(value) if value else ""
    return sorted(parsed) if isinstance(parsed, dict) else type(parsed).__name__
