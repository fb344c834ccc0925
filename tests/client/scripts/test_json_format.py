"""Tests of reading scripts from JSON text and files: errors, the size limit, and image paths relative to the file."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.errors import ScriptError
from odyssey_client.scripts import json_format
from odyssey_client.scripts.script import Script
from tests.support.scripts import IMAGE, broken_scripts, json_values, valid_scripts

FIXTURES = Path(__file__).parents[3] / "fixtures" / "scripts"
CAT = Script().start("A cat").wait(3).interact("It looks out").wait(3).end()
CAT_JSON = json.dumps([entry.to_dict() for entry in CAT.entries])
PIXEL = base64.b64decode(IMAGE.partition(",")[2])


def with_image(image: object) -> str:
    return json.dumps(
        [{"timestamp_ms": 0, "start": {"prompt": "A cat", "image": image}}, {"timestamp_ms": 9, "end": {}}]
    )


def fault_paths(source: Any, path: str) -> list[str]:
    """Read a script from JSON text or decoded JSON; return the paths of its errors, or an empty list if it is valid."""
    try:
        Script.from_json(source, path=path) if isinstance(source, str) else Script.of(source, path=path)
    except ScriptError as error:
        return [fault.path for fault in error.faults] or pytest.fail(
            "expected ScriptError to contain at least one fault, got none"
        )
    return []


@pytest.mark.parametrize("text", [CAT_JSON, CAT_JSON.encode(), "\ufeff" + CAT_JSON, ("\ufeff" + CAT_JSON).encode()])
def test_json_may_be_str_or_utf8_with_bom(text: str | bytes) -> None:
    assert Script.from_json(text) == CAT


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a syntax error at line 1, column 1"),
        ('[\n  {"timestamp_ms" 0}]', "a syntax error at line 2, column 19"),
        (CAT_JSON[:-1], "a syntax error at line 1"),
        (CAT_JSON + "x", "Extra data"),
        ("[NaN]", "NaN, which is not valid in JSON"),
        ("[-Infinity]", "-Infinity, which is not valid in JSON"),
        ('[{"timestamp_ms": 0, "timestamp_ms": 0}]', "the key 'timestamp_ms' twice"),
        ("[" * 200_000, "nested too deeply"),
        ('{"a":' * 200_000, "nested too deeply"),
        (CAT_JSON.encode("utf-16"), "JSON text in UTF-8, got the byte 0xff at offset 0"),
        (b"\xe4", "JSON text in UTF-8, got the byte 0xe4 at offset 0"),
        (None, "JSON text, got null"),
        (7, "JSON text, got 7"),
    ],
)
def test_invalid_json_is_one_fault_with_position(text: Any, says: str) -> None:
    with pytest.raises(ScriptError) as caught:
        Script.from_json(text, path="scripts[2]")
    (fault,) = caught.value.faults
    assert fault.path == "scripts[2]"
    assert says in str(fault)


@pytest.mark.parametrize("number", ["1" * 5000, "-" + "1" * 5000, "1e999", "0.1e-999"])
def test_extreme_numbers_are_rejected_as_times(number: str) -> None:
    text = '[{"timestamp_ms": 0, "start": {"prompt": ""}}, {"timestamp_ms": NUMBER, "end": {}}]'
    with pytest.raises(ScriptError, match=r"^script\[1\]\.timestamp_ms"):
        Script.from_json(text.replace("NUMBER", number))


def test_data_url_image_is_accepted_in_json() -> None:
    assert Script.from_json(with_image(IMAGE)).entries[0].image == IMAGE


@pytest.mark.parametrize("image", ["cat.png", None, 7, {}, "http://localhost/cat.png", ""])
def test_other_images_are_rejected_in_json(image: object) -> None:
    with pytest.raises(
        ScriptError, match=r"^script\[0\]\.start\.image: .* must be a data: URL, such as data:image/png"
    ):
        Script.from_json(with_image(image))


def test_image_path_is_relative_to_given_directory(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(PIXEL)
    assert Script.from_json(with_image("cat.png"), images_from=tmp_path).entries[0].image == tmp_path / "cat.png"
    assert Script.from_json(with_image(IMAGE), images_from=str(tmp_path)).entries[0].image == IMAGE
    for image, says in {
        "dog.png": "No such file",
        "http://localhost/cat.png": "download it first",
        7: "or a path",
    }.items():
        with pytest.raises(ScriptError, match=rf"^script\[0\]\.start\.image: .*{says}"):
            Script.from_json(with_image(image), images_from=tmp_path)


@given(st.one_of(broken_scripts(), json_values()))
def test_any_json_text_is_script_or_has_faults(value: Any) -> None:
    try:
        text = json.dumps(value)
    except ValueError:
        return  # Python does not convert integers of thousands of digits to text
    paths = fault_paths(text, "scripts[0]")
    assert all(path.startswith("scripts[0]") for path in paths)
    if isinstance(value, list):
        wrong = [path for path in fault_paths(value, "scripts[0]") if not path.endswith(".image")]
        assert [path for path in paths if not path.endswith(".image")] == wrong


@given(st.one_of(st.text(max_size=50), st.binary(max_size=50)))
def test_random_text_is_rejected_with_faults(text: str | bytes) -> None:
    with pytest.raises(ScriptError):
        Script.from_json(text)


@given(valid_scripts())
def test_json_text_and_value_give_same_script(script: list[dict[str, Any]]) -> None:
    assert Script.from_json(json.dumps(script)) == Script.of(script)


# Files.


def test_fixture_scripts_are_valid() -> None:
    cat, mountain = Script.load(FIXTURES / "cat.json"), Script.load(str(FIXTURES / "mountain.json"))
    assert (cat.duration_seconds, mountain.duration_seconds) == (9.0, 15.0)
    assert cat.advice() == mountain.advice() == ()


def test_broken_fixture_script_has_expected_faults() -> None:
    with pytest.raises(ScriptError) as caught:
        Script.load(FIXTURES / "broken.json")
    assert [fault.path for fault in caught.value.faults] == [
        "script[0].start.promt",
        "script[0].start.prompt",
        "script[0].timestamp_ms",
        "script[1].timestamp_ms",
        "script[2]",
        "script[2].interact.prompt",
        "script[3].speed",
        "script[3]",
        "script[3].timestamp_ms",
    ]


def test_image_paths_are_relative_to_script_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "cat.png").write_bytes(PIXEL)
    (tmp_path / "cat.json").write_text(with_image("images/cat.png"), "utf-8")
    assert Script.load(tmp_path / "cat.json").entries[0].image == tmp_path / "images" / "cat.png"
    monkeypatch.chdir(tmp_path)
    assert Script.load("cat.json").entries[0].image == Path("images/cat.png")


def test_file_with_several_scripts_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "batch.json").write_text(f"[{CAT_JSON}, {CAT_JSON}]", "utf-8")
    with pytest.raises(ScriptError) as caught:
        Script.load(tmp_path / "batch.json", path="scripts[0]")
    assert [fault.path for fault in caught.value.faults] == ["scripts[0][0]", "scripts[0][1]"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none.json", "none.json': No such file or directory"),
        ("", "': Is a directory"),
        ("nul\0.json", "null byte"),
        ("x" * 5000, "File name too long"),
    ],
)
def test_error_of_unreadable_file_names_file_and_reason(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(ScriptError) as caught:
        Script.load(str(tmp_path / name))
    (fault,) = caught.value.faults
    assert fault.path == "script"
    assert says in fault.got
    assert len(str(fault)) < 300


@pytest.mark.parametrize("file", [None, 7, b"cat.json"])
def test_load_rejects_other_types_than_path(file: Any) -> None:
    with pytest.raises(ScriptError, match="expected the path of a JSON file"):
        Script.load(file)


def test_file_over_size_limit_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_format, "MAX_SCRIPT_BYTES", 2**20)
    file = tmp_path / "large.json"
    file.write_text(CAT_JSON.ljust(2**20), "utf-8")
    assert Script.load(file) == CAT
    file.write_text(CAT_JSON.ljust(2**20 + 1), "utf-8")
    with pytest.raises(ScriptError, match=r"expected a file of at most 1 MiB, got '.*large\.json', which is larger"):
        Script.load(file)
