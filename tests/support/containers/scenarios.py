"""What tests do with containers, on the Docker host of `engine.py`. Each function returns JSON for a test.

The last argument of each is `at_other_machine` on the other machine, which can be called once.
"""

import asyncio
import json
import os
import pickle
import re
import shlex
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from odyssey_mock.doctor.running_mock import check_stun
from tests.support.containers.building import ROOT, Image, build
from tests.support.containers.compose import Service, read_composition
from tests.support.containers.engine import (
    HOST_ADDRESS,
    OTHER_MACHINE,
    Container,
    Ended,
    Engine,
    configure,
    run,
    write_names,
)
from tests.support.containers.first_frame import first_frame
from tests.support.containers.workflows import Job, read_jobs

type JSON = Mapping[str, object]
type AtOtherMachine = Callable[[tuple[str, str]], Awaitable[Any]]

FIRST_FRAME = Path(__file__).parent / "first_frame.py"
ELSEWHERE = ("nsenter", f"--net=/run/netns/{OTHER_MACHINE}")
"""The words before a command that runs on the other machine."""
BIN = Path(sys.executable).parent
"""The directory of the commands of this project."""
LIMIT = 60.0
"""Timeout in seconds for the start and the end of a server."""
TOKEN = "token-of-the-compose-file"

RUNNER = """
FROM packages
# What `pip install` of a checkout needs, from the bundle of Python and from the cache of pip.
RUN --mount=type=cache,target=/root/.cache/pip /opt/odyssey/bin/python -m ensurepip --default-pip \
    && /opt/odyssey/bin/python -m pip install hatchling pytest
ENV PATH=/opt/odyssey/bin:$PATH
ENV PIP_NO_INDEX=1 PIP_NO_BUILD_ISOLATION=0 PIP_NO_COMPILE=1 PIP_ROOT_USER_ACTION=ignore
ENTRYPOINT ["tail", "--follow", "/dev/null"]
"""
"""A machine that runs the steps of jobs. Its environment already has the packages that the project needs.

pip takes `PIP_NO_BUILD_ISOLATION=0` for the option `--no-build-isolation`.
"""

FOR_PIP = ("PIP_", "PYTHON")
"""Beginnings of the names of variables that pip and Python read. They read no others of a job."""

CHECKOUT = ("pyproject.toml", "README.md", "LICENSE", "odyssey_client", "odyssey_mock")
"""The files of a checkout of this project that pip needs."""


@dataclass(frozen=True)
class Images:
    """The images that the functions use. They are built before, on a machine with internet.

    Attributes:
        mock: that of the Dockerfile.
        runner: `RUNNER`, after the command of the job that installs this project.
    """

    mock: Image
    runner: Image

    @classmethod
    def build(cls) -> Self:
        return cls(build(), build(more=RUNNER))

    def for_job(self, job: Job) -> "Images":
        """Return the images for a job. Like any layer, what its command installs is kept for other jobs and later runs.

        The command gets only those variables of the job that pip and Python read. So jobs with other variables share
        the layer.

        Raises:
            BuildError: the command failed.
        """
        if job.installation is None:
            return self
        mounts = [f"--mount=type=bind,source={name},target=/workspace/odyssey-testkit/{name}" for name in CHECKOUT]
        variables = [
            f"export {name}={shlex.quote(value)}" for name, value in job.environment.items() if name.startswith(FOR_PIP)
        ]
        # RUN has one line: printf makes several of it again.
        script = "\n".join([*variables, "cd /workspace", job.installation])
        escaped = shlex.quote(script.replace("\\", "\\\\").replace("\n", "\\n"))
        install = f'RUN {" ".join(mounts)} bash -e -c "$(printf %b {escaped})"\n'
        return replace(self, runner=build(more=RUNNER + install))

    def save(self, folder: Path) -> None:
        (folder / "images").write_bytes(pickle.dumps(self))

    @staticmethod
    def load(folder: Path) -> "Images":
        loaded = pickle.loads((folder / "images").read_bytes())
        assert isinstance(loaded, Images)
        return loaded


