"""Machines without internet, as network namespaces of this one (Linux; root, or a kernel that lets users make them)."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LIMIT = 120.0
"""Seconds for a whole script in a namespace, with the start of an interpreter and of a browser."""

_ADDRESS = """
ip link add uplink type veth peer name away
ip link set away up
ip addr add 10.99.0.2/24 dev uplink
ip link set uplink up
"""

NETWORKS: Mapping[str, str] = MappingProxyType(
    {
        "no route": "ip link set lo up" + _ADDRESS,
        # The gateway has a hardware address and is not there: what is sent to it vanishes, as on a machine whose
        # internet is down, and nobody says so.
        "black-hole route": "ip link set lo up"
        + _ADDRESS
        + "ip neigh add 10.99.0.1 lladdr 02:00:00:00:00:01 dev uplink\nip route add default via 10.99.0.1\n",
        "loopback only": "ip link set lo up\n",
    }
)
"""Shell commands that make a fresh namespace into each kind of machine."""


def run_in_namespace(network: str, script: Path) -> Any:  # Any: whatever JSON the script prints
    """Run a Python script on such a machine; return what its last line of output says as JSON.

    Skips the test where namespaces cannot be made, except in CI.
    """
    _need_namespaces()
    command = f"set -e\n{NETWORKS[network]}\nexec {shlex.join([sys.executable, str(script)])}"
    finished = subprocess.run(
        ["unshare", "--map-root-user", "--net", "sh", "-c", command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout.splitlines()[-1])


def _need_namespaces() -> None:
    missing = [tool for tool in ("unshare", "ip") if shutil.which(tool) is None]
    why = f"{' and '.join(missing)} not installed" if missing else _refusal()
    if why and os.environ.get("CI") == "true":
        pytest.fail(f"network namespaces are needed in CI: {why}")
    if why:
        pytest.skip(f"no network namespaces: {why}")


def _refusal() -> str:
    probe = subprocess.run(
        ["unshare", "--map-root-user", "--net", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return probe.stderr.strip() if probe.returncode else ""
