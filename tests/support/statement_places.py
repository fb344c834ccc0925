"""The places of the statements in `protocol.md`: anchors with the ids of `statements.yaml`.

An anchor is before the fact that it names. It is not visible:

    | `POST /auth/token` | `api_key` | `access_token`, <a id="rest.token.expires-in"></a>`expires_in` (3600) | [S][C] |

The introduction of the page describes which mark covers a place. `places` finds this mark in the same way.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from odyssey_mock.verification.statements import Source

ANCHOR = re.compile(r'<a id="([^"]*)"></a>')
_MARKS = re.compile(r"(?:\[[SDCM]\])+(?!\()")
_END_MARKS = re.compile(r"\[[SDCM]\][:.]?\s*\Z")
_HEADING = re.compile(r"(#+) (?:(\d+)\. )?.*")
_CELL_BORDER = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Place:
    """The place of a statement.

    Attributes:
        id: The id in the anchor.
        section: The number of the section that contains the place, or 0 for a place before the first section.
        marks: The sources of the mark that covers the place, or no sources if no mark covers it.
    """

    id: str
    section: int
    marks: frozenset[Source]


@dataclass
class _Reader:
    """The state between two blocks: the section, and the marks that can cover the next block.

    Attributes:
        headings: The marks of each heading above the block, by its level.
        introduction: The last marks of the last paragraph since the heading.
        ends_with_marks: Whether this paragraph ends with these marks. Others do not cover the items of a list below.
    """

    section: int = 0
    headings: dict[int, frozenset[Source]] = field(default_factory=dict)
    introduction: frozenset[Source] = frozenset()
    ends_with_marks: bool = False

    def places(self, block: Sequence[str]) -> Iterator[Place]:
        """Yield the places of a block."""
        if heading := _HEADING.fullmatch(block[0]):
            level = len(heading[1])
            self.section = int(heading[2] or self.section)
            self.headings = {each: marks for each, marks in self.headings.items() if each < level}
            self.headings[level] = _marks(block[0])
            self.introduction = frozenset()
        elif block[0].startswith("|"):
            yield from self._in_table(block)
        else:
            text = "\n".join(block)
            is_item = block[0].startswith("- ")
            covering = [self.introduction] if is_item and self.ends_with_marks else []
            for anchor in ANCHOR.finditer(text):
                yield self._place(anchor[1], [_marks(text[anchor.end() :]), *covering])
            if not is_item:
                self.introduction = _last_marks(text)
                self.ends_with_marks = _END_MARKS.search(text) is not None

    def _in_table(self, rows: Sequence[str]) -> Iterator[Place]:
        titles = _CELL_BORDER.split(rows[0])
        own = [_marks(title) for title in titles]
        marked = [marks for marks in own if marks]
        for row in rows:
            cells = _CELL_BORDER.split(row)
            source = next(
                (_marks(cell) for title, cell in zip(titles, cells, strict=True) if title.strip() == "source"), None
            )
            for column, cell in enumerate(cells):
                for anchor in ANCHOR.finditer(cell):
                    covering = [_marks(cell[anchor.end() :]), source, own[column]]
                    if len(marked) == 1:
                        covering.append(marked[0])
                    covering.append(self.introduction)
                    yield self._place(anchor[1], covering)

    def _place(self, name: str, covering: Sequence[frozenset[Source] | None]) -> Place:
        above = [self.headings[level] for level in sorted(self.headings, reverse=True)]
        marks = next((each for each in (*covering, *above) if each), frozenset[Source]())
        return Place(name, self.section, marks)


def places(page: str) -> list[Place]:
    """Return the places of the statements of a page, in order."""
    reader = _Reader()
    return [place for block in _blocks(page) for place in reader.places(block)]


def _blocks(page: str) -> Iterator[list[str]]:
    """Yield each heading, paragraph, table and list item, as its lines."""
    block: list[str] = []
    for line in [*page.splitlines(), ""]:
        begins = line.startswith(("- ", "#", "<!--"))
        if block and (not line.strip() or begins):
            yield block
            block = []
        if line.strip():
            block.append(line)


def _marks(text: str) -> frozenset[Source]:
    found = _MARKS.search(text)
    return frozenset(Source(each) for each in found[0].strip("[]").split("][")) if found else frozenset()


def _last_marks(text: str) -> frozenset[Source]:
    found = _MARKS.findall(text)
    return _marks(found[-1]) if found else frozenset()
