"""Tests that `protocol.md` and `statements.yaml` describe the same facts, and that the named tests of clients exist."""

import importlib
import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from odyssey_mock.verification.statements import Source, statements
from tests.support.statement_places import ANCHOR, places

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "reference" / "protocol.md").read_text()
ID = re.compile(r"[a-z]+(-[a-z]+)*(\.[a-z0-9]+(-[a-z0-9]+)*){2}")
SENTENCE = re.compile(r"[`A-Z]((?!\. [A-Z`]).)*\.")
WORDS = 35
"""Maximum number of words in a statement."""
OTHER_AUTHORS = tuple(f"tests/contract/{each}/test_" for each in ("browser", "official_python", "openapi"))
"""How the names of tests begin in which a client of other authors uses the mock."""


def test_page_has_an_anchor_for_each_statement() -> None:
    on_page = [place.id for place in places(PAGE)]

    assert [name for name, count in Counter(on_page).items() if count > 1] == [], "expected each id once in protocol.md"
    assert set(on_page) == set(statements())
    assert on_page == list(statements()), "expected statements.yaml to have the order of protocol.md"


def test_each_row_and_list_item_has_an_anchor() -> None:
    facts = PAGE[PAGE.index("\n## 2. ") :]
    written = re.sub(r"^<!-- table: .*?^<!-- /table -->", "", facts, flags=re.MULTILINE | re.DOTALL)
    rows = re.sub(r"^.*\n\|---.*$", "", written, flags=re.MULTILINE)  # without the heads of the tables
    blocks = re.findall(r"^(?:\||- ).*(?:\n  .*)*", rows, re.MULTILINE)

    without = [block for block in blocks if not ANCHOR.search(block) and not re.search(r"\(section \d+\)", block)]
    assert without == [], "expected an anchor, or the section that states the fact: (section 3)"


def test_marks_of_places_name_the_sources() -> None:
    on_page = {place.id: (place.section, letters(place.marks)) for place in places(PAGE)}
    listed = {each.id: (each.section, letters(each.sources)) for each in statements().values()}

    different = {name: (on_page[name], listed[name]) for name in on_page if on_page[name] != listed[name]}
    assert different == {}, "expected the same section and sources in protocol.md and statements.yaml"


def letters(sources: Collection[Source]) -> str:
    return "".join(each for each in Source if each in sources)


def test_no_anchor_is_inside_code() -> None:
    code = re.findall(r"`[^`\n]*`|^```.*?^```", PAGE, re.MULTILINE | re.DOTALL)

    assert [span for span in code if "<a id=" in span] == []


def test_statements_are_short_sentences() -> None:
    everything = statements().values()

    assert [each.id for each in everything if not ID.fullmatch(each.id)] == []
    assert [each.text for each in everything if not SENTENCE.fullmatch(each.text)] == []
    assert [each.text for each in everything if len(each.text.split()) > WORDS] == []


def test_texts_and_tests_of_clients_are_unique() -> None:
    assert [text for text, count in Counter(each.text for each in statements().values()).items() if count > 1] == []
    assert [each.id for each in statements().values() if len(set(each.clients)) < len(each.clients)] == []


def test_named_tests_of_clients_exist() -> None:
    named = {test for each in statements().values() for test in each.clients}

    assert sorted(test for test in named if not test.startswith(OTHER_AUTHORS)) == []
    assert sorted(test for test in named if not exists(test)) == []


def exists(test: str) -> bool:
    """Return whether a test exists: `path/to/test_file.py::test_name` or `...::test_name[value of its parameter]`."""
    path, _, name = test.partition("::")
    function, _, value = name.partition("[")
    if not (ROOT / path).is_file():
        return False
    found = getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), function, None)
    marks = [mark for mark in getattr(found, "pytestmark", []) if mark.name == "parametrize"]
    return found is not None and (not value or any(value.removesuffix("]") in mark.args[1] for mark in marks))


PAGE_OF_MARKS = """
Intro. <a id="before"></a>Fact.

## 1. First [C]

<a id="sentence"></a>A fact. <a id="first"></a>Another fact, [S] and <a id="last"></a>the last
<a id="second-line"></a>one. [D][M] A [link][C](x).

The list: [D]

- <a id="item"></a>from the introduction
- <a id="own"></a>its own [M]

A sentence. [D] Other things:

- <a id="other"></a>from the heading

The table [M]:

| what | meaning |
|---|---|
| <a id="table"></a>one | <a id="cell"></a>two [S] or <a id="after"></a>three |

### Sub

| what | meaning [S] | source |
|---|---|---|
| a | <a id="source"></a>b | [D] |

| what [S] | meaning |
|---|---|
| a | <a id="column"></a>b |

## 2. Second

<a id="none"></a>A fact.
"""


def test_mark_covers_as_the_page_describes() -> None:
    read = {place.id: letters(place.marks) for place in places(PAGE_OF_MARKS)}

    assert read == {
        "before": "",
        "sentence": "S",
        "first": "S",
        "last": "DM",
        "second-line": "DM",
        "item": "D",
        "own": "M",
        "other": "C",
        "table": "M",
        "cell": "S",
        "after": "M",
        "source": "D",
        "column": "S",
        "none": "",
    }
    assert {place.section for place in places(PAGE_OF_MARKS)} == {0, 1, 2}
