"""Tests of `odyssey-mock trace show`: where the page is written, and whether it is opened."""

import webbrowser
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from click.testing import CliRunner, Result

from odyssey_mock.cli.app import main
from odyssey_mock.trace.page import viewer_page
from tests.support import sample_traces


def trace(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["trace", *map(str, arguments)])


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the URLs that the command opens in the browser."""
    urls: list[str] = []

    def note(url: str) -> bool:
        urls.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", note)
    return urls


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cat.odytrace"
    path.write_bytes(sample_traces.passed())
    return path


def test_show_opens_a_temporary_page(file: Path, opened: list[str]) -> None:
    result = trace("show", file)

    assert result.exit_code == 0, result.output
    [url] = opened
    page = Path(url2pathname(urlsplit(url).path))
    try:
        assert page.read_text() == viewer_page(file.read_bytes(), name="cat.odytrace")
        assert result.output == f"{page}\n"
    finally:
        page.unlink()


def test_show_writes_a_page_without_opening(file: Path, tmp_path: Path, opened: list[str]) -> None:
    output = tmp_path / "page.html"
    result = trace("show", file, "--output", output, "--no-open")

    assert (result.exit_code, result.output, opened) == (0, f"{output}\n", [])
    assert output.read_text() == viewer_page(file.read_bytes(), name="cat.odytrace")


def test_show_without_file_writes_an_empty_page(tmp_path: Path, opened: list[str]) -> None:
    output = tmp_path / "page.html"
    result = trace("show", "--output", output)

    assert (result.exit_code, opened) == (0, [output.as_uri()])
    assert output.read_text() == viewer_page(None)


def test_show_refuses_a_foreign_file(tmp_path: Path, opened: list[str]) -> None:
    path = tmp_path / "notes.odytrace"
    path.write_text("no zip")
    result = trace("show", path)

    assert (result.exit_code, opened) == (2, [])
    assert f"{path}: expected a trace file" in result.output


def test_show_explains_a_missing_directory(file: Path, tmp_path: Path, opened: list[str]) -> None:
    result = trace("show", file, "--output", tmp_path / "missing" / "page.html")

    assert (result.exit_code, opened) == (2, [])
    assert f"cannot write {tmp_path / 'missing' / 'page.html'}: No such file" in result.output


def test_show_without_browser_names_the_page(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    output = tmp_path / "page.html"
    result = trace("show", file, "--output", output)

    assert result.exit_code == 2
    assert f"found no browser: open {output} in one" in result.output


def test_show_does_not_replace_the_trace(file: Path, opened: list[str]) -> None:
    content = file.read_bytes()
    result = trace("show", file, "--output", file)

    assert (result.exit_code, opened) == (2, [])
    assert "--output: expected another file than the trace" in result.output
    assert file.read_bytes() == content
