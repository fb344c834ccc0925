"""Runs nginx in front of a mock, with the configuration of the documentation."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.support.namespaces import program
from tests.support.pages import blocks

START_LIMIT = 30.0
"""Timeout in seconds until nginx listens, which takes a tenth of a second."""

_AROUND = """
user root root;
daemon on;
master_process off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    {server}
}}
"""
"""A configuration around the server of the documentation, for a user without rights to other folders."""


def missing() -> str | None:
    """Return a description of the missing program; None if it is installed."""
    return None if program("nginx") else "nginx is not installed"


@asynccontextmanager
async def running(folder: Path, certificate: Path, key: Path) -> AsyncIterator[None]:
    """Run nginx with the server of the documentation and this certificate. It writes its files to `folder`."""
    (server,) = blocks("nginx")
    configuration = folder / "nginx.conf"
    files = {"certificate.pem": certificate, "key.pem": key}
    code = re.sub(r"/etc/ssl/example\.com/([\w.]+)", lambda path: str(files[path[1]]), server.code)
    configuration.write_text(_AROUND.format(server=code))
    # The command returns once nginx listens, and leaves it running in the background.
    starting = await asyncio.create_subprocess_exec(str(program("nginx")), "-p", folder, "-c", configuration)
    try:
        async with asyncio.timeout(START_LIMIT):
            status = await starting.wait()
    finally:
        if starting.returncode is None:
            starting.kill()
            await starting.wait()
    assert status == 0, f"expected nginx to start, got exit status {status}"
    pid = int((folder / "nginx.pid").read_text())
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # nginx has already ended
            os.kill(pid, signal.SIGKILL)
