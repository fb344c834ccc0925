"""Tests that `scripts/prose.py`, which `make lint` runs, reports violations of the style guide with their lines."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIMIT = 60.0
"""Timeout in seconds for one run of the script. A run takes less than 1 s."""

LONG = " ".join(["word"] * 31)


def check(folder: Path, **files: str) -> subprocess.CompletedProcess[str]:
    """Write files into a new Git repository, and run the script there; return the result.

    The value of the argument `page_md` becomes the content of `page.md`.
    """
    subprocess.run(["git", "init", "-q", folder], check=True, timeout=LIMIT)
    for name, text in files.items():
        (folder / name.replace("_md", ".md").replace("_py", ".py")).write_text(text)
    subprocess.run(["git", "-C", folder, "add", "."], check=True, timeout=LIMIT)
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "prose.py")],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ('"""A module.\n\nFor whoever calls.\n"""\n', 3),
        ("x = 1\n# Nobody reads it.\n", 2),
        ('\nraise ValueError("expected 1, came 2")\n', 2),
        ('x = 2\nerror = f"{x} came"\n', 2),
    ],
    ids=["docstring", "comment", "message", "f-string"],
)
def test_indirect_word_in_python_is_reported(source: str, line: int, tmp_path: Path) -> None:
    checked = check(tmp_path, module_py=source)

    assert checked.returncode == 1
    assert f"module.py:{line}: " in checked.stderr
    assert "is indirect" in checked.stderr


def test_indirect_word_in_markdown_is_reported(tmp_path: Path) -> None:
    checked = check(tmp_path, page_md="# A page\n\n```sh\necho whoever\n```\n\n`somebody` and whatever\n")

    assert checked.stderr.splitlines()[0].startswith("page.md:7: 'whatever' is indirect")
    assert "1 places to rewrite" in checked.stderr


def test_names_in_code_are_not_prose(tmp_path: Path) -> None:
    checked = check(tmp_path, module_py="whoever = 1\nprint(whoever)\n")

    assert (checked.returncode, checked.stderr) == (0, "")


def test_long_docstring_sentence_is_reported(tmp_path: Path) -> None:
    checked = check(tmp_path, module_py=f'"""A module."""\n\n\ndef f():\n    """{LONG}. Short.\n    """\n')

    assert "module.py:5: sentence of 31 words" in checked.stderr


def test_several_short_sentences_are_accepted(tmp_path: Path) -> None:
    sentences = " ".join([" ".join(["word"] * 30) + "."] * 3)

    assert check(tmp_path, module_py=f'"""{sentences}"""\n').returncode == 0


@pytest.mark.parametrize(("name", "words"), [("test_two_words", 2), ("test_a_b_c_d_e_f_g_h_i", 9)])
def test_test_name_of_wrong_length_is_reported(name: str, words: int, tmp_path: Path) -> None:
    checked = check(tmp_path, test_module_py=f"def {name}():\n    pass\n")

    assert f"{name}: expected 3 to 8 words, got {words}" in checked.stderr
