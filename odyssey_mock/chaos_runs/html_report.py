"""The report of chaos runs as one HTML page without external files: a table of faults and tests."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from odyssey_mock.chaos_runs.results import ChaosReport, Run, headline
from odyssey_mock.faults.catalog import POINTS

_STYLE = """
:root { color-scheme: light dark; --text: #1c2024; --page: #fff; --line: #d5d9de; --soft: #f4f5f7; --quiet: #5d6670;
  --passed: #e2f3e5; --passed-text: #14592a; --failed: #fbdfdd; --failed-text: #8c1710; --hung: #fdeccb;
  --hung-text: #6f4500; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e7eb; --page: #15181c; --line: #363c44; --soft: #1f2429;
  --quiet: #9aa4af; --passed: #16351f; --passed-text: #9fdcae; --failed: #4a1a18; --failed-text: #ffb4ad;
  --hung: #453208; --hung-text: #f7cf7d; } }
* { box-sizing: border-box }
body { margin: 2rem; font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page) }
h1 { font-size: 1.4rem; margin: 0 0 .25rem }
p { margin: 0 0 1.25rem; color: var(--quiet) }
.scroll { overflow-x: auto }
table { border-collapse: separate; border-spacing: 0; border: 1px solid var(--line) }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
tr:last-child > * { border-bottom: 0 }
td { border-left: 1px solid var(--line); white-space: nowrap }
thead th { background: var(--soft); font-weight: 600; min-width: 16ch; max-width: 34ch; vertical-align: bottom }
thead th + th { border-left: 1px solid var(--line) }
tbody th { font-weight: 400; white-space: nowrap; position: sticky; left: 0; background: var(--page) }
tbody th.point { font-weight: 600; background: var(--soft); border-top: 1px solid var(--line) }
td.passed { background: var(--passed); color: var(--passed-text) }
td.failed { background: var(--failed); color: var(--failed-text) }
td.hung { background: var(--hung); color: var(--hung-text) }
td.none { color: var(--quiet) }
summary { cursor: pointer }
small { color: var(--quiet) }
td small { color: inherit; opacity: .8 }
pre { margin: .4rem 0; padding: .6rem; max-width: 90ch; max-height: 24rem; overflow: auto; white-space: pre-wrap;
  color: var(--text); background: var(--page); border: 1px solid var(--line); font: 12px/1.45 ui-monospace, monospace }
"""


def html_report(report: ChaosReport) -> str:
    """Return the report as an HTML page."""
    return "".join(_page(report))


def _page(report: ChaosReport) -> Iterator[str]:
    title = "Chaos runs"
    yield f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
    yield '<meta name="viewport" content="width=device-width">\n'
    yield f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p>{escape(headline(report))}</p>\n"
    tests = report.tests
    if tests:
        yield '<div class="scroll">\n<table>\n<thead>\n<tr><th>fault</th>'
        yield from (f"<th>{_breakable(test)}</th>" for test in tests)
        yield "</tr>\n</thead>\n<tbody>\n"
        yield from _rows(tests)
        yield "</tbody>\n</table>\n</div>\n"
    yield "</body>\n</html>\n"


def _breakable(test: str) -> str:
    """Return the name of a test as HTML with possible line breaks between its words."""
    return escape(test).replace("::", "::<wbr>").replace("/", "/<wbr>").replace("_", "_<wbr>")


def _rows(tests: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    """Yield a table row for each fault point, in the order of the catalog, followed by a row for each of its faults."""
    results = {(run.test, run.point, run.fault): run for runs in tests.values() for run in runs}
    points: dict[str, dict[str, None]] = {}
    for _, point, fault in results:
        points.setdefault(point, {})[fault] = None
    for point, faults in sorted(points.items(), key=lambda each: list(POINTS).index(each[0])):
        yield f'<tr><th class="point" colspan="{len(tests) + 1}">{escape(point)}</th></tr>\n'
        for fault in faults:
            yield f"<tr><th>{escape(fault.removeprefix(f'{point}: '))}</th>"
            yield from (_cell(results.get((test, point, fault))) for test in tests)
            yield "</tr>\n"


def _cell(run: Run | None) -> str:
    if run is None:
        return '<td class="none">not tried</td>'
    words = f"{run.verdict} <small>{run.seconds:.1f} s</small>"
    kind = "none" if run.verdict == "not reached" else run.verdict
    if run.survived:
        return f'<td class="{kind}">{words}</td>'
    details = "\n\n".join(filter(None, (run.reason, run.output)))
    return f'<td class="{kind}"><details><summary>{words}</summary><pre>{escape(details)}</pre></details></td>'
