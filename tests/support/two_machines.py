"""A script that runs a mock, nginx in front of it, and a mock with TLS, and lets a client on another machine visit all.

test_addresses.py runs it in the network "two machines". It prints what `visits` of remote_visit.py returns there. Its
argument is a folder for files.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from odyssey_mock import AccountSettings, MockOdyssey, Settings
from tests.support import nginx
from tests.support.certificate_files import server_files
from tests.support.other_machines import waiting_on
from tests.support.remote_visit import Visits, visits

FOLDER = Path(sys.argv[1])
FILES = server_files(FOLDER, "10.98.0.1")
"""The certificate of nginx."""
ROOTS = FOLDER / "roots.pem"
URLS = ("http://10.98.0.1:8400", "https://10.98.0.1/mock", "https://10.98.0.1:8443")
SETTINGS = Settings(
    host="0.0.0.0", portrait_size=(176, 320), hls_segment_duration=0.2, keys={"ody_here": AccountSettings()}
)
LIMIT = 100.0
"""Timeout in seconds for the visits."""


def write_roots(root: Path) -> None:
    """Write a file with the root certificates of nginx and of the mock with TLS."""
    ROOTS.write_bytes(FILES.root.read_bytes() + root.read_bytes())


async def main(visit: Callable[[Visits], Awaitable[Mapping[str, object]]]) -> None:
    async with (
        asyncio.timeout(LIMIT),
        MockOdyssey(SETTINGS, port=8400),
        MockOdyssey(SETTINGS, port=8443, tls=True, tls_dir=str(FOLDER / "tls")) as secure,
        nginx.running(FOLDER, FILES.certificate, FILES.key),
    ):
        assert secure.root_certificate is not None
        write_roots(secure.root_certificate)
        found = await visit(Visits(secure.api_key, URLS, ROOTS))
    print(json.dumps(found))


with waiting_on("client", visits) as visit:
    asyncio.run(main(visit))
