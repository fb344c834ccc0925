"""Tests of `odyssey-mock trace print`, `export` and `diff`: their output, exit codes and refusals."""

import json
import os
import re
import struct
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from odyssey_mock.cli.app import main
from tests.support.forks import start_python
from tests.support.traces import event, failed_events, trace_file

COMMANDS = {
    "print": ["print", "FILE"],
    "export": ["export", "FILE", "--perfetto", "--output", "out.json"],
    "diff A": ["diff", "FILE", "other.odytrace"],
    "diff B": ["diff", "other.odytrace", "FILE"],
}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a trace file into a new working directory."""
    monkeypatch.chdir(tmp_path)
    return trace_file(Path("cat.odytrace"))


def trace(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["trace", *map(str, arguments)])


def test_print_draws_the_trace(file: Path) -> None:
    ran = trace("print", file)
    assert ran.exit_code == 0, ran.output
    lines = ran.stdout.splitlines()
    assert lines[0] == "tests/test_cat.py::test_cat: failed, 3.200 s, 30 events"
    assert lines[3].split() == ["seconds", "test", "client", "1", "client", "2", "server"]
    assert lines[-1].startswith("  client 1: interact, since 2.500")


@pytest.mark.parametrize("last", ["1.3", "1.3s"])
def test_print_takes_the_last_seconds(file: Path, last: str) -> None:
    assert "connect_to_stream" in trace("print", file, "--last", last).stdout
    assert "setup" not in trace("print", file, "--last", last).stdout


@pytest.mark.parametrize("last", ["", "0", "-1", "1m", "nan", "1e3", "soon", "9" * 400])
def test_invalid_last_is_rejected(file: Path, last: str) -> None:
    ran = trace("print", file, "--last", last)
    assert ran.exit_code == 2
    assert f"expected seconds greater than 0, such as 5s or 0.5, got {last!r}" in ran.stderr


def test_print_selects_lanes_session_and_width(file: Path) -> None:
    ran = trace("print", file, "--lane", "peer", "--lane", "fault", "--session", "5b1c", "--width", "70")
    rows = ran.stdout.partition("failure in")[0].splitlines()[4:-1]
    assert [row[12:].split("* ")[1] for row in rows if "*" in row] == [
        "peer ice checking",
        "peer ice completed",
        'fault stream.update (do="ignore")',
    ]
    assert max(map(len, rows)) <= 70


def test_unknown_lane_is_rejected(file: Path) -> None:
    for command in (["print", file], ["diff", file, file]):
        ran = trace(*command, "--lane", "smoke")
        assert ran.exit_code == 2
        assert "expected one of test, call, callback, http" in ran.stderr


def test_unknown_session_is_rejected(file: Path) -> None:
    ran = trace("print", file, "--session", "zz")
    assert ran.exit_code == 2
    assert re.fullmatch(r"Error: --session: expected the beginning of one session's id, got 'zz', .*\n", ran.stderr)


def test_print_escapes_what_stdout_cannot_encode(file: Path) -> None:
    trace_file(file, [event(0.5, "fault", "\u732b" * 200)])
    ran = CliRunner(charset="ascii").invoke(main, ["trace", "print", str(file)])
    assert ran.exit_code == 0, ran.output
    assert "fault \\u732b\\u732b" in ran.stdout


@pytest.mark.parametrize(
    ("form", "key"), [("perfetto", "traceEvents"), ("har", "log"), ("webrtc-internals", "PeerConnections")]
)
def test_export_writes_stdout_or_a_file(file: Path, form: str, key: str) -> None:
    ran = trace("export", file, f"--{form}")
    assert ran.exit_code == 0, ran.output
    assert key in json.loads(ran.stdout)
    Path("out.json").write_text("old")
    written = trace("export", file, f"--{form}", "--output", "out.json")
    assert (written.exit_code, written.output) == (0, "")
    assert Path("out.json").read_text() == ran.stdout
    assert sorted(each.name for each in Path().iterdir()) == ["cat.odytrace", "out.json"]


def test_export_requires_a_format(file: Path) -> None:
    ran = trace("export", file)
    assert ran.exit_code == 2
    assert "expected one of --perfetto, --har, --webrtc-internals, got none." in ran.stderr


def test_export_keeps_the_trace_itself(file: Path) -> None:
    before = file.read_bytes()
    Path("link.json").symlink_to(file)
    for output in (file, Path("link.json")):
        ran = trace("export", file, "--har", "--output", output)
        assert ran.exit_code == 2
        assert ran.stderr == f"Error: --output: expected another file than the trace, got {output}\n"
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("output", "reason"),
    [("folder", "Is a directory"), ("missing/out.json", "No such file or directory"), ("pipe", "Not a regular file")],
)
def test_export_to_something_else_is_refused(file: Path, output: str, reason: str) -> None:
    Path("folder").mkdir()
    os.mkfifo("pipe")
    ran = trace("export", file, "--har", "--output", output)
    assert (ran.exit_code, ran.stderr) == (2, f"Error: cannot write {output}: {reason}\n")
    assert sorted(each.name for each in Path().iterdir()) == ["cat.odytrace", "folder", "pipe"]


def test_export_with_impossible_times_is_refused(file: Path) -> None:
    trace_file(file, began_at=1e300)
    for form in ("har", "webrtc-internals"):
        ran = trace("export", file, f"--{form}")
        assert ran.exit_code == 2
        assert ran.stderr.startswith(f"Error: {file}: expected times in the years 1 to 9999, got 1e+300")
        assert ran.stdout == ""


def test_export_of_infinite_numbers_is_refused(file: Path) -> None:
    line = '{"i": 0, "t": 0, "lane": "note", "side": "client", "name": "x", "data": {"x": 1e999}}'
    with zipfile.ZipFile(file) as archive:
        manifest = archive.read("manifest.json").decode()
    write_zip(file, **{"manifest.json": manifest, "events.jsonl": line, "sources/0.txt": ""})
    ran = trace("export", file, "--perfetto")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr == f"Error: {file}: expected finite numbers, got one that is infinite or not a number\n"


def test_diff_says_whether_traces_are_equal(file: Path) -> None:
    equal = trace("diff", file, file)
    assert (equal.exit_code, equal.stdout.splitlines()[-1]) == (0, "equal")
    other = trace_file(Path("other.odytrace"), failed_events()[:-2])
    different = trace("diff", file, other)
    assert different.exit_code == 1
    assert "first difference: client 1, lane deadline" in different.stdout
    assert trace("diff", file, other, "--lane", "peer").exit_code == 0


def write_zip(path: Path, **entries: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def write_large(path: Path) -> None:
    with path.open("wb") as large:
        large.truncate(2 << 30)


def write_nothing(path: Path) -> None:
    assert not path.exists()


def write_claims(path: Path) -> None:
    """Write the end of a zip that claims to have 65,535 entries."""
    path.write_bytes(b"PK\5\6" + struct.pack("<4H2LH", 0, 0, 65_535, 65_535, 0, 0, 0))


NEWER = json.dumps({"format": "odytrace", "version": 2})
HOSTILE: Mapping[str, tuple[Callable[[Path], None], str]] = {
    "missing": (write_nothing, "cannot read x.odytrace: No such file or directory"),
    "directory": (Path.mkdir, "x.odytrace: expected a file, got a directory, a pipe or a device"),
    "pipe": (os.mkfifo, "x.odytrace: expected a file, got a directory, a pipe or a device"),
    "empty": (Path.touch, "x.odytrace: expected a trace file (a zip), got something else or a part of a file"),
    "foreign": (lambda path: write_zip(path, readme="hello"), "x.odytrace: expected only the entries of a trace"),
    "newer": (
        lambda path: write_zip(path, **{"manifest.json": NEWER, "events.jsonl": ""}),
        "x.odytrace: written by a newer version: expected format version 1 or older, got 2",
    ),
    "traversing": (
        lambda path: write_zip(path, **{"manifest.json": "{}", "events.jsonl": "", "frames/../../x": ""}),
        "x.odytrace: expected only the entries of a trace, each once, got 'frames/../../x'",
    ),
    "many frames": (write_claims, "x.odytrace: expected at most 20,000 entries, got more"),
    "2 GB": (write_large, "x.odytrace: expected a file of 268,435,456 bytes or less, got 2,147,483,648 bytes"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_file_is_refused_in_one_line(file: Path, command: str, kind: str) -> None:
    file.rename("other.odytrace")
    make, reason = HOSTILE[kind]
    make(Path("x.odytrace"))
    before = sorted(Path().iterdir())
    ran = trace(*["x.odytrace" if argument == "FILE" else argument for argument in COMMANDS[command]])
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"Error: {reason}"), ran.stderr
    assert ran.stderr.count("\n") == 1
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize("command", [["print"], ["export", "--har"]], ids=" ".join)
def test_closed_pipe_ends_the_command_silently(file: Path, command: list[str]) -> None:
    trace_file(file, [event(n / 1000, "fault", f"fault {n}") for n in range(3000)])
    program = ("-c", "from odyssey_mock.cli import main; main()", "trace", *command, str(file))
    with start_python(*program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.read(100)
        running.stdout.close()
        errors = running.stderr.read()
        running.wait(60)
    assert errors == ""
