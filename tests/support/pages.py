"""The pages of the documentation, their code blocks, and the small projects that these blocks form."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

LANGUAGES_OF_FILES = ("python", "ini", "js")
"""The languages of blocks that may be a file. Such a block begins with a comment that contains only the file's name."""

LANGUAGES_OF_PROJECTS = ("sh", "text")
"""The languages of blocks that belong to the files of the same section: commands, and their output."""


@dataclass(frozen=True)
class Block:
    """One fenced code block of a page.

    Attributes:
        section: the heading above the block.
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
        """The name of the file that the block shows; None if it does not name one."""
        named = re.match(r"(?:#|//) ([\w/-]+\.\w+)\n", self.code)
        return named[1] if named and self.language in LANGUAGES_OF_FILES else None


@dataclass(frozen=True)
class Project:
    """The files that one section of a page shows.

    Attributes:
        files: the contents of the files by name.
        commands: the section's shell commands; without any, `pytest`.
        output: the text blocks of the section: lines of the commands' output.
    """

    first: Block
    files: Mapping[str, str]
    commands: str
    output: str

    def __str__(self) -> str:
        return str(self.first)

    @property
    def tests(self) -> int:
        """The number of test functions and methods."""
        return sum(len(re.findall(r"^ *(?:async )?def test_", code, re.MULTILINE)) for code in self.files.values())


def blocks(language: str) -> list[Block]:
    """Return the code blocks in a language that belong to no project.

    A block that several pages contain is returned once.
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
    """Return a project for each section with a block that names its file."""
    sections: dict[tuple[Path, str], list[Block]] = {}
    for block in _all_blocks():
        sections.setdefault(_section_of(block), []).append(block)
    return [project for section in sections.values() if (project := _project(section)) is not None]


def _project(section: list[Block]) -> Project | None:
    named = [(block.file, block) for block in section if block.file is not None]
    if not named:
        return None
    files = {name: block.code for name, block in named}
    assert len(files) == len(named), f"{named[0][1]}: two blocks of this section have the same file name"
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
