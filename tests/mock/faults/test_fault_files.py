"""Tests of reading faults from files, and of `odyssey-mock serve --faults`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from odyssey_mock.cli.app import main
from odyssey_mock.faults.files import FaultFileError, read_faults
from odyssey_mock.settings import Settings

YAML = """\
# Two faults.
- at: rest.sessions.request
  do: status
  status: 503
  retry_after: 1
  times: 3
- {at: stream.start, do: silent, match: {prompt: cat}}
"""
FAULTS = [
    {"at": "rest.sessions.request", "do": "status", "status": 503, "retry_after": 1, "times": 3},
    {"at": "stream.start", "do": "silent", "match": {"prompt": "cat"}},
]


def write(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text", "faults"),
    [
        ("faults.yaml", YAML, FAULTS),
        ("faults.yml", json.dumps(FAULTS), FAULTS),
        ("faults.json", json.dumps(FAULTS), FAULTS),
        ("faults.JSON", json.dumps(FAULTS[0]), FAULTS[:1]),
        ("faults", "{at: stream.start, do: silent, match: {prompt: cat}}", FAULTS[1:]),
        ("empty.yaml", "[]", []),
    ],
)
def test_faults_are_read_from_yaml_and_json(tmp_path: Path, name: str, text: str, faults: list[object]) -> None:
    assert read_faults(write(tmp_path, name, text)) == faults


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("faults.json", YAML, "to contain JSON, got invalid JSON"),
        ("faults.yaml", "- [", "must be YAML"),
        ("faults.yaml", "at: 2026-01-01", "must be YAML that contains only values of JSON"),
        ("faults.yaml", "!!python/object:os.system {}", "must be YAML"),
        ("faults.yaml", "", "fault 1 of 1: a fault must be an object"),
        ("faults.yaml", f"{YAML}- {{at: nope}}", "fault 3 of 3: unknown fault point 'nope'; known: rest.auth.token"),
        ("faults.yaml", "{at: artifact, do: delay, seconds: .nan}", "only values of JSON"),
        ("faults.json", "[" * 100_000, "to contain JSON, got invalid JSON"),
    ],
)
def test_invalid_file_is_rejected_with_its_name(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(FaultFileError) as refused:
        read_faults(write(tmp_path, name, text))
    assert name in str(refused.value)
    assert says in str(refused.value)


def test_unreadable_fault_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(FaultFileError, match="cannot be read"):
        read_faults(tmp_path)
    (tmp_path / "faults.yaml").write_bytes(b"\xff")
    with pytest.raises(FaultFileError, match="cannot be read"):
        read_faults(tmp_path / "faults.yaml")


def test_serve_reads_faults_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Settings] = []

    async def serve(settings: Settings, **_: object) -> None:
        served.append(settings)

    monkeypatch.setattr("odyssey_mock.cli.serve._serve", serve)
    path = write(tmp_path, "faults.yaml", YAML)
    result = CliRunner().invoke(main, ["serve", "--faults", str(path)])
    assert result.exit_code == 0, f"expected exit status 0, got {result.exit_code}:\n{result.output}"
    assert CliRunner().invoke(main, ["serve"]).exit_code == 0
    assert [list(settings.faults) for settings in served] == [FAULTS, []]


@pytest.mark.parametrize(("text", "says"), [("at: nope", "unknown fault point"), ("- [", "must be YAML")])
def test_serve_rejects_an_invalid_fault_file(tmp_path: Path, text: str, says: str) -> None:
    result = CliRunner().invoke(main, ["serve", "--faults", str(write(tmp_path, "faults.yaml", text))])
    assert (result.exit_code, says in result.output) == (2, True)
    assert CliRunner().invoke(main, ["serve", "--faults", str(tmp_path / "missing.yaml")]).exit_code == 2
