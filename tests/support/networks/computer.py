"""A script that executes the commands of a how-to guide on a computer, and lets a phone open the app.

It runs in the network "phone", with the name of the guide as its argument, and prints what the phone saw.
"""

import asyncio
import json
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.contract.browser import chromium
from tests.support.networks.phone import Seen, Visit, visit
from tests.support.other_machines import waiting_on
from tests.support.pages import blocks

GUIDE = sys.argv[1]
ADDRESS = "192.168.1.20"
"""The address of the computer, in the guides and in the network."""
PORT = 5173
"""The port of the app's dev server."""
LIMIT = 100.0
"""Timeout in seconds for all steps of a guide."""
END_LIMIT = 20.0
"""Timeout in seconds for the end of commands after SIGTERM."""

UFW = """#!/bin/sh -e
# Carries out `ufw allow PORT/PROTOCOL` with nft.
port=${2%/*}
PATH=$PATH:/usr/sbin
nft add rule inet firewall arriving "${2#*/}" dport "$(echo "$port" | tr : -)" accept
"""
SUDO = '#!/bin/sh\nexec "$@"\n'

type OnPhone = Callable[[Visit], Awaitable[Seen]]


class Computer:
    """The computer of a developer: the shell in which the commands of the guide run, in the folder `home`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        programs = home / "bin"
        programs.mkdir()
        for name, code in (("ufw", UFW), ("sudo", SUDO)):
            (programs / name).write_text(code)
            (programs / name).chmod(0o755)
        (home / ".pki" / "nssdb").mkdir(parents=True)
        path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
        # mkcert must not change the certificates of the machine that runs the tests.
        outside = {
            name: value for name, value in os.environ.items() if name != "CAROOT" and not name.startswith("XDG_")
        }
        self._environment = {**outside, "HOME": str(home), "PATH": path, "TRUST_STORES": "nss"}

    async def run(self, commands: str) -> str:
        """Execute commands; return their output."""
        process = await self._started(commands, {})
        output, _ = await process.communicate()
        assert process.returncode == 0, f"expected exit status 0, got {process.returncode} from: {commands}"
        return output.decode()

    @asynccontextmanager
    async def running(self, commands: str, variables: Mapping[str, str], *, ready: str) -> AsyncIterator[list[str]]:
        """Execute commands that do not end by themselves. Yield their output up to the line that contains `ready`."""
        process = await self._started(commands, variables)
        assert process.stdout is not None
        lines: list[str] = []
        try:
            while not lines or ready not in lines[-1]:
                line = await process.stdout.readline()
                assert line, f"expected a line with {ready!r}, got {lines} from: {commands}"
                lines.append(line.decode().rstrip())
            yield lines
        finally:
            with suppress(ProcessLookupError):  # the commands have ended
                os.killpg(process.pid, signal.SIGTERM)
            async with asyncio.timeout(END_LIMIT):
                await process.communicate()  # until no process of the group writes any more

    async def _started(self, commands: str, variables: Mapping[str, str]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *("sh", "-ec", commands),
            cwd=self.home,
            env={**self._environment, **variables},
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )


def shown(start: str) -> str:
    """Return the commands of the guide that begin with `start`."""
    (found,) = [each.code for each in blocks("sh") if each.page.name == GUIDE and each.code.startswith(start)]
    return found


async def use_a_phone(computer: Computer, on_phone: OnPhone) -> Seen:
    await computer.run(shown("sudo ufw"))
    serve = shown("odyssey-mock serve --host 0.0.0.0 --tls --udp-ports")
    async with computer.running(serve, {}, ready="Press Ctrl-C") as printed:
        variables = dict(line.split()[1].split("=", 1) for line in printed if line.startswith("  export "))
        (api_url,) = [line.split()[1] for line in printed if line.startswith("  Network")]
        unbuffered = variables | {"PYTHONUNBUFFERED": "1"}
        async with computer.running(shown("mkdir to-phone"), unbuffered, ready="Serving HTTP"):
            with chromium.served_page(host=ADDRESS, port=PORT) as page:
                root = f"http://{ADDRESS}:8000/root.crt"
                return await on_phone(Visit(root, page, api_url, variables["ODYSSEY_API_KEY"]))


async def serve_an_https_page(computer: Computer, on_phone: OnPhone) -> Seen:
    for ports in ("5173/tcp", "8400/tcp", "1024:65535/udp"):
        await computer.run(f"ufw allow {ports}")
    await computer.run(shown("mkcert -install"))
    root = Path((await computer.run("mkcert -CAROOT")).strip(), "rootCA.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(computer.home / "cert.pem", computer.home / "key.pem")
    serve = shown("odyssey-mock serve --host 0.0.0.0 --tls-cert")
    async with computer.running(serve, {}, ready="Press Ctrl-C") as printed:
        (key,) = [line.partition("=")[2] for line in printed if "ODYSSEY_API_KEY" in line]
        with chromium.served_page(host=ADDRESS, port=PORT, tls=tls) as page:
            return await on_phone(Visit(root, page, f"https://{ADDRESS}:8400", key, ["camera"]))


STEPS = {"use-a-phone.md": use_a_phone, "serve-an-https-page.md": serve_an_https_page}


async def main(on_phone: OnPhone) -> None:
    with TemporaryDirectory() as home:
        async with asyncio.timeout(LIMIT):
            print(json.dumps(await STEPS[GUIDE](Computer(Path(home)), on_phone)))


with waiting_on("phone", visit) as on_phone:
    asyncio.run(main(on_phone))
