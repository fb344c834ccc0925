"""Trace files: what is written is read again, without secrets; hostile files are refused with the reason."""

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.models import JSON
from odyssey_client.redaction import remember
from odyssey_client.trace import (
    Failure,
    Manifest,
    Recording,
    Source,
    SourceFile,
    TraceEvent,
    TraceFileError,
    read_trace,
    write_trace,
)
from odyssey_client.trace.archive import ENTRY_LIMIT
from tests.support.trace_strategies import MANIFESTS, events

MANIFEST = Manifest(title="test_x", began_at=1000.0, duration=2.0)


@given(manifest=MANIFESTS, recorded=st.lists(events(), max_size=5))
def test_file_contains_what_was_written(
    manifest: Manifest, recorded: list[TraceEvent], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("trace") / "one.odytrace"
    ordered = tuple(sorted(recorded, key=lambda event: event.at))
    recording = Recording(manifest.began_at, manifest.duration, ordered, manifest.dropped)
    write_trace(path, recording, manifest, redact=lambda value: value)

    with read_trace(path) as trace:
        assert trace.manifest == manifest
        assert trace.events == ordered


def test_images_and_sources_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "one.odytrace"
    frames = tuple(
        TraceEvent(float(number), "frame", "client", "frame", {"frame": number}, image=b"JPEG %d" % number)
        for number in range(3)
    )
    source = SourceFile("tests/test_x.py", "def test_x():\n    assert False\n", 10)
    write_trace(path, Recording(0, 3, frames), MANIFEST, [source])

    with read_trace(path) as trace:
        assert [trace.image(event) for event in trace.events] == [b"JPEG 0", b"JPEG 1", b"JPEG 2"]
        assert [event.data["frame"] for event in trace.events] == [0, 1, 2]
        assert trace.sources == (source,)


def test_file_replaces_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "one.odytrace"
    for title in ("first", "second"):
        write_trace(path, Recording(0, 1, ()), Manifest(title=title, began_at=0, duration=1))

    with read_trace(path) as trace:
        assert trace.manifest.title == "second"
    assert [each.name for each in tmp_path.iterdir()] == ["one.odytrace"]


def test_failed_write_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "one.odytrace"
    recorded = TraceEvent(0, "note", "client", "one")

    def broken(value: JSON) -> JSON:
        raise ValueError("the redaction is broken")

    with pytest.raises(ValueError, match="the redaction is broken"):
        write_trace(path, Recording(0, 1, (recorded,)), MANIFEST, redact=broken)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (float("inf"), "inf"),
        ([{"at": float("nan"), "of": 1}], [{"at": "nan", "of": 1}]),
        (10**5000, "an integer of 16,610 bits"),
        (-(10**5000), "an integer of 16,610 bits"),
        (Path(), {"type": type(Path()).__name__}),
        ("\ud800", "\ud800"),
    ],
    ids=["infinity", "nan", "large integer", "small integer", "object", "surrogate"],
)
def test_value_other_than_json_becomes_text(value: Any, shown: JSON, tmp_path: Path) -> None:
    """Python reads NaN in a message of a server; one message must not cost the whole trace."""
    path = tmp_path / "one.odytrace"
    write_trace(path, Recording(0, 1, (TraceEvent(0, "note", "client", "one", {"value": value}),)), MANIFEST)

    with read_trace(path) as trace:
        assert trace.events[0].data == {"value": shown}


def test_source_with_a_lone_surrogate_is_written(tmp_path: Path) -> None:
    path = tmp_path / "one.odytrace"
    write_trace(path, Recording(0, 1, ()), MANIFEST, [SourceFile("a.py", "x = '\ud800'")])

    with read_trace(path) as trace:
        assert trace.sources[0].text == r"x = '\ud800'"


def test_long_texts_do_not_displace_other_fields(tmp_path: Path) -> None:
    """The redaction leaves out what follows 100,000 characters; the end of a traceback says most."""
    lines = "".join(f"line {number}\n" for number in range(30_000))
    failure = Failure("AssertionError", "m" * 300_000, lines)
    manifest = Manifest(
        title="t" * 300_000, began_at=0, duration=1, command="c" * 300_000, failure=failure, dropped={"log": 3}
    )
    path = tmp_path / "one.odytrace"
    write_trace(path, Recording(0, 1, (), {"log": 3}), manifest, [SourceFile("a.py", "x = 1")])

    with read_trace(path) as trace:
        written = trace.manifest
        assert written.failure is not None
        assert written.failure.message == "m" * 19_999 + "…"
        assert written.failure.traceback.startswith("…\nline ")
        assert written.failure.traceback.endswith("\nline 29999\n")
        assert (written.title, written.command) == ("t" * 1_999 + "…", "c" * 19_999 + "…")
        assert written.dropped == {"log": 3}
        assert [each.file for each in trace.sources] == ["a.py"]