async def at_other_machine(request: tuple[str, str]) -> Any:  # Any: JSON
    """Return the size of the first frame of a stream of the mock at a URL, or what the check of its UDP advises."""
    match request:
        case ("first_frame", url):
            return await first_frame(url)
        case ("check_stun", url):
            return (await asyncio.to_thread(check_stun, url)).advice
    raise ValueError(f"expected first_frame or check_stun, got {request}")


async def serve_and_stop(folder: str, elsewhere: AtOtherMachine) -> JSON:
    """Run the image, which may not write to its files; play a stream from the host, and stop the container."""
    image = Images.load(Path(folder)).mock
    engine = Engine(Path(folder))
    await engine.use_subnet()
    async with engine.running("mock", image, ports=["8400:8400"], is_read_only=True) as mock:
        await become_healthy(mock)
        status = rights_of(mock.pid)
        packages = await mock.execute(["python", "-c", "import odyssey_mock; print(odyssey_mock.__file__)"])
        frame = await first_frame("http://localhost:8400")
        diagnosis = await elsewhere(("check_stun", f"http://{HOST_ADDRESS}:8400"))
        stopping_at = time.perf_counter()
        stopped = await mock.stop()
        stop_seconds = time.perf_counter() - stopping_at
    return {
        "status": status,
        "package": packages.output.strip(),
        "frame": frame,
        "exit_code": stopped.exit_code,
        "stop_seconds": stop_seconds,
        "diagnosis": diagnosis,
        "output": stopped.output,
    }


async def compose_up(folder: str, elsewhere: AtOtherMachine) -> JSON:
    """Start the mock of compose.yaml for the other machine, and then all services for this machine only."""
    image = Images.load(Path(folder)).mock
    for_others = read_composition(environment={"ODYSSEY_ADDRESS": HOST_ADDRESS, "ODYSSEY_CONTROL_TOKEN": TOKEN})
    by_default = read_composition(environment={"ODYSSEY_CONTROL_TOKEN": TOKEN})
    engine = Engine(Path(folder))
    await engine.use_subnet(by_default.subnet)
    async with running_service(engine, for_others.services["mock"], image) as mock:
        await become_healthy(mock)
        frame = await elsewhere(("first_frame", f"http://{HOST_ADDRESS}:8400"))
        before = await recordings(f"http://{HOST_ADDRESS}:8400", *ELSEWHERE)
        await mock.stop()
    example = by_default.services["app"]
    assert dict(example.conditions) == {"mock": "service_healthy"}
    async with running_service(engine, by_default.services["mock"], image) as mock:
        await become_healthy(mock)
        async with running_service(engine, example, image, hosts={"mock": mock.address}) as app:
            ended = await app.ended()
        after = await recordings("http://127.0.0.1:8400")
    return {
        "app": [ended.exit_code, ended.output],
        "frame": frame,
        "recordings": [before, after],
    }


async def run_job(folder: str, workflow: str, name: str, _: AtOtherMachine) -> JSON:
    """Run the commands of a job in `folder`, with its services. The image has run the one that installs this project.

    `workflow`: the text of the workflow. Its actions are not run: a checkout of this project is in `odyssey-testkit`,
    and Python is installed.
    """
    images = Images.load(Path(folder))
    job = read_jobs(workflow)[name]
    engine = Engine(Path(folder))
    await engine.use_subnet()
    workspace = Path(folder) / "workspace"
    async with AsyncExitStack() as stack:
        for name, service in job.services.items():
            running = engine.running(name, images.mock, environment=service.environment, ports=service.ports)
            await become_healthy(await stack.enter_async_context(running))
        runner = await stack.enter_async_context(
            engine.running(
                "runner",
                images.runner,
                environment=job.environment,
                volumes={"/workspace": workspace, "/workspace/odyssey-testkit": ROOT},
                is_on_host=True,
            )
        )
        steps = [await runner.execute(["bash", "-e", "-c", f"cd /workspace\n{each}"]) for each in job.commands]
    return {"steps": [[each.exit_code, each.output] for each in steps]}


