"""Tests of the results file: writing, reading back, and continuing a campaign that was killed."""

import json
from pathlib import Path

import pytest

from odyssey_mock.explore.outcome import FailedSeed, Failure, HeldSeeds, SeedRecord
from odyssey_mock.explore.results_file import Header, ResultsError, results_in

HEADER = Header("light", "abc1234", "0123456789abcdef")
RECORDS: list[SeedRecord] = [
    HeldSeeds(0, 16, 51, 1030.5),
    FailedSeed(
        17, (Failure("slots_add_up", "expected 0, got 3\u2028 \ud800", 1.25), Failure("other", "x", 2.0)), 3, 60.5
    ),
    HeldSeeds(18, 49, 90, 2000.0),
]


def written(path: Path, records: list[SeedRecord] = RECORDS, header: Header = HEADER) -> None:
    with results_in(path, header) as results:
        results.add(records)


def held_in(path: Path, header: Header = HEADER) -> tuple[SeedRecord, ...]:
    with results_in(path, header) as results:
        return results.before


def test_written_records_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    assert held_in(path) == ()
    written(path, RECORDS[:2])
    written(path, RECORDS[2:])
    assert held_in(path) == tuple(RECORDS)


def test_file_has_one_line_per_failed_seed(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    written(path)
    header, *lines = map(json.loads, path.read_text().splitlines())
    assert header == {
        "format": "odyssey-mock explore",
        "version": 1,
        "depth": "light",
        "commit": "abc1234",
        "code": "0123456789abcdef",
    }
    assert lines[0] == {"held": [0, 16], "steps": 51, "seconds": 1030.5}
    assert lines[1]["seed"] == 17
    assert [(each["rule"], each["signature"]) for each in lines[1]["failures"]] == [
        ("slots_add_up", Failure("slots_add_up", "expected 0, got 3\u2028 \ud800", 1.25).signature),
        ("other", "other: x"),
    ]


def test_records_are_flushed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with results_in(path, HEADER) as results:
        results.add(RECORDS[:1])
        assert len(path.read_text().splitlines()) == 2


def test_incomplete_last_line_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    written(path)
    whole = path.read_bytes()
    second = whole.index(b"\n") + 1
    for length in range(second, len(whole)):
        path.write_bytes(whole[:length])
        found = held_in(path)
        assert found == tuple(RECORDS[: len(found)])
        assert len(found) == whole[:length].count(b"\n") - 1
        written(path, RECORDS[2:])
        assert held_in(path) == (*found, RECORDS[2])


def test_incomplete_header_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    written(path, [])
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert held_in(path) == ()
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "other",
    [
        Header("full", "abc1234", "0123456789abcdef"),
        Header("light", "def5678", "0123456789abcdef"),
        Header("light", "abc1234", "fedcba9876543210"),
    ],
)
def test_results_with_another_header_are_rejected(tmp_path: Path, other: Header) -> None:
    path = tmp_path / "results.jsonl"
    written(path)
    before = path.read_bytes()
    with pytest.raises(ResultsError) as raised, results_in(path, other):
        pass
    assert str(raised.value) == (
        f"expected {path} to have results of {other}, got {HEADER}: "
        "use another file, or discard the results with --restart"
    )
    assert path.read_bytes() == before


def test_restart_discards_earlier_results(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    written(path)
    other = Header("full", "def5678", "0")
    with results_in(path, other, restart=True) as results:
        assert results.before == ()
        results.add(RECORDS[:1])
    assert held_in(path, other) == tuple(RECORDS[:1])


@pytest.mark.parametrize(
    "content",
    ["# Notes", "# Notes\nmine", "{}\n", "[1]\n", "caf\u00e9\n"],
)
@pytest.mark.parametrize("restart", [False, True])
def test_file_of_another_format_is_not_changed(tmp_path: Path, content: str, restart: bool) -> None:
    path = tmp_path / "notes.md"
    path.write_text(content, encoding="utf-8")
    expected = r"notes\.md is not a valid results file: .*; use another file"
    with pytest.raises(ResultsError, match=expected), results_in(path, HEADER, restart=restart):
        pass
    assert path.read_text(encoding="utf-8") == content


def test_file_of_older_version_requires_restart(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text('{"format": "odyssey-mock explore", "version": 0}\n')
    with pytest.raises(ResultsError, match=r"expected 'odyssey-mock explore' version 1, got .* version 0"):
        held_in(path)
    with results_in(path, HEADER, restart=True):
        pass
    assert held_in(path) == ()


@pytest.mark.parametrize("line", ["nonsense", "{}", '{"held": [1]}', '{"seed": 1}', "[]"])
def test_file_with_an_invalid_line_is_rejected(tmp_path: Path, line: str) -> None:
    path = tmp_path / "results.jsonl"
    written(path, [])
    with path.open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(ResultsError, match="is not a valid results file"):
        held_in(path)


def test_file_in_use_by_another_run_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with results_in(path, HEADER) as results:
        with pytest.raises(ResultsError, match="another run is using"), results_in(path, HEADER):
            pass
        results.add(RECORDS)
    assert held_in(path) == tuple(RECORDS)
