"""Runs scripts in Linux network namespaces, to simulate machines without internet access.

Network namespaces require root, or a kernel that allows unprivileged namespaces.
"""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.support.forks import run_python
from tests.support.requirements import require

ROOT = Path(__file__).parents[2]
LIMIT = 120.0
"""Timeout in seconds for a script in a namespace, including the start of an interpreter and a browser."""

_ADDRESS = """
ip link add uplink type veth peer name away
ip link set away up
ip addr add 10.99.0.2/24 dev uplink
ip link set uplink up
"""

# Without a default route, Firefox gathers no ICE candidates.
_CLIENT = """
mount -t tmpfs tmpfs /run
ip link set lo up
ip netns add client
ip -n client link set lo up
"""
_WIRE = """
ip link add near type veth peer name far netns client
ip addr add 10.98.0.1/24 dev near
ip link set near up
ip -n client addr add 10.98.0.2/24 dev far
ip -n client link set far up
ip -n client route add default via 10.98.0.1
"""
_ROUTER = """
ip netns add router
ip link add near type veth peer name inside netns router
ip addr add 10.97.0.1/24 dev near
ip link set near up
ip route add default via 10.97.0.254
ip -n router addr add 10.97.0.254/24 dev inside
ip -n router link set inside up
ip -n router link add outside type veth peer name far netns client
ip -n router addr add 10.98.0.1/24 dev outside
ip -n router link set outside up
ip -n client addr add 10.98.0.2/24 dev far
ip -n client link set far up
ip -n client route add default via 10.98.0.1
nsenter --net=/run/netns/router sh -ec '
echo 1 >/proc/sys/net/ipv4/ip_forward
PATH=$PATH:/usr/sbin
nft -f -
' <<'RULES'
table ip forwarding {
    chain arriving {
        type nat hook prerouting priority dstnat;
        iifname outside tcp dport 8400 dnat to 10.97.0.1
        iifname outside udp dport 50000-50100 dnat to 10.97.0.1
    }
    chain passing {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        ct status dnat accept
    }
}
RULES
"""
_FIREWALL = """
PATH=$PATH:/usr/sbin
nft -f - <<'RULES'
table ip firewall {
    chain arriving {
        type filter hook input priority filter;
        iifname near ip protocol udp drop
    }
}
RULES
"""

_PHONE = """
mount -t tmpfs tmpfs /run
ip link set lo up
ip netns add phone
ip -n phone link set lo up
ip link add near type veth peer name far netns phone
ip addr add 192.168.1.20/24 dev near
ip link set near up
ip -n phone addr add 192.168.1.30/24 dev far
ip -n phone link set far up
ip -n phone route add default via 192.168.1.1
PATH=$PATH:/usr/sbin
nft -f - <<'RULES'
table inet firewall {
    chain arriving {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        iifname lo accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    }
}
RULES
"""

_WEB = """
mount -t tmpfs tmpfs /run
ip link set lo up
ip link add uplink type veth peer name away
ip link set away up
ip addr add 192.168.1.20/24 dev uplink
ip addr add 11.0.0.1/32 dev uplink
ip link set uplink up
ip route add default via 192.168.1.1
cat >/run/hosts <<'HOSTS'
127.0.0.1 localhost
192.168.1.20 my-laptop my-laptop.local
11.0.0.1 app.example.com
HOSTS
mount --bind /run/hosts /etc/hosts
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
        # `localhost` has no IPv6 address. On many machines it has one.
        "IPv4 and IPv6": "ip link set lo up"
        + _ADDRESS
        + "ip addr add fd00::2/64 dev uplink nodad\n"
        + "mount -t tmpfs tmpfs /run\necho '127.0.0.1 localhost' >/run/hosts\n"
        + "mount --bind /run/hosts /etc/hosts\n",
        "two machines": _CLIENT + _WIRE,
        # The mock's machine, 10.97.0.1, is behind a router with the public address 10.98.0.1, which forwards one TCP
        # port and a range of UDP ports, and nothing that the mock's machine sends first. The client has no route to it.
        "port forwarding": _CLIENT + _ROUTER,
        # The mock's machine receives TCP only. UDP from other machines vanishes without an error.
        "UDP blocked": _CLIENT + _WIRE + _FIREWALL,
        # A computer whose firewall lets nothing in, and a phone in the same network.
        "phone": _PHONE,
        # One machine with a private and a public address, each with a host name.
        "address spaces": _WEB,
    }
)
"""For each simulated network, the shell commands that configure it in a new namespace.

Networks with several machines have a namespace for each, called `/run/netns/NAME`. The script begins on the machine of
the mock. `other_machines.py` runs functions on the others.
"""

_IN_NAMESPACE = """
import os, pathlib, runpy, subprocess, sys
configuration, *sys.argv = sys.argv[1:]
ids = os.geteuid(), os.getegid()
os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNET | os.CLONE_NEWNS)
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
    require(missing(network))
    finished = run_python("-c", _IN_NAMESPACE, NETWORKS[network], str(script), *arguments, cwd=ROOT, limit_s=LIMIT)
    assert finished.returncode == 0, (
        f"expected {script.name} to exit with 0, got {finished.returncode} with this error output:\n{finished.stderr}"
    )
    return json.loads(finished.stdout.splitlines()[-1])


def missing(network: str) -> str | None:
    """Return a description of what this machine lacks for the network; None if it lacks nothing."""
    tools = ["unshare", "ip", *(tool for tool in ("nsenter", "nft") if f"{tool} " in NETWORKS[network])]
    if absent := [tool for tool in tools if program(tool) is None]:
        return f"{' and '.join(absent)}, for network namespaces, not installed"
    probe = subprocess.run(
        ["unshare", "--map-root-user", "--net", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"network namespaces are not available: {probe.stderr.strip()}" if probe.returncode else None


def program(name: str) -> str | None:
    """Return the path of a program; None if it is not installed. `/usr/sbin` is not in the PATH of every user."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin")
