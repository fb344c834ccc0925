"""Tests that `scripts/draw_performance.py` writes the results of a report into a page."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from odyssey_mock.bench.rows import Row

SCRIPT = Path(__file__).parent.parent / "scripts" / "draw_performance.py"
REPORT = {
    "command": "odyssey-mock bench all",
    "time": "2030-01-02T03:04:05+00:00",
    "machine": {"cpu": "Some CPU", "cores": 2, "system": "Linux x86_64"},
    "versions": {"python": "3.13.0", "aiortc": "1.2"},
}
PLACE = "<!-- table: results -->\nold\n<!-- /table -->\n"
PAGE = f"# Performance\n\nBy hand.\n\n{PLACE}\n## Missed targets\n"
CONNECT = Row("connect", [3.0], [2.0], "ms", limit=1.3, note="fast")
FIXTURE = Row("fixture, CPU", [1.0, 2.0], [1.0, 1.0], "ms of CPU", limit=2.0)


def draw(folder: Path, page: str, *, benchmark: str = "connect") -> tuple[subprocess.CompletedProcess[str], str]:
    """Run the script on a report with a missed and a reached target; return the result, and the new page."""
    rows = [
        {"benchmark": benchmark, **CONNECT.to_json()},
        {"benchmark": "fixture", **FIXTURE.to_json()},
    ]
    (folder / "report.json").write_text(json.dumps({**REPORT, "rows": rows}))
    file = folder / "explanation" / "page.md"
    file.parent.mkdir()
    file.write_text(page)
    ran = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder / "report.json"), str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return ran, file.read_text()


def test_results_replace_only_their_part(tmp_path: Path) -> None:
    explained = f"{PAGE}\n### connect\n\nBy hand, too.\n"
    ran, page = draw(tmp_path, explained)
    assert (ran.returncode, ran.stderr) == (0, "")
    before, after = page.split("<!-- table: results -->\n")[0], page.split("<!-- /table -->\n")[1]
    assert explained == f"{before}{PLACE}{after}"
    assert "old" not in page
    assert "Machine: Some CPU, 2 processors, Linux x86_64" in page
    assert "Versions: python 3.13.0, aiortc 1.2" in page
    assert "| connect | 3 (fast) | 2 | ms | 1.5 | 1.5 to 1.5 | 1.3 | [no](#connect) |" in page
    assert "| fixture, CPU | 1.5 | 1 | ms of CPU | 1.5 | 1.25 to 1.75 | 2 | yes |" in page


def test_plots_are_written_where_the_page_expects_them(tmp_path: Path) -> None:
    _, page = draw(tmp_path, PAGE)
    assert "(../images/performance/fixture.svg)" in page
    plots = sorted((tmp_path / "images" / "performance").iterdir())
    assert [each.name for each in plots] == ["connect.svg", "fixture.svg"]
    assert "fixture, CPU: 1.50 times" in "".join(ElementTree.parse(plots[1]).getroot().itertext())


def test_missed_target_without_explanation_fails(tmp_path: Path) -> None:
    ran, page = draw(tmp_path, PAGE)
    assert ran.returncode == 1
    assert ran.stderr == (
        "page.md: expected a section below `## Missed targets` for each missed target, got none for: connect\n"
    )
    assert "| connect |" in page


def test_section_of_a_benchmark_explains_its_rows(tmp_path: Path) -> None:
    ran, page = draw(tmp_path, f"{PAGE}\n### connects\n\nSlow.\n", benchmark="connects")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "| [no](#connects) |" in page


def test_explanation_of_a_reached_target_fails(tmp_path: Path) -> None:
    ran, _ = draw(tmp_path, f"{PAGE}\n### connect\n\nSlow.\n\n### fixture, CPU\n\nAlso slow.\n")
    assert ran.returncode == 1
    assert ran.stderr == (
        "page.md: expected no section below `## Missed targets` for targets that are reached, got: fixture, CPU\n"
    )


@pytest.mark.parametrize(
    ("places", "found"),
    [("", 0), ("<!-- table: results -->\n<!-- table: others -->\n<!-- /table -->\n", 0), (PLACE * 2, 2)],
    ids=["none", "without end", "two"],
)
def test_page_without_one_place_is_kept(tmp_path: Path, places: str, found: int) -> None:
    wrong = PAGE.replace(PLACE, places)
    ran, page = draw(tmp_path, wrong)
    assert (ran.returncode, page) == (1, wrong)
    expected = f"page.md: expected one <!-- table: results --> to <!-- /table -->, got {found}"
    assert ran.stderr.splitlines()[-1].endswith(expected), f"expected {expected!r}, got:\n{ran.stderr}"