def test_no_secret_is_written(tmp_path: Path) -> None:
    key, token, password = "ody_mZ4vQ8xT1nRb6LwYc3Hs", "T0ken-of-session-zQ9xK2", "Hy7fP2kQwErTzUiOpAsDfG"
    remember(key, token)
    sdp = f"v=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:{password}\r\n"
    recorded = TraceEvent(
        0,
        "sdp",
        "client",
        f"offer {token}",
        {"sdp": sdp, "headers": [["Authorization", f"Bearer {key}"]], "url": f"https://a.example/x?sig={token}"},
        error=f"rejected {key}",
        source=Source(f"{token}.py", 1),
    )
    failure = Failure("AssertionError", f"got {key}", f"E   got {token}")
    manifest = Manifest(title=key, began_at=0, duration=1, command=f"pytest --key {token}", failure=failure)
    path = tmp_path / "one.odytrace"
    write_trace(path, Recording(0, 1, (recorded,)), manifest, [SourceFile("a.py", f"KEY = '{key}'\n")])

    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            for secret in (key, token, password):
                assert secret.encode() not in archive.read(name), f"{name} contains a secret"
    with read_trace(path) as trace:
        assert "a=ice-ufrag:abcd" in str(trace.events[0].data["sdp"])


# Hostile files.


def zipped(entries: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return content.getvalue()


def trace_file(events: bytes = b"", more: dict[str, bytes] | None = None, **changes: Any) -> bytes:
    manifest = MANIFEST.to_json(sources=[], events=0, frames=0) | changes
    return zipped({"manifest.json": json.dumps(manifest).encode(), "events.jsonl": events, **(more or {})})


def encrypted() -> bytes:
    """Return a trace file whose entries have the flag of encrypted ones."""
    content = bytearray(trace_file())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + offset] |= 1
            at = content.find(mark, at + 4)
    return bytes(content)


def with_count(entries: int, size: int) -> bytes:
    """Return a trace file whose end claims this number of entries, and this size of the table of contents."""
    content = bytearray(trace_file())
    at = content.rfind(b"PK\5\6")
    content[at + 10 : at + 16] = struct.pack("<HI", entries, size)
    return bytes(content)


def with_size(size: int) -> bytes:
    """Return a trace file whose table of contents claims this size of the first entry."""
    content = bytearray(trace_file())
    at = content.find(b"PK\1\2")
    content[at + 24 : at + 28] = struct.pack("<I", size)
    return bytes(content)


def with_method(method: int) -> bytes:
    """Return a trace file whose entries claim this compression method."""
    content = bytearray(trace_file())
    for mark, offset in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        at = content.find(mark)
        while at >= 0:
            content[at + offset] = method
            at = content.find(mark, at + 4)
    return bytes(content)


def with_zip64(comment: bytes = b"") -> bytes:
    """Return a zip whose end claims two entries, and whose end of ZIP64 has more."""
    entry = b"PK\1\2" + bytes(24) + struct.pack("<H", 17) + bytes(16) + b"frames/000000.jpg"
    count = ENTRY_LIMIT + 1
    table = entry * count
    end64 = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, len(table), 0)
    locator = b"PK\6\7" + struct.pack("<IQI", 0, len(table), 1)
    end = b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 2, 2, 100, 0, len(comment))
    return table + end64 + locator + end + comment


EVENT = b'{"i":0,"t":0,"lane":"note","side":"client","name":"x","data":{}}\n'

HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "expected a trace file"),
    "text": (lambda: b"not a trace", "expected a trace file"),
    "truncated": (lambda: trace_file(EVENT * 100)[:-30], "expected a trace file"),
    "damaged": (lambda: trace_file().replace(b"PK\1\2", b"PK\1\3"), "damaged zip"),
    "another zip": (lambda: zipped({"word/document.xml": b"<x/>"}), "got 'word/document.xml'"),
    "empty zip": (lambda: zipped({}), "without events.jsonl"),
    "path traversal": (lambda: trace_file(more={"../../evil": b"x"}), "got '../../evil'"),
    "absolute path": (lambda: trace_file(more={"/etc/passwd": b"x"}), "got '/etc/passwd'"),
    "traversal in frames": (lambda: trace_file(more={"frames/../x.jpg": b"x"}), "got 'frames/../x.jpg'"),
    "newer version": (lambda: trace_file(version=2), "newer version: .* got 2; upgrade"),
    "another format": (lambda: trace_file(format="har"), "expected the format 'odytrace', got 'har'"),
    "no title": (lambda: trace_file(title=None), "expected text as `title`, got None"),
    "wrong outcome": (lambda: trace_file(outcome="maybe"), "expected one of passed, failed, error, none"),
    "manifest is a list": (
        lambda: zipped({"manifest.json": b"[]", "events.jsonl": b""}),
        r"manifest: expected an object, got \[\]",
    ),
    "manifest is no JSON": (lambda: zipped({"manifest.json": b"{", "events.jsonl": b""}), "expected JSON"),
    "deep manifest": (
        lambda: zipped({"manifest.json": b"[" * 200_000, "events.jsonl": b""}),
        "expected JSON",
    ),
    "event is no JSON": (lambda: trace_file(b"{\n"), "events.jsonl: expected JSON"),
    "unknown lane": (lambda: trace_file(EVENT.replace(b"note", b"exec")), "as `lane`, got 'exec'"),
    "infinite time": (lambda: trace_file(EVENT.replace(b'"t":0', b'"t":1e999')), "expected a number as `t`, got inf"),
    "enormous time": (lambda: trace_file(EVENT.replace(b'"t":0', b'"t":1' + b"0" * 400)), "expected a number as `t`"),
    "enormous start": (lambda: trace_file(began_at=10**400), "expected a number as `began_at`"),
    "NaN": (lambda: trace_file(EVENT.replace(b"{}", b'{"a":NaN}')), "events.jsonl: expected JSON"),
    "end of a message": (lambda: trace_file(EVENT.replace(b'"data"', b'"end":1,"data"')), "expected no `end`"),
    "data is a list": (lambda: trace_file(EVENT.replace(b"{}", b"[]")), "expected an object as `data`"),
    "long line": (lambda: trace_file(b" " * (9 << 20)), "expected lines of 8,388,608 bytes or less"),
    "bomb": (lambda: with_size(600 << 20), "at most 536,870,912 bytes after decompression, got 629,"),
    "source that is missing": (
        lambda: trace_file(sources=[{"file": "a.py", "entry": "sources/0.txt", "first_line": 1}]),
        "expected the entry 'sources/0.txt'",
    ),
    "source that is no source": (
        lambda: trace_file(sources=[{"file": "a.py", "entry": "manifest.json", "first_line": 1}]),
        "expected source files",
    ),
    "encrypted": (encrypted, "not encrypted"),
    "one source many times": (
        lambda: trace_file(
            sources=[{"file": "a.py", "entry": "sources/0.txt", "first_line": 1}] * 2, more={"sources/0.txt": b"x"}
        ),
        "expected each source file once, got 'sources/0.txt' again",
    ),
    "LZMA": (lambda: with_method(14), "stored or deflated, got the compression method 14"),
    "unknown compression": (lambda: with_method(99), "stored or deflated, got the compression method 99"),
    "ZIP64": (with_zip64, "got a zip with the extension ZIP64"),
    "ZIP64 with a comment": (lambda: with_zip64(b"x" * 0xFFFF), "got a zip with the extension ZIP64"),
    "claims many entries": (lambda: with_count(60_000, 100), "expected at most 20,000 entries"),
    "claims a million entries": (lambda: with_count(0xFFFF, 0xFFFFFFFF), "expected at most 20,000 entries"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_file_is_refused_with_the_reason(case: str, tmp_path: Path) -> None:
    make, why = HOSTILE[case]
    path = tmp_path / "hostile.odytrace"
    path.write_bytes(make())

    with pytest.raises(TraceFileError, match=why) as refused:
        read_trace(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert [each.name for each in tmp_path.iterdir()] == ["hostile.odytrace"]


def test_file_of_two_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.odytrace"
    with path.open("wb") as file:
        file.truncate(2 << 30)

    with pytest.raises(TraceFileError, match="expected a file of 268,435,456 bytes or less, got 2,147,483,648"):
        read_trace(path)


def test_repeated_entry_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.odytrace"
    path.write_bytes(trace_file())
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("events.jsonl", EVENT)

    with pytest.raises(TraceFileError, match=r"each once, got 'events\.jsonl'; the page \"Trace files\" of "):
        read_trace(path)


def test_too_many_frames_are_refused_unlisted(tmp_path: Path) -> None:
    path = tmp_path / "many.odytrace"
    entry = b"PK\1\2" + bytes(24) + struct.pack("<H", 17) + bytes(16) + b"frames/000000.jpg"
    table = entry * 40_000
    path.write_bytes(table + b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 0xFFFF, 0xFFFF, len(table), 0, 0))

    with pytest.raises(TraceFileError, match="expected at most 20,000 entries, got more"):
        read_trace(path)


def test_thumbnail_outside_the_frames_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.odytrace"
    path.write_bytes(trace_file(EVENT.replace(b"note", b"frame").replace(b"{}", b'{"file":"../secret.jpg"}')))

    with read_trace(path) as trace, pytest.raises(TraceFileError, match=r"got '\.\./secret\.jpg'"):
        trace.image(trace.events[0])


@given(data=st.data())
def test_mutated_file_is_read_or_refused(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("mutated") / "one.odytrace"
    content = bytearray(trace_file(EVENT * 3))
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=4)):
        content[at] = byte
    path.write_bytes(content)

    try:
        with read_trace(path) as trace:
            assert len(trace.events) <= 3
    except TraceFileError:
        pass


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["directory", "pipe"])
def test_something_else_than_a_file_is_refused(make: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "x.odytrace"
    make(path)

    with pytest.raises(TraceFileError, match="expected a file, got a directory, a pipe or a device"):
        read_trace(path)
