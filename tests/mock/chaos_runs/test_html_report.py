"""Tests of the HTML report of chaos runs."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from odyssey_mock.chaos_runs.html_report import html_report
from odyssey_mock.chaos_runs.report_file import ReportFileError, write_report
from odyssey_mock.chaos_runs.results import ChaosReport, Run, Verdict


def run(test: str, fault: str, verdict: Verdict, reason: str = "", output: str = "") -> Run:
    point, _, action = fault.partition(": ")
    return Run(
        test=test,
        fault=fault,
        point=point,
        action=action,
        verdict=verdict,
        seconds=1.25,
        reason=reason,
        output=output,
    )


REPORT = ChaosReport(
    runs=[
        run("test_a", "stream.end: silent", "hung", "did not end within 10 s", "waiting <forever>"),
        run("test_a", "rest.telemetry: reset", "passed"),
        run("test_b", "rest.telemetry: reset", "failed", "AssertionError: x < y"),
        run("test_b", "rest.telemetry: delay", "not reached", "(the fault did not act)"),
    ],
    planned=4,
)


class Table(HTMLParser):
    """An HTML parser. It collects the rows of the table as lists of cell texts, and the URLs in `src` and `href`."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.addresses: list[str] = []
        self._is_inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value for name, value in attrs if name in {"src", "href"} and value]
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
            self._is_inside = True

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th"}:
            self._is_inside = False

    def handle_data(self, data: str) -> None:
        if self._is_inside:
            self.rows[-1][-1] += data


def test_table_has_row_for_each_fault() -> None:
    assert Table(html_report(REPORT)).rows == [
        ["fault", "test_a", "test_b"],
        ["rest.telemetry"],
        ["reset", "passed 1.2 s", "failed 1.2 sAssertionError: x < y"],
        ["delay", "not tried", "not reached 1.2 s"],
        ["stream.end"],
        ["silent", "hung 1.2 sdid not end within 10 s\n\nwaiting <forever>", "not tried"],
    ]


def test_page_needs_no_other_file() -> None:
    page = html_report(REPORT)
    assert Table(page).addresses == []
    assert not re.search(r"url\(|@import|https?:", page)


def test_page_without_results_has_no_table() -> None:
    page = html_report(ChaosReport(runs=[], planned=3))
    assert Table(page).rows == []
    assert "3 of 3 runs not completed" in page


@pytest.mark.parametrize(("name", "start"), [("report.html", "<!doctype html>"), ("report.json", "{")])
def test_suffix_selects_the_format(tmp_path: Path, name: str, start: str) -> None:
    write_report(REPORT, tmp_path / name)
    assert (tmp_path / name).read_text().startswith(start)


@pytest.mark.parametrize("suffix", [".html", ".json"])
def test_text_that_utf8_cannot_encode_is_escaped(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"report{suffix}"
    write_report(ChaosReport(runs=[run("test_a", "stream.end: error", "failed", "\udc80")], planned=1), path)
    assert "\\udc80" in path.read_text()


def test_missing_directory_is_created(tmp_path: Path) -> None:
    write_report(REPORT, tmp_path / "new" / "report.html")
    assert (tmp_path / "new" / "report.html").exists()


def test_other_suffixes_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(ReportFileError, match=r"ends with \.html or \.json, got '.*report\.txt'"):
        write_report(REPORT, tmp_path / "report.txt")
