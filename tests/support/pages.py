"""The pages of the documentation, their code blocks, and the sample projects that consist of these blocks."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

LANGUAGES_OF_FILES = ("python", "ini", "js")
"""The languages of code blocks that can show a file. Their first line is then a comment with the name of the file."""

WORKFLOW = "# .github/workflows/"
COMPOSE = "# compose."
"""How a `yaml` block begins that is a workflow of GitHub Actions, or a compose file. Others configure the mock."""

LANGUAGES_OF_PROJECTS = ("sh", "text")
"""The languages of code blocks that show the commands of a sample project, and the output of these commands."""


@dataclass(frozen=True)
class Block:
    """One fenced code block of a page.

    Attributes:
        section: the text of the last heading before the block.
    """

    page: Path
    line: int
    section: str
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def file(self) -> str | None:
        """The name of the file in the first line of the block; None if the block does not show a file."""
        named = re.match(r"(?:#|//) ([\w/-]+\.\w+)\n", self.code)
        return named[1] if named and self.language in LANGUAGES_OF_FILES else None


@dataclass(frozen=True)
class Project:
    """A sample project: the files, commands and output that one section of a page shows.

    Attributes:
        first: the first code block that shows a file.
        files: the contents of the files by name.
        commands: the contents of the section's `sh` blocks, or `pytest` if there are none.
        output: the contents of the section's `text` blocks, which show lines that the commands print.
    """

    first: Block
    files: Mapping[str, str]
    commands: str
    output: str

    def __str__(self) -> str:
        return str(self.first)

    @property
    def tests(self) -> int:
        """The number of test functions and methods in the files."""
        return sum(len(re.findall(r"^ *(?:async )?def test_", code, re.MULTILINE)) for code in self.files.values())


def blocks(language: str) -> list[Block]:
    """Return the code blocks in `language` that are not part of a sample project.

    Of several equal blocks, only the first is returned.
    """
    sections = {_section_of(project.first) for project in projects()}
    found: dict[str, Block] = {}
    for block in _all_blocks():
        is_in_project = block.file is not None or (
            block.language in LANGUAGES_OF_PROJECTS and _section_of(block) in sections
        )
        if block.language == language and not is_in_project:
            found.setdefault(block.code, block)
    return list(found.values())


def projects() -> list[Project]:
    """Return a sample project for each section that contains a code block with the name of a file."""
    sections: dict[tuple[Path, str], list[Block]] = {}
    for block in _all_blocks():
        sections.setdefault(_section_of(block), []).append(block)
    return [project for section in sections.values() if (project := _project(section)) is not None]


def _project(section: list[Block]) -> Project | None:
    named = [(block.file, block) for block in section if block.file is not None]
    if not named:
        return None
    files = {name: block.code for name, block in named}
    assert len(files) == len(named), (
        f"{named[0][1]}: expected different file names in this section, got {[name for name, _ in named]}"
    )
    first = named[0][1]
    commands = "".join(block.code for block in section if block.language == "sh")
    output = "".join(block.code for block in section if block.language == "text")
    return Project(first, files, commands or "pytest\n", output)


def _section_of(block: Block) -> tuple[Path, str]:
    return block.page, block.section


def _all_blocks() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text()
        section = ""
        for part in re.finditer(r"^```(\w*)\n(.*?)^```|^#+ ([^\n]*)$", text, re.DOTALL | re.MULTILINE):
            if part[3] is not None:
                section = part[3]
            else:
                yield Block(page, text.count("\n", 0, part.start()) + 1, section, part[1], part[2])
