"""Fail on the words in `INSTEAD`, long docstring sentences and test names that are too short or too long.

The rules are in CONTRIBUTING.md ("Writing"). They cover docstrings, comments and string literals of Python files, and
the text of Markdown pages without code blocks and code spans.

    python scripts/prose.py                   # every tracked file
    python scripts/prose.py README.md tests   # some files and folders
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

INSTEAD = {
    r"whoever|whomever": "the client, the caller, the test, ...",
    r"somebody|someone|anybody|anyone": "the client, the caller, the test, ...",
    r"nobody": "no client, no caller, ...",
    r"whatever|whichever": "any, every, or the noun",
    r"came": "got, received, arrived",
    r"is said|was said|had to say|has to say": "the document, the message or the error states",
    r"of which there": "a sentence of its own",
    r"as it stands|as they stand": "unchanged",
    r"anew": "again",
    r"in vain": "without success",
    r"be had": "available",
}
"""Words that hide the subject of a sentence, as regular expressions, each with a suggestion of what to write."""

MAX_SENTENCE_WORDS = 30
"""Maximum number of words in one sentence of a docstring."""

TEST_NAME_WORDS = range(3, 9)
"""Allowed number of words in the name of a test, without `test_`."""

EXEMPT = {"scripts/prose.py", "tests/test_prose.py"}
"""Files that may contain these words, because they quote them."""

_INDIRECT = re.compile(rf"\b(?:{'|'.join(INSTEAD)})\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|:?\n\s*\n|\n\s*(?=[-*|] )|\n\s*(?=\w+: )")
_CODE_BLOCK = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
_CODE_SPAN = re.compile(r"``.+?``|`[^`\n]+`")


@dataclass(frozen=True)
class Finding:
    """One place in a file that must be rewritten."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def check_python(path: str, source: str) -> Iterator[Finding]:
    """Yield the findings in a Python file: in its comments, strings, docstrings and names of tests."""
    if _INDIRECT.search(source):  # few files contain these words at all, and dividing a file into tokens takes long
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type in {tokenize.COMMENT, tokenize.STRING, tokenize.FSTRING_MIDDLE}:
                yield from _indirect_words(path, token.start[0], token.string)
    has_tests = Path(path).name.startswith("test_")
    for node in ast.walk(ast.parse(source)):
        if has_tests and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            words = len(node.name.removeprefix("test_").split("_"))
            if words not in TEST_NAME_WORDS:
                expected = f"{TEST_NAME_WORDS[0]} to {TEST_NAME_WORDS[-1]} words"
                yield Finding(path, node.lineno, f"{node.name}: expected {expected}, got {words}")
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from _long_sentences(path, node.lineno, node.value.value)


def check_markdown(path: str, text: str) -> Iterator[Finding]:
    """Yield a finding for each word of `INSTEAD` in a Markdown page, except in code."""
    for pattern in (_CODE_BLOCK, _CODE_SPAN):
        text = pattern.sub(lambda code: "\n" * code[0].count("\n"), text)
    yield from _indirect_words(path, 1, text)


def _indirect_words(path: str, line: int, text: str) -> Iterator[Finding]:
    for found in _INDIRECT.finditer(text):
        instead = next(use for words, use in INSTEAD.items() if re.fullmatch(words, found[0], re.IGNORECASE))
        where = line + text.count("\n", 0, found.start())
        yield Finding(path, where, f"{found[0]!r} is indirect; name the subject: {instead}")


def _long_sentences(path: str, line: int, docstring: str) -> Iterator[Finding]:
    for sentence in _SENTENCE_END.split(_CODE_SPAN.sub("code", docstring)):
        words = re.findall(r"[\w'/-]+", sentence)
        if len(words) > MAX_SENTENCE_WORDS:
            start = " ".join(words[:6])
            expected = f"{MAX_SENTENCE_WORDS} words at most"
            yield Finding(path, line, f"sentence of {len(words)} words, expected {expected}: {start} ...")


CHECKS = {".py": check_python, ".md": check_markdown}


def check(files: Iterable[Path]) -> list[Finding]:
    """Return the findings in `files`, in the order of the files."""
    return [
        finding
        for file in files
        if file.suffix in CHECKS
        for finding in CHECKS[file.suffix](str(file), file.read_text())
    ]


def main() -> None:
    command = ["git", "ls-files", "--", *sys.argv[1:]]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - a developer's arguments
    names = [name for name in listed.stdout.splitlines() if name not in EXEMPT]
    findings = check(path for path in map(Path, names) if path.exists())  # a deleted file may still be tracked
    if findings:
        places = "\n".join(map(str, findings))
        sys.exit(f"{places}\n{len(findings)} places to rewrite; CONTRIBUTING.md has the rules")


if __name__ == "__main__":
    main()
