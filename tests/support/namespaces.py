"""Runs scripts in Linux network namespaces, to simulate machines without internet access.

Network namespaces require root, or a kernel that allows unprivileged namespaces.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tests.support.forks import run_python

ROOT = Path(__file__).parents[2]
LIMIT = 120.0
"""Timeout in seconds for a script in a namespace, including the start of an interpreter and a browser."""

_ADDRESS = """
ip link add uplink type veth peer name away
ip link set away up
ip addr add 10.99.0.2/24 dev uplink
ip link set uplink up
"""

NETWORKS: Mapping[str, str] = MappingProxyType(
    {
        "no route": "ip link set lo up" + _ADDRESS,
        # The gateway has a hardware address but does not exist. Packets to it vanish without an error, as on a machine
        # whose internet connection is down.
        "black-hole route": "ip link set lo up"
        + _ADDRESS
        + "ip neigh add 10.99.0.1 lladdr 02:00:00:00:00:01 dev uplink\nip route add default via 10.99.0.1\n",
        "no interface": "true\n",
        "loopback only": "ip link set lo up\n",
        "unique local IPv6": "ip link set lo up\nip addr add fd00::1/128 dev lo nodad\n",
        "documentation IPv6": "ip link set lo up\nip addr add 2001:db8::1/128 dev lo nodad\n",
        "IPv6 loopback only": "ip link set lo up\nip addr del 127.0.0.1/8 dev lo\n",
        "link-local only": "ip link set lo up\n"
        "ip addr add 169.254.7.7/16 dev lo\nip addr add fe80::7/64 dev lo nodad\n",
        # The detection of duplicate addresses takes 100 s instead of 1 s, and no socket can use the address meanwhile.
        "tentative IPv6": "ip link set lo up\nip link add uplink type veth peer name away\n"
        "echo 100 >/proc/sys/net/ipv6/conf/uplink/dad_transmits\n"
        "ip link set away up\nip link set uplink up\nip addr add fd00::2/64 dev uplink\n",
        # The script moves `far` to the network namespace of the other machine.
        "two machines": "ip link set lo up\nip link add near type veth peer name far\n"
        "ip addr add 10.98.0.1/24 dev near\nip link set near up\n",
    }
)
"""For each simulated network, the shell commands that configure a new namespace."""

_IN_NAMESPACE = """
import os, pathlib, runpy, subprocess, sys
configuration, *sys.argv = sys.argv[1:]
ids = os.geteuid(), os.getegid()
os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNET)
for name, content in ("setgroups", "deny"), ("uid_map", f"0 {ids[0]} 1"), ("gid_map", f"0 {ids[1]} 1"):
    pathlib.Path("/proc/self", name).write_text(content)
subprocess.run(["sh", "-ec", configuration], check=True)
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Configures a new namespace, and runs a script as its root user.

`unshare --map-root-user --net` would do the same with a new interpreter, which takes a second to import the packages.
"""


def run_in_namespace(network: str, script: Path, *arguments: str) -> Any:  # Any: any JSON that the script prints
    """Run a Python script with `arguments` in a new network namespace; return its last line, parsed as JSON.

    `network` is a key of `NETWORKS`. If namespaces cannot be created, the test is skipped or, in CI, fails.
    """
    _need_namespaces()
    finished = run_python("-c", _IN_NAMESPACE, NETWORKS[network], str(script), *arguments, cwd=ROOT, limit_s=LIMIT)
    assert finished.returncode == 0, (
        f"expected {script.name} to exit with 0, got {finished.returncode} with this error output:\n{finished.stderr}"
    )
    return json.loads(finished.stdout.splitlines()[-1])


def _need_namespaces() -> None:
    missing = [tool for tool in ("unshare", "ip") if shutil.which(tool) is None]
    why = f"{' and '.join(missing)} not installed" if missing else _refusal()
    if why and os.environ.get("CI") == "true":
        pytest.fail(f"expected network namespaces, which CI must have, but they are not available: {why}")
    if why:
        pytest.skip(f"network namespaces are not available: {why}")


def _refusal() -> str:
    probe = subprocess.run(
        ["unshare", "--map-root-user", "--net", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return probe.stderr.strip() if probe.returncode else ""
