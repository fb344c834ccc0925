"""Tests of reading JSON, TOML and YAML files."""

from pathlib import Path

import pytest

from odyssey_mock.core.data_files import LARGEST, DataFileError, read_data_file

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
"""A YAML file of 500 bytes that describes a billion strings."""

MERGES = "a: &a {x: 1}\n" + "".join(
    f"{new}: &{new} {{<<: [{', '.join([f'*{old}'] * 10)}]}}\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
"""A YAML file of 500 bytes whose merge keys insert a hundred million names."""


def write(directory: Path, name: str, content: str) -> Path:
    path = directory / name
    path.write_text(content, "utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.json", '{"fps": 10, "sizes": [1, 2.5], "keys": {"a": true}}'),
        ("x.toml", "fps = 10\nsizes = [1, 2.5]\n[keys]\na = true\n"),
        ("x.TOML", "fps = 10\nsizes = [1, 2.5]\nkeys = {a = true}\n"),
        ("x.yaml", "fps: 10\nsizes: [1, 2.5]\nkeys: {a: true}\n"),
        ("x.conf", "fps: 10\nsizes: [1, 2.5]\nkeys: {a: true}\n"),
    ],
)
def test_same_content_in_each_format(tmp_path: Path, name: str, content: str) -> None:
    assert read_data_file(write(tmp_path, name, content)) == {"fps": 10, "sizes": [1, 2.5], "keys": {"a": True}}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.json", "{", "to contain JSON, got invalid JSON"),
        ("x.json", '{"x": NaN}', "to contain JSON, got invalid JSON"),
        ("x.toml", "x = ", "must be TOML"),
        ("x.toml", "x = 2026-01-01", "must be TOML that contains only values of JSON"),
        ("x.toml", "x = nan", "must be TOML that contains only values of JSON"),
        ("x.toml", "x = 1\nx = 2", "must be TOML"),
        ("x.yaml", "a: &a [*a]", "must be YAML that contains only values of JSON"),
        ("x.yaml", BOMB, "the content must have at most"),
        ("x.yaml", MERGES, "expected merge keys that insert at most 100000 names, got more (line "),
        ("x.yaml", "[" * 200_000, "expected at most 100 nested brackets, got more (line 1, column 101)"),
        ("x.yaml", "a: !!bool x", "expected a value of the type !!bool, got another value (line 1, column 4)"),
        ("x.yaml", 'a: !!int ""', "expected a value of the type !!int, got another value (line 1, column 4)"),
        ("x.yaml", "a: !!timestamp x", "expected a value of the type !!timestamp, got another value"),
        ("x.yaml", "x" * (LARGEST + 1), f"must have at most {LARGEST} bytes, got more"),
        ("x.yaml", "é" * (LARGEST // 2 + 1), f"must have at most {LARGEST} bytes, got more"),
    ],
    ids=str,
)
def test_invalid_content_is_rejected_with_the_file(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(DataFileError) as refused:
        read_data_file(write(tmp_path, name, content))
    assert str(tmp_path / name) in str(refused.value)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("x.json", '{"a": {"fps": 10, "fps": 20}}', ""),
        ("x.yaml", "a:\n  fps: 10\n  'fps': 20\n", r" \(line 3, column 3\)"),
    ],
)
def test_name_that_stands_twice_is_rejected(tmp_path: Path, name: str, content: str, place: str) -> None:
    with pytest.raises(DataFileError, match=f"an object must have each name once, got 'fps' twice{place}$"):
        read_data_file(write(tmp_path, name, content))


def test_names_that_are_equal_as_text_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="an object must have each name once, got '1' twice"):
        read_data_file(write(tmp_path, "x.yaml", "{1: a, '1': b}"))


def test_merged_names_may_be_replaced(tmp_path: Path) -> None:
    content = "p: {q: &b {<<: &a {x: 1}, x: 2}}\nc: {<<: *b, x: 3}\nd: {<<: [*a, *b]}\n"
    expected = {"p": {"q": {"x": 2}}, "c": {"x": 3}, "d": {"x": 1}}
    assert read_data_file(write(tmp_path, "x.yaml", content)) == expected


@pytest.mark.parametrize(
    ("name", "content"), [("x.json", '{"fps": 10}'), ("x.toml", "fps = 10"), ("x.yaml", "fps: 10")]
)
def test_byte_order_mark_is_ignored(tmp_path: Path, name: str, content: str) -> None:
    assert read_data_file(write(tmp_path, name, f"\ufeff{content}")) == {"fps": 10}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.yaml", "keys: [ody_hush"),
        ("x.yaml", "keys: {ody_hush: {}, ody_hush: {}}"),
        ("x.yaml", "keys: *ody_hush"),
        ("x.yaml", "keys: !ody_hush x"),
        ("x.toml", "[keys.ody_hush]\n[keys.ody_hush]"),
        ("x.toml", "keys = {ody_hush"),
        ("x.json", '{"keys": {"ody_hush": {}, "ody_hush": {}}}'),
        ("x.json", '{"keys": ["ody_hush"'),
    ],
)
def test_message_contains_no_key(tmp_path: Path, name: str, content: str) -> None:
    with pytest.raises(DataFileError) as refused:
        read_data_file(write(tmp_path, name, content))
    assert "hush" not in str(refused.value)


def test_missing_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="cannot be read"):
        read_data_file(tmp_path / "missing.yaml")
