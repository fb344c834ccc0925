"""A Docker host in network namespaces: a bridge network of containers, published ports, and another machine.

The process that uses this module is on the host, in the network that `NETWORK` configures. `on_docker_host.py` starts
it there. The other machine, 192.168.50.2, reaches only the host, 192.168.50.1, which forwards its published ports, as
the rules of Docker do (with `"userland-proxy": false`).
"""

import asyncio
import ipaddress
import itertools
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.containers.building import Image
from tests.support.containers.dockerfile import HealthCheck
from tests.support.containers.machine import ENTERED, entering, inside_container

HOST_ADDRESS = "192.168.50.1"
"""The address of the Docker host on the network of the other machine."""
SUBNET = "172.18.0.0/16"
"""The addresses of containers, unless a compose file has others."""
OTHER_MACHINE = "elsewhere"
"""The name of the other machine's namespace."""

NETWORK = f"""
mount --make-rprivate /
mount -t tmpfs tmpfs /run
PATH=$PATH:/usr/sbin
ip link set lo up
ip link add docker0 type bridge
ip link set docker0 up
ip netns add {OTHER_MACHINE}
ip link add outside type veth peer name eth0 netns {OTHER_MACHINE}
ip addr add {HOST_ADDRESS}/24 dev outside
ip link set outside up
ip -n {OTHER_MACHINE} link set lo up
ip -n {OTHER_MACHINE} addr add 192.168.50.2/24 dev eth0
ip -n {OTHER_MACHINE} link set eth0 up
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv4/conf/docker0/route_localnet
nft -f - <<'RULES'
table ip docker {{
    chain arriving {{
        type nat hook prerouting priority dstnat;
    }}
    chain own {{
        type nat hook output priority -100;
    }}
    chain leaving {{
        type nat hook postrouting priority srcnat;
        oifname outside masquerade
        oifname docker0 ip saddr 127.0.0.0/8 masquerade
    }}
    chain passing {{
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        ct status dnat accept
        iifname docker0 oifname docker0 accept
    }}
}}
RULES
"""
"""The shell commands that configure the host in new namespaces.

Containers cannot open connections to the other machine. Docker permits that. The ICE checks of a container then open
the way for the other machine's datagrams, and a test would not notice that a UDP port is not published.
"""

START_LIMIT = 60.0
"""Timeout in seconds until a container is healthy."""
COMMAND_LIMIT = 60.0
"""Timeout in seconds for a command of which the output is needed."""
STOP_LIMIT = 10.0
"""Seconds after the stop signal until Docker kills a container."""


@dataclass(frozen=True)
class Ended:
    """A process that has ended.

    Attributes:
        exit_code: as `docker inspect` shows it: 128 and the number of the signal if one ended it.
    """

    exit_code: int
    output: str


@dataclass
class Container:
    """A running container.

    Attributes:
        process: the process on the host that waits for the end of the container.
        pid: the process of the container's command, on the host.
        address: its address in the bridge network.
        environment: the variables of its command.
        first_line: the first line of its output, once it is healthy.
    """

    name: str
    image: Image
    process: asyncio.subprocess.Process
    pid: int
    address: str
    environment: Mapping[str, str]
    first_line: str = ""

    async def execute(self, command: Sequence[str], *, limit: float = COMMAND_LIMIT) -> Ended:
        """Run a command in the container, as its user."""
        config = self.image.config
        inside = inside_container(command, environment=self.environment, user=config.user, folder=config.folder)
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--net", "--root", "chroot", "/"]
        return await run(*enter, *inside, limit=limit)

    async def become_healthy(self, health: HealthCheck) -> None:
        """Wait for the first line of output, and run the health check until it succeeds.

        Docker waits for no output, but for `interval` between two checks.
        """
        assert self.process.stdout is not None
        async with asyncio.timeout(START_LIMIT):
            self.first_line = (await self.process.stdout.readline()).decode()
            while (checked := await self.execute(health.command, limit=health.timeout)).exit_code != 0:
                if self.process.returncode is not None:
                    raise ContainerError(f"{self.name} ended before it was healthy; its last check:\n{checked.output}")

    async def stop(self, limit: float = STOP_LIMIT) -> Ended:
        """Send the stop signal; return the exit code and the output.

        Raises:
            TimeoutError: the container did not stop in time. Docker would kill it.
        """
        os.kill(self.pid, getattr(signal, self.image.config.stop_signal))
        async with asyncio.timeout(limit):
            return await self.ended()

    async def ended(self) -> Ended:
        """Wait until the container ends."""
        assert self.process.stdout is not None
        output = self.first_line + (await self.process.stdout.read()).decode()
        return Ended(_exit_code(await self.process.wait()), output)


class ContainerError(Exception):
    """A container did not start."""


