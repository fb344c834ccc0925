"""A program that imports pytest and the mock once, and then runs pytest in forks of its process.

A fork takes milliseconds. A new interpreter with the same imports takes about two seconds of processor time.
`tests/support/forks.py` starts the program. Each line of standard input describes a run, and each line of standard
output is the exit status of a run. The program exits at the end of its input.
"""

import gc
import importlib
import json
import os
import runpy
import select
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

IMPORTS = ("httpx", "odyssey_client.sync", "odyssey_mock.testing.per_test_mock")
"""Modules that most tests import, besides pytest and its plugins."""

OPTIONS = (
    "--collect-only",
    "-p",
    "no:cacheprovider",
    "-o",
    "asyncio_default_fixture_loop_scope=function",
    "-c",
    os.devnull,
)
"""Options of a pytest run without tests. It must not use markers: pytest would know them in all later runs."""


@dataclass(frozen=True)
class Run:
    """One run of pytest.

    Attributes:
        arguments: the arguments of pytest.
        folder: the working directory.
        environment: all environment variables. Variables that Python reads when it starts have no effect.
        output: the file for standard output.
        errors: the file for standard error.
        limit_s: seconds after which the run is killed.
    """

    arguments: Sequence[str]
    folder: str
    environment: Mapping[str, str]
    output: str
    errors: str
    limit_s: float

    def to_line(self) -> str:
        return json.dumps(asdict(self)) + "\n"


def main() -> None:
    prepare()
    for line in sys.stdin:
        run = Run(**json.loads(line))
        process = os.fork()
        if process == 0:
            become(run)
            runpy.run_module("pytest", run_name="__main__", alter_sys=True)
        print(json.dumps(status(process, run.limit_s)), flush=True)


def prepare() -> None:
    """Import pytest, its plugins, and the modules in `IMPORTS`.

    The plugins are imported by a run of pytest without tests, so that pytest rewrites their assertions.
    """
    del sys.path[0]  # the folder of this file
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        shown, sys.stdout = sys.stdout, nowhere
        pytest.main([*OPTIONS, "--rootdir", folder, folder])
        sys.stdout = shown
    for name in IMPORTS:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # so that forks do not copy the memory of these objects


def become(run: Run) -> None:
    """Give this fork the arguments, working directory, environment and files of `run`, as if it was a new process."""
    for number, name in enumerate((os.devnull, run.output, run.errors)):
        file = os.open(name, os.O_RDONLY if number == 0 else os.O_WRONLY)
        os.dup2(file, number)
        os.close(file)
    os.chdir(run.folder)
    os.environ.clear()
    os.environ.update(run.environment)
    paths = run.environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = dict.fromkeys([run.folder, *filter(None, paths), *sys.path])
    sys.argv[1:] = run.arguments
    from hypothesis.configuration import set_hypothesis_home_dir  # noqa: PLC0415 - after pytest has rewritten it

    set_hypothesis_home_dir(Path(run.folder) / ".hypothesis")


def status(process: int, limit_s: float) -> int | None:
    """Return the exit status of the fork with the id `process`. After `limit_s` seconds, kill the fork; return None."""
    descriptor = os.pidfd_open(process)
    ended, _, _ = select.select([descriptor], [], [], limit_s)
    os.close(descriptor)
    if not ended:
        os.kill(process, signal.SIGKILL)
    _, code = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(code) if ended else None


if __name__ == "__main__":
    main()
