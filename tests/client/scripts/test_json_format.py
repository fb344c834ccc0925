"""Scripts as JSON text and in files: read strictly, with all that is wrong, and images beside them."""

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
    """Of JSON text, or of what such text says."""
    try:
        Script.from_json(source, path=path) if isinstance(source, str) else Script.of(source, path=path)
    except ScriptError as error:
        return [fault.path for fault in error.faults] or pytest.fail("an error without a fault")
    return []


@pytest.mark.parametrize("text", [CAT_JSON, CAT_JSON.encode(), "\ufeff" + CAT_JSON, ("\ufeff" + CAT_JSON).encode()])
def test_json_is_text_or_utf8_with_or_without_a_byte_order_mark(text: str | bytes) -> None:
    assert Script.from_json(text) == CAT


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a mistake at line 1, column 1"),
        ('[\n  {"timestamp_ms" 0}]', "a mistake at line 2, column 19"),
        (CAT_JSON[:-1], "a mistake at line 1"),
        (CAT_JSON + "x", "Extra data"),
        ("[NaN]", "NaN, which JSON does not have"),
        ("[-Infinity]", "-Infinity, which JSON does not have"),
        ('[{"timestamp_ms": 0, "timestamp_ms": 0}]', "the key 'timestamp_ms' twice"),
        ("[" * 200_000, "nested too deeply"),
        ('{"a":' * 200_000, "nested too deeply"),
        (CAT_JSON.encode("utf-16"), "JSON text in UTF-8, got the byte 0xff at 0"),
        (b"\xe4", "JSON text in UTF-8, got the byte 0xe4 at 0"),
        (None, "JSON text, got null"),
        (7, "JSON text, got 7"),
    ],
)
def test_what_is_no_strict_json_is_told_where_it_breaks(text: Any, says: str) -> None:
    with pytest.raises(ScriptError) as caught:
        Script.from_json(text, path="scripts[2]")
    (fault,) = caught.value.faults
    assert fault.path == "scripts[2]"
    assert says in str(fault)


@pytest.mark.parametrize("number", ["1" * 5000, "-" + "1" * 5000, "1e999", "0.1e-999"])
def test_numbers_without_measure_are_read_as_far_as_they_matter(number: str) -> None:
    text = '[{"timestamp_ms": 0, "start": {"prompt": ""}}, {"timestamp_ms": NUMBER, "end": {}}]'
    with pytest.raises(ScriptError, match=r"^script\[1\]\.timestamp_ms"):
        Script.from_json(text.replace("NUMBER", number))


def test_an_image_in_json_is_a_data_url() -> None:
    assert Script.from_json(with_image(IMAGE)).entries[0].image == IMAGE


@pytest.mark.parametrize("image", ["cat.png", None, 7, {}, "http://localhost/cat.png", ""])
def test_an_image_in_json_is_nothing_else(image: object) -> None:
    with pytest.raises(ScriptError, match=r"^script\[0\]\.start\.image: .* must be a data: URL, as data:image/png"):
        Script.from_json(with_image(image))


def test_with_a_directory_it_may_be_a_path_from_there_on(tmp_path: Path) -> None:
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
def test_whatever_json_text_is_given_it_is_a_script_or_has_faults(value: Any) -> None:
    try:
        text = json.dumps(value)
    except ValueError:
        return  # Python does not write integers of thousands of digits
    paths = fault_paths(text, "scripts[0]")
    assert all(path.startswith("scripts[0]") for path in paths)
    if isinstance(value, list):
        wrong = [path for path in fault_paths(value, "scripts[0]") if not path.endswith(".image")]
        assert [path for path in paths if not path.endswith(".image")] == wrong


@given(st.one_of(st.text(max_size=50), st.binary(max_size=50)))
def test_whatever_text_is_given_it_is_a_script_or_has_faults(text: str | bytes) -> None:
    with pytest.raises(ScriptError):
        Script.from_json(text)


@given(valid_scripts())
def test_a_valid_script_has_the_same_entries_by_every_way(script: list[dict[str, Any]]) -> None:
    assert Script.from_json(json.dumps(script)) == Script.of(script)


# Files.


def test_the_scripts_of_the_documents_are_good() -> None:
    cat, mountain = Script.load(FIXTURES / "cat.json"), Script.load(str(FIXTURES / "mountain.json"))
    assert (cat.duration_seconds, mountain.duration_seconds) == (9.0, 15.0)
    assert cat.advice() == mountain.advice() == ()


def test_the_broken_script_of_the_documents_has_these_faults() -> None:
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


def test_images_of_a_file_are_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "cat.png").write_bytes(PIXEL)
    (tmp_path / "cat.json").write_text(with_image("images/cat.png"), "utf-8")
    assert Script.load(tmp_path / "cat.json").entries[0].image == tmp_path / "images" / "cat.png"
    monkeypatch.chdir(tmp_path)
    assert Script.load("cat.json").entries[0].image == Path("images/cat.png")


def test_a_file_holds_one_script(tmp_path: Path) -> None:
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
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(ScriptError) as caught:
        Script.load(str(tmp_path / name))
    (fault,) = caught.value.faults
    assert fault.path == "script"
    assert says in fault.got
    assert len(str(fault)) < 300


@pytest.mark.parametrize("file", [None, 7, b"cat.json"])
def test_what_is_no_path_is_refused(file: Any) -> None:
    with pytest.raises(ScriptError, match="expected the path of a JSON file"):
        Script.load(file)


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_format, "MAX_SCRIPT_BYTES", 2**20)
    file = tmp_path / "large.json"
    file.write_text(CAT_JSON.ljust(2**20), "utf-8")
    assert Script.load(file) == CAT
    file.write_text(CAT_JSON.ljust(2**20 + 1), "utf-8")
    with pytest.raises(ScriptError, match=r"expected a file of at most 1 MiB, got '.*large\.json', which has more"):
        Script.load(file)
