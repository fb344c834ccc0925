"""Tests of the command `odyssey validate`."""

import json
from pathlib import Path

import pytest
from PIL import Image

from .conftest import CAT, document, odyssey, script_file

BROKEN = [
    {"timestamp_ms": 0, "start": {"promt": "A cat"}},
    {"timestamp_ms": "500", "interact": {"prompt": "It looks out"}},
    {"timestamp_ms": 1000, "interact": {"prompt": ""}},
]
FAULTS = [
    "script[0].start.promt: expected no keys except prompt, image",
    "script[0].start.prompt: expected text, got nothing",
    "script[1].timestamp_ms: expected a whole number",
    "script[2]: expected an end, as the last entry",
]


def test_valid_script_is_listed_with_its_length(tmp_path: Path) -> None:
    file = script_file(tmp_path, CAT)
    result = odyssey("validate", file)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{file}: valid, 3 entries, 1 s\n", "")


def test_faults_are_listed_below_their_file(tmp_path: Path) -> None:
    broken = script_file(tmp_path, BROKEN, "broken.json")
    good, missing = script_file(tmp_path, CAT), tmp_path / "missing.json"
    result = odyssey("validate", broken, good, missing)
    assert result.exit_code == 1
    assert result.stdout == f"{good}: valid, 3 entries, 1 s\n"
    lines = result.stderr.splitlines()
    expected = [
        f"Error: {broken}: 4 faults:",
        *(f"  {fault}" for fault in FAULTS),
        f"Error: {missing}: script: expected a file that can be read",
    ]
    for line, beginning in zip(lines, expected, strict=True):
        assert line.startswith(beginning)


def test_advice_is_printed_as_a_note(tmp_path: Path) -> None:
    script = [*CAT[:2], {"timestamp_ms": 900, "interact": {"prompt": "It sleeps"}}, {"timestamp_ms": 1000, "end": {}}]
    file = script_file(tmp_path, script)
    result = odyssey("validate", file)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].startswith(f"{file}: note: script[2].timestamp_ms: 400 ms after")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "expected JSON text"),
        (b"{", "expected JSON text, got a syntax error at line 1, column 2"),
        (b"\xff\xfe", "expected JSON text in UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"{}", "expected an array"),
        (b"[]", "script: expected"),
        (b"[NaN]", "expected JSON text"),
    ],
)
def test_content_without_script_is_one_fault(content: bytes, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "cat.json"
    file.write_bytes(content)
    result = odyssey("validate", file)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {file}: script")
    assert expected in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_directory_is_rejected_as_script(tmp_path: Path) -> None:
    result = odyssey("validate", tmp_path)
    assert result.exit_code == 1
    assert "Is a directory" in result.stderr


def test_image_paths_are_relative_to_script_file(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "cat.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "cat.png").read_bytes()[:40])
    scripts = {
        name: script_file(
            tmp_path, [{"timestamp_ms": 0, "start": {"prompt": "", "image": name}}, CAT[2]], f"{name}.json"
        )
        for name in ("cat.png", "broken.png", "missing.png")
    }
    assert odyssey("validate", scripts["cat.png"]).exit_code == 0
    for name in ("broken.png", "missing.png"):
        result = odyssey("validate", scripts[name])
        assert result.exit_code == 1
        assert f"{scripts[name]}: script[0].start.image: expected" in result.stderr


def test_json_document_has_result_for_each_file(tmp_path: Path) -> None:
    good, broken = script_file(tmp_path, CAT), script_file(tmp_path, BROKEN, "broken.json")
    result = odyssey("validate", good, broken, "--json")
    assert result.exit_code == 1
    found = document(result)
    assert found["error"]["code"] == "invalid_script"
    assert found["error"]["message"].startswith(f"{broken}: 4 faults:")
    assert found["error"]["faults"] == found["files"][1]["faults"]
    assert found["files"][0] == {
        "file": str(good),
        "valid": True,
        "duration_seconds": 1.0,
        "faults": [],
        "more_faults": 0,
        "advice": [],
    }
    assert found["files"][1]["valid"] is False
    assert found["files"][1]["faults"][1] == {"path": "script[0].start.prompt", "expected": "text", "got": "nothing"}


def test_json_of_valid_script_has_no_error(tmp_path: Path) -> None:
    result = odyssey("validate", script_file(tmp_path, CAT), "--json")
    assert (result.exit_code, set(document(result)), result.stderr) == (0, {"files"}, "")


def test_control_characters_in_file_name_are_escaped(tmp_path: Path) -> None:
    file = tmp_path / "\x1b[31m.json"
    file.write_text(json.dumps(CAT))
    result = odyssey("validate", file)
    assert r"\x1b[31m.json: valid" in result.stdout
    assert "\x1b" not in result.output


def test_missing_file_argument_is_an_error() -> None:
    result = odyssey("validate")
    assert result.exit_code == 2
    assert "Missing argument 'FILE...'" in result.stderr
