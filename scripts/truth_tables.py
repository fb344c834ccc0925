"""The tables of `docs/reference/truth.md`, from the statements of the protocol."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from odyssey_mock.verification.checks import verified_statements
from odyssey_mock.verification.statements import Source, Statement, statements

ROOT = Path(__file__).parent.parent
PROTOCOL = ROOT / "docs" / "reference" / "protocol.md"

CLIENTS: Mapping[str, str] = {
    "npm in Chromium": "the npm package `@odysseyml/odyssey` 1.3.1 in Chromium",
    "npm in Firefox": "the npm package 1.3.1 in Firefox",
    "npm in React": "the hook of the npm packages 1.3.1 and 1.0.0, in React and Chromium",
    "npm 1.0.0": "the npm package 1.0.0 in Chromium",
    "Python SDK": (
        "the vendor's Python SDK 1.3.0. It is on no package index: its tests are skipped unless "
        "`ODYSSEY_OFFICIAL_PYTHON` has its path"
    ),
    "hls.js": "hls.js in Chromium",
    "web page": "a page in Chromium without a client library",
    "schemathesis": "schemathesis, with the OpenAPI document of the mock",
}
"""The clients of other authors, each with its description."""

FILES: Mapping[str, str] = {
    "browser/test_firefox.py": "npm in Firefox",
    "browser/test_foreign_pages.py": "web page",
    "browser/test_hls_in_chromium.py": "hls.js",
    "browser/test_older_client.py": "npm 1.0.0",
    "browser/test_react.py": "npm in React",
    "official_python/test_official_python.py": "Python SDK",
    "openapi/test_schemathesis.py": "schemathesis",
}
"""The client of each file in `tests/contract`. Other files have tests of the npm package in both browsers."""

STRENGTH: Mapping[Source, str] = {
    Source.SEED: "the vendor's documentation from which the project started [S]",
    Source.DOCUMENTATION: "the rest of the vendor's documentation [D]",
    Source.CLIENTS: "the vendor's clients, observed [C]",
    Source.MOCK: "only decisions of this project [M]",
}
"""What each source is. A statement counts for the first one that it has."""

OWN_AREAS = {"control", "fault", "test-key", "test-prompt"}
"""The areas of statements about parts of the mock that the service does not have."""


def _client_of(test: str) -> str:
    """Return the name of the client in a test, which has the form `path/to/test_file.py::test_name`."""
    path, _, function = test.removeprefix("tests/contract/").partition("::")
    return FILES.get(path) or ("npm in Firefox" if "firefox" in function else "npm in Chromium")


def _totals(listed: Collection[Statement]) -> Iterator[str]:
    yield "| strongest source | statements | covered by clients of other authors | tested by `verify` |"
    yield "|---|---|---|---|"
    for source, description in STRENGTH.items():
        yield _total(description, [each for each in listed if each.sources[0] is source])
    yield _total("**all**", listed)


def _total(title: str, counted: Collection[Statement]) -> str:
    covered = sum(bool(each.clients) for each in counted)
    return f"| {title} | {len(counted)} | {covered} | {_verified(counted)} |"


def _verified(counted: Iterable[Statement]) -> int:
    return sum(each.id in verified_statements() for each in counted)


def _clients(listed: Collection[Statement]) -> Iterator[str]:
    yield "| client | what it is | statements |"
    yield "|---|---|---|"
    for name, description in CLIENTS.items():
        count = sum(name in map(_client_of, each.clients) for each in listed)
        yield f"| {name} | {description} | {count} |"


def _weakest(listed: Collection[Statement]) -> Iterator[str]:
    areas: dict[str, list[Statement]] = {}
    for each in listed:
        area = each.id.partition(".")[0]
        if each.is_assumed and area not in OWN_AREAS:
            areas.setdefault(area, []).append(each)
    yield "| area | statements only on [M] | tested by `verify` | clients of other authors rely on |"
    yield "|---|---|---|---|"
    for area, members in sorted(areas.items(), key=lambda item: -len(item[1])):
        needed = ", ".join(map(_link, (each for each in members if each.clients)))
        yield f"| `{area}` | {len(members)} | {_verified(members)} | {needed} |"


def _statements(listed: Collection[Statement]) -> Iterator[str]:
    titles = re.findall(r"^## (\d+\. .*?)(?: \[M\])?$", PROTOCOL.read_text(), re.MULTILINE)
    for number, title in enumerate(titles, 1):
        members = [each for each in listed if each.section == number]
        yield f"## {title}"
        yield ""
        yield "| statement | sources | clients of other authors | `verify` |"
        yield "|---|---|---|---|"
        yield from map(_row, members)
        yield ""


def _row(statement: Statement) -> str:
    text = statement.text.replace("|", r"\|")
    sources = "".join(f"[{each}]" for each in statement.sources)
    tests: dict[str, str] = {}
    for test in statement.clients:
        tests.setdefault(_client_of(test), test.partition("::")[0])
    clients = ", ".join(f"[{name}](../../{tests[name]})" for name in CLIENTS if name in tests)
    verified = "tested" if statement.id in verified_statements() else ""
    return f"| {text}<br>{_link(statement)} | {sources} | {clients} | {verified} |"


def _link(statement: Statement) -> str:
    return f"[`{statement.id}`](protocol.md#{statement.id})"


def _drawn(lines: Callable[[Collection[Statement]], Iterator[str]]) -> str:
    return "\n".join(["", *lines(statements().values()), ""])


TABLES: Mapping[str, Callable[[], str]] = {
    "truth_totals": partial(_drawn, _totals),
    "truth_clients": partial(_drawn, _clients),
    "truth_weakest": partial(_drawn, _weakest),
    "truth_statements": partial(_drawn, _statements),
}
"""The functions that draw the tables, by name."""
