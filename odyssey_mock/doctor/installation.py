"""Checks of what is installed: Python, packages, codecs, fonts and browsers."""

import importlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from odyssey_mock.doctor.findings import Finding
from odyssey_mock.doctor.required_modules import REQUIRED

LEAST_PYTHON = (3, 12)

SHOWN = ("odyssey-testkit", "aiortc", "aioice", "av")
"""Distributions whose versions a finding shows."""

CODECS = ("h264", "vp8")
"""The codecs of the mock: `odyssey_mock.media.encoder.Codec`."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "microsoft-edge", "firefox", "firefox-esr")
"""Names of the commands of browsers."""
VERSION_LIMIT = 20.0
"""Seconds that a browser may take to print its version."""


def check_python(
    version: Sequence[int] = sys.version_info[:3], implementation: str = platform.python_implementation()
) -> Finding:
    """Check the version and the implementation of Python."""
    found = f"{implementation} {'.'.join(map(str, version[:3]))}, {platform.system()} {platform.machine()}"
    least = ".".join(map(str, LEAST_PYTHON))
    if tuple(version[:2]) < LEAST_PYTHON:
        return Finding(check="Python", status="error", found=found, advice=f"Install Python {least} or later.")
    if implementation != "CPython":
        advice = "Use CPython: the project is not tested with other implementations."
        return Finding(check="Python", status="warning", found=found, advice=advice)
    return Finding(check="Python", status="ok", found=found)


def check_packages(load: Callable[[str], object] = importlib.import_module) -> Finding:
    """Check that the required modules can be imported. `load(name)` imports one."""
    problems, missing = [], dict[str, None]()
    for name, package in REQUIRED.items():
        try:
            load(name)
        except ImportError as error:  # also if a library of the system is missing
            problems.append(f"cannot import {name} ({error})")
            missing[package] = None
    if problems:
        # The extra includes the package itself.
        package = "odyssey-testkit[mock]" if "odyssey-testkit[mock]" in missing else "odyssey-testkit"
        advice = f"Run: pip install --force-reinstall '{package}'"
        return Finding(check="packages", status="error", found="; ".join(problems), advice=advice)
    return Finding(check="packages", status="ok", found=", ".join(_versions()))


def _versions() -> Iterator[str]:
    for name in SHOWN:
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:  # the project runs from a folder
            yield f"{name} (not installed)"


def check_codecs() -> Finding:
    """Check that a frame can be encoded and decoded in each codec of the mock, and that MP4 can be written."""
    import av  # noqa: PLC0415

    broken = []
    for codec in CODECS:
        try:
            _encode_and_decode(codec)
        except Exception as error:
            broken.append(f"{codec}: {error}")
    if "mp4" not in av.formats_available:
        broken.append("mp4: this build of libav has no such format")
    if broken:
        advice = "PyAV was built without them. Install its wheel: pip install --force-reinstall --only-binary :all: av"
        return Finding(check="codecs", status="error", found="; ".join(broken), advice=advice)
    version = ".".join(map(str, av.library_versions["libavcodec"]))
    return Finding(check="codecs", status="ok", found=f"H.264 and VP8 encode and decode, MP4; libavcodec {version}")


def _encode_and_decode(name: str) -> None:
    import av  # noqa: PLC0415

    from odyssey_mock.media.encoder import VideoEncoder  # noqa: PLC0415
    from odyssey_mock.media.timeline import Size  # noqa: PLC0415

    size = Size(176, 320)
    encoder = VideoEncoder("h264" if name == "h264" else "vp8", size, 20)
    try:
        packet = encoder.encode(av.VideoFrame(size.width, size.height, "yuv420p"), 0, keyframe=True)
        decoder = av.CodecContext.create(name, "r")
        if not isinstance(decoder, av.VideoCodecContext):
            raise TypeError(f"expected a video decoder, got {type(decoder).__name__}")
        frames = [*decoder.decode(packet), *decoder.decode(None)]
        if len(frames) != 1:
            raise ValueError(f"expected 1 decoded frame, got {len(frames)}")
    finally:
        encoder.close()


def check_fonts(missing: Callable[[], Sequence[str]] | None = None) -> Finding:
    """Check that prompts in common scripts can be shown in the picture. `missing()` returns those without a font."""
    from odyssey_mock.media.fonts import ADVICE, font_set  # noqa: PLC0415

    scripts = (missing or font_set("machine").missing)()
    if scripts:
        found = f"no fonts for {', '.join(scripts)}: the picture shows code points instead"
        return Finding(check="fonts", status="warning", found=found, advice=f"{ADVICE[0].upper()}{ADVICE[1:]}.")
    return Finding(check="fonts", status="ok", found="fonts for all common scripts and emoji")


def check_browsers(which: Callable[[str], str | None] = shutil.which, folders: Sequence[Path] | None = None) -> Finding:
    """Check that a browser is installed and starts. Only tests of web pages need one.

    `which(name)` returns the path of a command; `folders` contain the browsers of Playwright.
    """
    paths = {name: path for name in BROWSERS if (path := which(name)) is not None}
    versions = {name: _browser_version(path) for name, path in paths.items()}
    found = [version for version in versions.values() if version is not None]
    broken = [paths[name] for name, version in versions.items() if version is None]
    found += _playwright_browsers(_playwright_folders() if folders is None else folders)
    if broken:
        shown = f"{' and '.join(broken)} did not print a version"
        advice = "Run it with --version to see why. Libraries of the system may be missing."
        return Finding(check="browsers", status="warning", found="; ".join([shown, *found]), advice=advice)
    if not found:
        advice = "To test web pages, install Chromium or Firefox, or run: npx playwright install chromium"
        return Finding(check="browsers", status="warning", found="no browser", advice=advice)
    return Finding(check="browsers", status="ok", found=", ".join(dict.fromkeys(found)))


def _browser_version(path: str) -> str | None:
    """Return the line with the version that a browser prints; None if it fails."""
    if sys.platform == "win32":
        return path  # there, browsers open a window instead
    try:
        ran = subprocess.run(  # noqa: S603 - a browser in PATH
            [path, "--version"], capture_output=True, text=True, errors="replace", timeout=VERSION_LIMIT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ran.stdout.strip().partition("\n")[0] or None if ran.returncode == 0 else None


def _playwright_folders() -> Sequence[Path]:
    chosen = os.environ.get("PLAYWRIGHT_BROWSERS_PATH", "")
    caches = {
        "darwin": Path.home() / "Library" / "Caches",
        "win32": Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"),
    }
    usual = caches.get(sys.platform, Path.home() / ".cache") / "ms-playwright"
    return [Path(chosen)] if chosen not in {"", "0"} else [usual]


def _playwright_browsers(folders: Sequence[Path]) -> list[str]:
    names = (path.name for folder in folders if folder.is_dir() for path in sorted(folder.iterdir()))
    return [f"{name} of Playwright" for name in names if name.startswith(("chromium-", "firefox-", "webkit-"))]
