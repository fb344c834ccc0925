"""Build the wheel and the sdist, install them in new environments, and check both.

- The sdist and the wheel are valid for a package index (`twine check --strict`). The sdist builds the same wheel.
- The client alone and each extra that has code of its own: a program uses what was installed. The client alone installs
  no package that only a server needs, and importing it takes at most 1.2 times as long as importing httpx.
- The commands start from the wheel without an environment of their own (`uvx`).

With `--write`, the script writes the sizes of the installations to docs/how-to/install.md. The exit code is 1 if a
check fails.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from generated_tables import with_tables

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "how-to" / "install.md"

LIMIT = 600.0
"""Timeout of a command in seconds. The first installation downloads about 150 MB."""
IMPORTS = 15
"""Number of imports of each package, of which the median counts."""
SLOWEST_IMPORT = 1.2
"""Maximum time to import the client, compared with httpx."""
OF_SERVERS = frozenset({"pydantic", "pyjwt", "pyyaml", "starlette", "uvicorn"})
"""The packages of the extra `mock` that the client alone does not need."""

CLIENT = """
from odyssey_client import OdysseyConfigError, Script
from odyssey_client.sync import Odyssey
Script().start("A cat").wait(3).end().validate()
try:
    Odyssey("not a key", api_url="ftp://127.0.0.1")
except OdysseyConfigError:
    pass
else:
    raise AssertionError("expected an OdysseyConfigError")
"""
MOCK = """
from odyssey_client.sync import Odyssey
from odyssey_mock.sync import MockOdyssey
with MockOdyssey() as mock, Odyssey(mock.api_key, api_url=mock.url) as client:
    stream = client.connect()
    client.start_stream("A cat on a windowsill")
    frame = next(iter(stream.frames()))
    assert (frame.width, frame.height) == (704, 1280), (frame.width, frame.height)
"""
SIMULATED = """
import pathlib, pytest, tempfile
test = '''
import pytest
@pytest.mark.odyssey_sim(seeds=3)
async def test_cat(odyssey_sim):
    async with odyssey_sim.client() as client:
        await client.connect()
        await client.start_stream("A cat on a windowsill")
'''
with tempfile.TemporaryDirectory() as folder:
    file = pathlib.Path(folder, "test_cat.py")
    file.write_text(test)
    assert pytest.main(["-q", "-p", "no:cacheprovider", str(file)]) == 0
"""
VERIFY = """
import os, pathlib, subprocess, sys
from odyssey_mock.sync import MockOdyssey
command = [pathlib.Path(sys.executable).with_name("odyssey-mock"), "verify", "--only", "rest", "--yes"]
with MockOdyssey() as mock:
    variables = {"ODYSSEY_API_URL": mock.url, "ODYSSEY_API_KEY": mock.api_key}
    subprocess.run(command, env={**os.environ, **variables}, check=True)
