"""Generate the results on `docs/explanation/performance.md`, and its plots, from a report of the benchmarks.

    odyssey-mock bench all --json REPORT.json
    python scripts/draw_performance.py REPORT.json [PAGE]

The results are the table `results` of the page. All other text of the page is written by hand. Each row that misses
its target needs a section `### NAME` in the part `## Missed targets`, with its name or that of its benchmark. The
script fails if one has no section, or if a section is about a target that is reached.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from generated_tables import with_tables
from odyssey_mock.bench.plots import plot
from odyssey_mock.bench.rows import Row, Spread, shown

PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "performance.md"
IMAGES = Path("..", "images", "performance")
"""Folder of the plots, relative to that of the page."""
MISSED = "## Missed targets\n"

type Report = Mapping[str, Any]  # Any: JSON
type Rows = Mapping[str, Sequence[Row]]
"""The rows of each benchmark."""


def main() -> None:
    report: Report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    page = Path(sys.argv[2]) if len(sys.argv) > 2 else PAGE
    rows: dict[str, list[Row]] = {}
    for row in report["rows"]:
        rows.setdefault(row["benchmark"], []).append(Row.from_json(row))
    images = page.parent / IMAGES
    images.mkdir(parents=True, exist_ok=True)
    for name, compared in rows.items():
        (images / f"{name}.svg").write_text(plot(name, compared), encoding="utf-8")
    text = page.read_text(encoding="utf-8")
    explained = re.findall(r"^### (.*)$", text.partition(MISSED)[2], re.MULTILINE)
    drawn = "\n".join(["", *_environment(report), *_table(rows, explained), *_images(rows), "", ""])
    page.write_text(with_tables(page, {"results": drawn}), encoding="utf-8")
    if problems := [*_problems(rows, explained)]:
        sys.exit("\n".join(f"{page.name}: {problem}" for problem in problems))


def _environment(report: Report) -> Iterator[str]:
    machine, versions = report["machine"], report["versions"]
    yield f"Command: `{report['command']}`, {report['time'][:10]}"
    yield ""
    yield f"Machine: {machine['cpu']}, {machine['cores']} processors, {machine['system']}"
    yield ""
    yield f"Versions: {', '.join(f'{name} {version}' for name, version in versions.items())}"
    yield ""


def _table(rows: Rows, explained: Sequence[str]) -> Iterator[str]:
    yield "| row | this project | baseline | unit | ratio | quartiles of the ratio | target | reached |"
    yield "|---|---|---|---|---|---|---|---|"
    for benchmark, compared in rows.items():
        for row in compared:
            spread = row.spread
            ours = shown(Spread.of(row.ours).median) + (f" ({row.note})" if row.note else "")
            section = _anchor(row.name if row.name in explained else benchmark)
            yield (
                f"| {row.name} | {ours} | {shown(Spread.of(row.baseline).median)} | {row.unit} | {spread.median:.3g} | "
                f"{spread.lower:.3g} to {spread.upper:.3g} | {row.limit:.3g} | "
                f"{'yes' if row.ok else f'[no](#{section})'} |"
            )


def _images(rows: Rows) -> Iterator[str]:
    for name in rows:
        yield ""
        yield f"![The samples of the benchmark {name} and of its baseline]({(IMAGES / name).as_posix()}.svg)"


def _problems(rows: Rows, explained: Sequence[str]) -> Iterator[str]:
    """Yield what must be changed in the part that explains the missed targets."""
    missed = [(benchmark, row.name) for benchmark, compared in rows.items() for row in compared if not row.ok]
    if names := [name for benchmark, name in missed if not {benchmark, name}.intersection(explained)]:
        yield f"expected a section below `{MISSED.strip()}` for each missed target, got none for: {'; '.join(names)}"
    if names := [name for name in explained if not any(name in each for each in missed)]:
        yield f"expected no section below `{MISSED.strip()}` for targets that are reached, got: {'; '.join(names)}"


def _anchor(heading: str) -> str:
    """Return the anchor that GitHub derives from a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


if __name__ == "__main__":
    main()