FIREWALL = """
PATH=$PATH:/usr/sbin
nft -f - <<'RULES'
table ip firewall {
    chain arriving {
        type filter hook input priority filter;
        iifname outside ct state established,related accept
        iifname outside tcp dport 8400 accept
        iifname outside udp dport 50000-50100 accept
        iifname outside drop
    }
    chain leaving {
        type filter hook output priority filter;
        oifname outside ct state new drop
    }
}
RULES
"""
"""Lets the other machine reach only the ports in the table of use-a-remote-machine.md."""

AT_OTHER_MACHINE = 'mount --bind "$1" /etc/hosts; eval "$2"; shift 2; exec "$@"'
"""Runs a command on the other machine, after shell commands that set variables, with a file of names of machines."""


async def remote_machine(folder: str, serve: str, exports: str, _: AtOtherMachine) -> JSON:
    """Run the command `serve` on the host; use the mock on the other machine, with the variables of `exports`."""
    await configure(FIREWALL)
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "CONTROL_TOKEN": TOKEN}
    names = Path(folder) / "hosts"
    write_names(names, {"mock.lan": HOST_ADDRESS})
    elsewhere = [*ELSEWHERE, "unshare", "--mount", "sh", "-ec", AT_OTHER_MACHINE, "sh", str(names), exports]
    server = await asyncio.create_subprocess_exec(
        *("sh", "-c", f"exec {serve}"), cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert server.stdout is not None
        async with asyncio.timeout(LIMIT):
            await server.stdout.readuntil(b"Press Ctrl-C")
        frame = json_of(await run(*elsewhere, sys.executable, str(FIRST_FRAME)))
        listed = json_of(await run(*elsewhere, sys.executable, "-c", control_request("http://mock.lan:8400")))
        server.terminate()
        async with asyncio.timeout(LIMIT):
            exit_code = await server.wait()
    finally:
        if server.returncode is None:
            server.kill()
            await server.wait()
    return {"frame": frame, "recordings": listed["total"], "exit_code": exit_code}


def running_service(
    engine: Engine, service: Service, image: Image, *, hosts: Mapping[str, str] | None = None
) -> AbstractAsyncContextManager[Container]:
    return engine.running(
        service.name,
        image,
        service.command,
        entrypoint=service.entrypoint,
        address=service.address,
        environment=service.environment,
        ports=service.ports,
        volumes={target: engine.volume(name, image, target) for target, name in service.volumes.items()},
        hosts=hosts,
    )


async def become_healthy(container: Container) -> None:
    health = container.image.config.health
    assert health is not None, "expected a health check in the image, got none"
    await container.become_healthy(health)


def rights_of(pid: int) -> Mapping[str, str]:
    """Return the user id and the capabilities of a process."""
    return dict(re.findall(r"^(Uid|CapEff):\t(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE))


async def recordings(url: str, *machine: str) -> object:
    """Return the number of recordings that the mock at `url` lists, on the host or on another `machine`."""
    return json_of(await run(*machine, sys.executable, "-c", control_request(url)))["total"]


def control_request(url: str) -> str:
    """Return a program that prints the recordings of the mock at `url`, which it requests with the control token."""
    return f"""
import urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
request = urllib.request.Request("{url}/_mock/recordings", headers={{"Authorization": "Bearer {TOKEN}"}})
print(opener.open(request, timeout=30).read().decode())
"""


def json_of(ended: Ended) -> Any:  # Any: JSON
    """Parse the last line of the output of a command that succeeded."""
    assert ended.exit_code == 0, f"expected exit code 0, got {ended.exit_code} with this output:\n{ended.output}"
    return json.loads(ended.output.splitlines()[-1])
