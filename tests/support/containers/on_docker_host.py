"""Runs a function in new namespaces: on a Docker host with another machine in its network (`engine.py`)."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.containers.building import STORE
from tests.support.containers.engine import NETWORK
from tests.support.containers.machine import refusal
from tests.support.forks import run_python
from tests.support.requirements import require

ROOT = Path(__file__).parents[3]
LIMIT = 120.0
"""Timeout in seconds for a function."""

_IN_NAMESPACES = """
import asyncio, importlib, json, os, subprocess, sys
network, name, *arguments = sys.argv[1:]
os.unshare(os.CLONE_NEWNET | os.CLONE_NEWNS)
subprocess.run(["sh", "-ec", network], check=True)
scenarios = importlib.import_module("tests.support.containers.scenarios")
machines = importlib.import_module("tests.support.other_machines")
with machines.waiting_on(scenarios.OTHER_MACHINE, scenarios.at_other_machine) as at_other_machine:
    print(json.dumps(asyncio.run(getattr(scenarios, name)(*arguments, at_other_machine))))
"""


def require_containers() -> None:
    """Skip the test if this machine cannot run containers. In CI, fail it instead, unless it is not root there.

    On the runners of GitHub, the tests are not root. The workflow `image.yml` uses Docker instead.
    """
    why = refusal(STORE)
    if why is not None and os.geteuid() != 0:
        pytest.skip(why)
    require(why)


def run_on_docker_host(scenario: str, *arguments: str) -> Any:  # Any: JSON
    """Run an async function of `scenarios.py` on a Docker host; return its result."""
    ran = run_python("-c", _IN_NAMESPACES, NETWORK, scenario, *arguments, cwd=ROOT, limit_s=LIMIT)
    assert ran.returncode == 0, f"expected {scenario} to succeed, got exit code {ran.returncode}:\n{ran.stderr}"
    return json.loads(ran.stdout.splitlines()[-1])