"""
IMPORT_CLIENT = "from odyssey_client import Odyssey"
IMPORT_HTTPX = "import httpx"


@dataclass(frozen=True)
class Installation:
    """What a user installs, and a program that uses it."""

    extras: str
    means: str
    program: str
    also: tuple[str, ...] = ()


INSTALLATIONS = (
    Installation("", "the client", CLIENT),
    Installation("[mock]", "client and mock", MOCK),
    Installation("[verify]", "client, mock and `odyssey-mock verify`", VERIFY),
    Installation("[mock,sim]", "client, mock and simulated time", SIMULATED, ("pytest", "pytest-asyncio")),
)


class CheckError(Exception):
    """A check failed. The message states what was expected, and what was found."""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command in the folder `cwd`, and return its output.

    `python -c` and `python -m` import from `cwd` first: run what was installed outside of the clone.

    Raises:
        CheckError: the command failed.
    """
    # The environment of a new user: no path of this clone, and compiled modules as after an installation.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(  # noqa: S603 - the commands of this script
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=LIMIT
    )
    if done.returncode:
        shown = " ".join(map(str, command))
        raise CheckError(f"expected `{shown}` to succeed, got exit code {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def contents(wheel: Path) -> Mapping[str, bytes]:
    """Return the files of a wheel with their contents."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def build(folder: Path) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from the sdist; check that the clone builds the same wheel."""
    tools = environment(folder / "tools", "build", "twine")
    run(tools / "python", "-m", "build", "--outdir", folder / "dist", cwd=ROOT)
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    run(tools / "python", "-m", "build", "--wheel", "--outdir", folder / "direct", cwd=ROOT)
    (direct,) = (folder / "direct").glob("*.whl")
    if contents(wheel) != contents(direct):
        differing = sorted(dict(contents(wheel).items() ^ contents(direct).items()))
        raise CheckError(f"expected the sdist to build the wheel that the clone builds, got other files: {differing}")
    run(tools / "twine", "check", "--strict", sdist, wheel, cwd=folder)
    return sdist, wheel


def environment(folder: Path, *requirements: str) -> Path:
    """Create a virtual environment with `requirements`, and return the directory of its programs."""
    folder.mkdir()
    run(sys.executable, "-m", "venv", folder, cwd=folder)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    install(programs, *requirements, cwd=folder)
    return programs


def install(programs: Path, *requirements: str, cwd: Path) -> None:
    """Install `requirements` with pip into the environment whose programs are in `programs`."""
    run(programs / "python", "-m", "pip", "--quiet", "--disable-pip-version-check", "install", *requirements, cwd=cwd)


def check_installation(installation: Installation, wheel: Path, folder: Path) -> str:
    """Install the wheel with its extras, use it, and return a row of the table of sizes."""
    programs = environment(folder, f"odyssey-testkit{installation.extras} @ {wheel.as_uri()}")
    packages = json.loads(run(programs / "python", "-m", "pip", "list", "--format", "json", cwd=folder))
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and "pip" not in file.parts)
    if installation.also:
        install(programs, *installation.also, cwd=folder)
    run(programs / "python", "-c", installation.program, cwd=folder)
    if not installation.extras:
        check_client(programs, folder, {package["name"].lower() for package in packages})
    names = f"`odyssey-testkit{installation.extras}`"
    return f"| {names} | {installation.means} | {len(packages) - 1} | {size / 1e6:.0f} MB |"


def check_client(programs: Path, folder: Path, packages: set[str]) -> None:
    """Check that the client alone has no package of a server, and is imported quickly."""
    if unwanted := packages & OF_SERVERS:
        raise CheckError(f"expected no package of a server beside the client, got {', '.join(sorted(unwanted))}")
    times: dict[str, list[float]] = {IMPORT_HTTPX: [], IMPORT_CLIENT: []}
    for _ in range(IMPORTS):
        for statement, measured in times.items():
            timed = f"import time; began = time.perf_counter(); {statement}; print(time.perf_counter() - began)"
            measured.append(float(run(programs / "python", "-c", timed, cwd=folder)))
    ratio = statistics.median(times[IMPORT_CLIENT]) / statistics.median(times[IMPORT_HTTPX])
    click.echo(f"package: `{IMPORT_CLIENT}` takes {ratio:.2f} times as long as `{IMPORT_HTTPX}`")
    if ratio > SLOWEST_IMPORT:
        raise CheckError(f"expected at most {SLOWEST_IMPORT} times, got {ratio:.2f} times")


def check_uvx(wheel: Path, folder: Path) -> None:
    """Check that uv runs both commands from the wheel alone."""
    uv = environment(folder / "uv", "uv") / "uv"
    for name, extras in (("odyssey", ""), ("odyssey-mock", "[mock]")):
        requirement = f"odyssey-testkit{extras} @ {wheel.as_uri()}"
        shown = run(uv, "tool", "run", "--python", sys.executable, "--from", requirement, name, "--version", cwd=folder)
        click.echo(f"package: uvx runs {shown.strip()}")


def main() -> int:
    """Run all checks; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the sizes to docs/how-to/install.md")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="copy the sdist and the wheel to FOLDER")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="odyssey-package-") as temporary:
        folder = Path(temporary)
        try:
            sdist, wheel = build(folder)
            click.echo(f"package: {sdist.name} builds {wheel.name}, {wheel.stat().st_size / 1e6:.1f} MB")
            rows = []
            for number, installation in enumerate(INSTALLATIONS):
                rows.append(check_installation(installation, wheel, folder / f"installation-{number}"))
                click.echo(f"package: {rows[-1]}")
            check_uvx(wheel, folder)
        except CheckError as error:
            click.echo(f"package: {error}", err=True)
            return 1
        if options.keep is not None:
            options.keep.mkdir(parents=True, exist_ok=True)
            for file in (sdist, wheel):
                (options.keep / file.name).write_bytes(file.read_bytes())
    if options.write:
        head = ["| installed | contains | packages | size |", "|---|---|---|---|"]
        PAGE.write_text(with_tables(PAGE, {"sizes": "\n".join([*head, *rows, ""])}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
