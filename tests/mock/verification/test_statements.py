"""Tests of reading `statements.yaml`."""

from pathlib import Path

import pytest

from odyssey_mock.verification import statements as module
from odyssey_mock.verification.statements import Source, Statement, statements

VALID = "- {id: a.b.c, section: 2, text: A fact., sources: [M, S], clients: [tests/test_it.py::test_it]}\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of a file that `statements` reads instead of its own."""
    path = tmp_path / "statements.yaml"
    monkeypatch.setattr(module, "STATEMENTS", path)
    return path


def test_statement_has_the_fields_of_the_file(file: Path) -> None:
    file.write_text(VALID)

    assert statements.__wrapped__() == {
        "a.b.c": Statement("a.b.c", 2, "A fact.", (Source.SEED, Source.MOCK), ("tests/test_it.py::test_it",))
    }


def test_only_decisions_of_this_project_are_assumed() -> None:
    assert statements()["peer.codec.h264"].is_assumed
    assert not statements()["rest.token.unknown-key"].is_assumed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("{}", "expected a list of objects with the fields", id="no list"),
        pytest.param(VALID * 2, "must have each id once, got a.b.c twice", id="double id"),
        pytest.param(VALID.replace("clients", "client"), "expected a list of objects", id="other field"),
        pytest.param(VALID.replace("section: 2, ", ""), "expected a list of objects", id="missing field"),
        pytest.param(VALID.replace("[M, S]", "[]"), "expected a list of objects", id="no source"),
        pytest.param(VALID.replace("[M, S]", "[X]"), "'X' is not a valid Source", id="unknown source"),
    ],
)
def test_invalid_file_is_rejected(file: Path, content: str, message: str) -> None:
    file.write_text(content)

    with pytest.raises(ValueError, match=message):
        statements.__wrapped__()
