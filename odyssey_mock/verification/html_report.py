"""The report of a run as one HTML page without external files."""

from collections.abc import Iterator
from html import escape

from odyssey_mock.verification.judgment import VERDICTS, Finding
from odyssey_mock.verification.report import ASSUMED, HEADINGS, Report, summary

_STYLE = """
:root { color-scheme: light dark; --text: #1c2024; --page: #fff; --line: #d5d9de; --soft: #f4f5f7; --quiet: #5d6670;
  --contradicted: #8c1710; --new: #6b3fa0; --not-seen: #6f4500; --confirmed: #14592a; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e7eb; --page: #15181c; --line: #363c44; --soft: #1f2429;
  --quiet: #9aa4af; --contradicted: #ffb4ad; --new: #d0b3f5; --not-seen: #f7cf7d; --confirmed: #9fdcae; } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 68rem; font: 15px/1.5 system-ui, sans-serif;
  color: var(--text); background: var(--page) }
h1 { font-size: 1.5rem; margin: 0 0 .25rem }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .1rem }
p { margin: 0 0 1rem }
.quiet { color: var(--quiet) }
.contradicted { color: var(--contradicted) } .new { color: var(--new) }
.not-seen { color: var(--not-seen) } .confirmed { color: var(--confirmed) }
.counts { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1rem 0; padding: 0; list-style: none }
.counts li { border: 1px solid var(--line); border-radius: .5rem; padding: .4rem .9rem; background: var(--soft) }
.counts a { color: inherit; text-decoration: none }
.counts b { font-size: 1.25rem; margin-right: .35rem }
code { font: .9em/1.45 ui-monospace, monospace; overflow-wrap: anywhere }
article { border-top: 1px solid var(--line); padding: .65rem 0 }
article p { margin: 0 }
dl { display: grid; grid-template-columns: 5rem 1fr; gap: .1rem .75rem; margin: .35rem 0 0 }
dt { color: var(--quiet) }
dd { margin: 0; overflow-wrap: anywhere }
.assumed { border-left: 3px solid var(--contradicted); padding-left: .6rem; margin-top: .4rem }
table { border-collapse: collapse; width: 100% }
th, td { padding: .3rem .9rem .3rem 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top }
th { font-weight: 600; white-space: nowrap; width: 1% }
td { overflow-wrap: anywhere }
.reason td { border-top: 0; padding-top: 0; color: var(--quiet) }
.number { padding-right: 0; text-align: right; white-space: nowrap; width: 1% }

"""


def html_report(report: Report) -> str:
    """Return the report as an HTML page."""
    return "".join(_page(report))


def _page(report: Report) -> Iterator[str]:
    title = "Verification of the service"
    yield f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
    yield '<meta name="viewport" content="width=device-width">\n'
    yield f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    versions = ", ".join(f"{name} {version}" for name, version in report.recorded_by.items())
    yield f'<p class="quiet"><code>{escape(report.service)}</code>, {escape(report.began_at)}, '
    yield f"{report.seconds:.0f} s<br>{escape(versions)}</p>\n<p>{escape(summary(report))}</p>\n"
    yield '<ul class="counts">\n'
    for verdict in VERDICTS:
        place, name = _place(verdict), HEADINGS[verdict][0].lower()
        yield f'<li class="{place}"><a href="#{place}"><b>{report.counts[verdict]}</b>{name}</a></li>\n'
    yield "</ul>\n"
    yield from _steps(report)
    for verdict in VERDICTS:
        found = [each for each in report.findings if each.verdict == verdict]
        heading, meaning = HEADINGS[verdict]
        yield f'<h2 id="{_place(verdict)}" class="{_place(verdict)}">{heading} ({len(found)})</h2>\n'
        yield f'<p class="quiet">{escape(meaning)}</p>\n'
        for finding in found:
            yield from _finding(finding)
    yield "</body>\n</html>\n"


def _place(verdict: str) -> str:
    return verdict.replace(" ", "-")


def _steps(report: Report) -> Iterator[str]:
    yield "<h2>Steps</h2>\n<table>\n<thead><tr><th>step</th><th>result</th>"
    yield '<th class="number">seconds</th></tr></thead>\n<tbody>\n'
    for step in report.steps:
        yield f"<tr><th>{escape(step.name)}</th><td>{step.outcome}</td>"
        yield f'<td class="number">{step.seconds:.1f}</td></tr>\n'
        if step.reason:
            yield f'<tr class="reason"><td colspan="3">{escape(step.reason)}</td></tr>\n'
    yield "</tbody>\n</table>\n"


def _finding(finding: Finding) -> Iterator[str]:
    yield "<article>\n<p>"
    if finding.statement is not None:
        sources = " ".join(f"[{source}]" for source in finding.statement.sources)
        yield f'<code>{escape(finding.statement.id)}</code> <span class="quiet">{escape(sources)}</span><br>'
    yield f"{_with_code(finding.what)}</p>\n<dl>\n"
    names = {"confirmed": "seen", "not seen": "reason"}
    if finding.expected:
        yield f"<dt>expected</dt><dd>{_with_code(finding.expected)}</dd>\n"
    if finding.seen:
        yield f"<dt>{names.get(finding.verdict, 'got')}</dt><dd><code>{escape(finding.seen)}</code></dd>\n"
    if finding.where:
        yield f"<dt>where</dt><dd><code>{escape(finding.where)}</code></dd>\n"
    yield "</dl>\n"
    if finding.is_false_assumption:
        yield f'<p class="assumed">This is {escape(ASSUMED)}.</p>\n'
    yield "</article>\n"


def _with_code(text: str) -> str:
    """Return text as HTML, with `words` in backquotes as code."""
    parts = escape(text).split("`")
    if len(parts) % 2 == 0:  # a lone backquote
        return escape(text)
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