class Engine:
    """Runs containers on the host."""

    def __init__(self, folder: Path) -> None:
        """Keep the files that containers change in `folder`."""
        self._folder = folder
        self._numbers = itertools.count(1)
        self._subnet = ipaddress.ip_network(SUBNET)

    async def use_subnet(self, subnet: str = SUBNET) -> None:
        """Give the bridge the first address of a network, and the next containers the others."""
        self._subnet = ipaddress.ip_network(subnet)
        await configure(f"ip addr add {self._subnet[1]}/{self._subnet.prefixlen} dev docker0")

    @asynccontextmanager
    async def running(
        self,
        name: str,
        image: Image,
        command: Sequence[str] | None = None,
        *,
        entrypoint: Sequence[str] | None = None,
        address: str | None = None,
        environment: Mapping[str, str] | None = None,
        ports: Sequence[str] = (),
        volumes: Mapping[str, Path] | None = None,
        hosts: Mapping[str, str] | None = None,
        is_on_host: bool = False,
        is_read_only: bool = False,
    ) -> AsyncIterator[Container]:
        """Run a container; kill it at the end.

        Args:
            name: its name.
            image: its image.
            command: in place of that of the image. The entry point stays.
            entrypoint: in place of that of the image. The command of the image then does not apply.
            address: its address in the bridge network; None for the next one.
            environment: variables in addition to those of the image.
            ports: as in a compose file, such as `8400:8400` or `127.0.0.1:50000-50100:50000-50100/udp`. The ports of
                host and container must be equal.
            volumes: directories of this machine by their path in the container.
            hosts: addresses by the names of other containers.
            is_read_only: whether it can only write to /tmp, as with `--read-only --tmpfs /tmp`.
            is_on_host: whether the container has the network of the host in place of an address of its own.
        """
        number = next(self._numbers)
        address = address or str(self._subnet[number + 10])
        if not is_on_host:
            prefix, gateway = self._subnet.prefixlen, self._subnet[1]
            interface = _INTERFACE.format(name=name, number=number, address=f"{address}/{prefix}", gateway=gateway)
            published = [_PUBLISHED.format(address=address, **_parts_of(each)) for each in ports]
            await configure(interface + "".join(published))
        config = image.config
        words = [*config.entrypoint, *(config.command if command is None else command)]
        if entrypoint is not None:
            words = [*entrypoint, *(command or ())]
        variables = {**config.environment, "HOME": config.folder, **(environment or {})}
        own = Path(tempfile.mkdtemp(prefix=name, dir=self._folder))
        (own / "root").mkdir()
        write_names(own / "hosts", hosts or {})
        entered = entering(
            image.layers,
            own / "changes",
            own / "root",
            words,
            environment=variables,
            user=config.user,
            folder=config.folder,
            mounts={**(volumes or {}), "/etc/hosts": own / "hosts"},
            is_read_only=is_read_only,
        )
        process = await asyncio.create_subprocess_exec(
            "setpriv",
            "--pdeathsig=KILL",  # if this process is killed
            *([] if is_on_host else ["nsenter", f"--net=/run/netns/{name}"]),
            *entered,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            pid = await _first_child(process)
            yield Container(name, image, process, pid, address, variables)
        finally:
            if process.returncode is None:
                process.kill()  # unshare then kills the container
            await process.wait()
            if not is_on_host:
                await configure(f"ip netns del {name}")
                if ports:
                    await configure(_UNPUBLISHED)

    def volume(self, name: str, image: Image, target: str) -> Path:
        """Return the directory of a volume. A new one has the owner and the mode that `target` has in the image."""
        folder = self._folder / "volumes" / name
        if not folder.exists():
            folder.mkdir(parents=True)
            found = [layer / target.lstrip("/") for layer in image.layers]
            status = next(each.stat() for each in reversed(found) if each.exists())
            folder.chmod(status.st_mode)
            os.chown(folder, status.st_uid, status.st_gid)
        return folder


_INTERFACE = """
ip netns add {name}
ip link add port{number} type veth peer name eth0 netns {name}
ip link set port{number} master docker0
ip link set port{number} up
ip -n {name} link set lo up
ip -n {name} addr add {address} dev eth0
ip -n {name} link set eth0 up
ip -n {name} route add default via {gateway}
"""
_UNPUBLISHED = """
PATH=$PATH:/usr/sbin
nft flush chain ip docker arriving
nft flush chain ip docker own
"""
"""No test publishes ports of two containers at once."""

_PUBLISHED = """
PATH=$PATH:/usr/sbin
nft add rule ip docker arriving {to} {protocol} dport {port} dnat to {address}
nft add rule ip docker own {to} {protocol} dport {port} dnat to {address}
"""


def write_names(file: Path, addresses: Mapping[str, str]) -> None:
    """Write a hosts file with addresses by the names of machines."""
    lines = {"localhost": "127.0.0.1", **addresses}
    file.write_text("".join(f"{address} {name}\n" for name, address in lines.items()))


async def run(*command: str, limit: float = COMMAND_LIMIT, environment: Mapping[str, str] | None = None) -> Ended:
    """Run a command on the host; return its exit code and output."""
    with tempfile.TemporaryFile() as output:  # a process in the background would keep a pipe open
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=asyncio.subprocess.STDOUT
        )
        try:
            async with asyncio.timeout(limit):
                status = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        output.seek(0)
        return Ended(_exit_code(status), output.read().decode())


async def configure(commands: str) -> None:
    """Run shell commands on the host, which must succeed."""
    ran = await run("sh", "-ec", commands)
    assert ran.exit_code == 0, (
        f"expected exit code 0, got {ran.exit_code} of\n{commands}\nwith this output:\n{ran.output}"
    )


async def _first_child(process: asyncio.subprocess.Process) -> int:
    """Return the process that runs the container's command, once the container has its files."""
    assert process.stdout is not None
    async with asyncio.timeout(START_LIMIT):
        line = (await process.stdout.readline()).decode()
        if line.strip() != ENTERED:
            raise ContainerError(line + (await process.stdout.read()).decode())
    return _child_of(process.pid)


def _child_of(pid: int) -> int:
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def _parts_of(published: str) -> Mapping[str, str]:
    """Return the matched destination, the ports and the protocol of published ports."""
    ports, _, protocol = published.partition("/")
    *at, outside, inside = ports.split(":")
    assert outside == inside, f"expected the same ports on host and container, got {published}"
    return {"to": f"ip daddr {at[0]}" if at else "fib daddr type local", "port": inside, "protocol": protocol or "tcp"}


def _exit_code(status: int) -> int:
    return status if status >= 0 else 128 - status
