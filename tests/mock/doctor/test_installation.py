"""Tests of the checks of what is installed."""

import importlib
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from odyssey_mock.doctor.installation import (
    check_browsers,
    check_codecs,
    check_fonts,
    check_packages,
    check_python,
)


def program(folder: Path, name: str, script: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("version", "implementation", "status", "advice"),
    [
        ((3, 12, 0), "CPython", "ok", ""),
        ((3, 14, 1), "CPython", "ok", ""),
        ((3, 11, 9), "CPython", "error", "Install Python 3.12 or later."),
        ((3, 13, 0), "PyPy", "warning", "Use CPython: the project is not tested with other implementations."),
    ],
)
def test_python_must_be_new_enough(version: tuple[int, ...], implementation: str, status: str, advice: str) -> None:
    finding = check_python(version, implementation)
    assert (finding.status, finding.advice) == (status, advice)
    assert finding.found.startswith(f"{implementation} {'.'.join(map(str, version))}, ")


@pytest.mark.parametrize(("missing", "package"), [("uvicorn", "odyssey-testkit[mock]"), ("aiortc", "odyssey-testkit")])
def test_missing_package_is_named_with_command(missing: str, package: str) -> None:
    def load(name: str) -> object:
        if name == missing:
            raise ImportError(f"No module named '{name}'")
        return importlib.import_module(name)

    finding = check_packages(load)
    assert finding.status == "error"
    assert finding.found == f"cannot import {missing} (No module named '{missing}')"
    assert finding.advice == f"Run: pip install --force-reinstall '{package}'"


def test_installed_packages_are_shown_with_versions() -> None:
    finding = check_packages()
    assert (finding.status, f"av {av.__version__}" in finding.found) == ("ok", True), finding


def test_codecs_of_this_machine_work() -> None:
    assert check_codecs().status == "ok"


@pytest.mark.parametrize(("codec", "library"), [("h264", "libx264"), ("vp8", "libvpx")])
def test_codec_without_encoder_is_an_error(codec: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    create: Callable[..., object] = av.CodecContext.create

    def create_other(name: str, mode: str) -> object:
        if name == library:
            raise av.error.EncoderNotFoundError(1, f"no encoder {name}")
        return create(name, mode)

    class Context:
        pass

    Context.create = staticmethod(create_other)  # type: ignore[attr-defined]
    monkeypatch.setattr("av.CodecContext", Context)
    finding = check_codecs()
    assert finding.status == "error"
    assert [part.partition(":")[0] for part in finding.found.split("; ")] == [codec]
    assert finding.advice.endswith("pip install --force-reinstall --only-binary :all: av")


def test_missing_fonts_are_a_warning() -> None:
    finding = check_fonts(lambda: ["Thai", "emoji"])
    assert (finding.status, finding.found) == (
        "warning",
        "no fonts for Thai, emoji: the picture shows code points instead",
    )
    assert "pip install manimgx-fonts" in finding.advice
    assert check_fonts(list).status == "ok"


def test_browsers_are_shown_with_versions(tmp_path: Path) -> None:
    chromium = program(tmp_path, "chromium", "echo Chromium 156.0")
    (tmp_path / "browsers" / "webkit-1234").mkdir(parents=True)
    finding = check_browsers({"chromium": chromium}.get, [tmp_path / "browsers", tmp_path / "none"])
    assert (finding.status, finding.found) == ("ok", "Chromium 156.0, webkit-1234 of Playwright")


def test_browser_that_does_not_start_is_a_warning(tmp_path: Path) -> None:
    broken = program(tmp_path, "firefox", "echo libgtk-3.so.0: cannot open shared object file >&2; exit 127")
    finding = check_browsers({"firefox": broken}.get, [])
    assert (finding.status, finding.found) == ("warning", f"{broken} did not print a version")
    assert finding.advice.startswith("Run it with --version to see why.")


def test_missing_browser_is_a_warning() -> None:
    finding = check_browsers(lambda _: None, [])
    assert (finding.status, finding.found) == ("warning", "no browser")
    assert "npx playwright install chromium" in finding.advice
