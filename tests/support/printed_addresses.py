"""A script that opens every URL that `odyssey-mock serve` prints, for several hosts, with and without TLS.

test_printed_addresses.py runs it in a network namespace. Its argument is a folder for the local certificate authority.
It prints, for each host, the hosts of the URLs that the mock answered.
"""

import asyncio
import itertools
import json
import re
import ssl
import sys

import httpx

from odyssey_mock import MockOdyssey
from odyssey_mock.cli.serve import _welcome
from tests.support.tls_contexts import NO_CERTIFICATES

FOLDER = sys.argv[1]
HOSTS = ("127.0.0.1", "::1", "0.0.0.0", "::", "10.99.0.2", "fd00::2", "localhost")


async def opened(host: str, *, tls: bool) -> list[str]:
    """Open every URL that the command prints for a mock on `host`; return the label and the host of each."""
    async with MockOdyssey(host=host, tls=tls, tls_dir=FOLDER) as mock:
        root = mock.root_certificate
        trusted = NO_CERTIFICATES if root is None else ssl.create_default_context(cafile=str(root))
        printed = re.findall(r"^  (Local|Network) +(https?://\S+)", _welcome(mock, ""), re.MULTILINE)
        async with httpx.AsyncClient(verify=trusted, trust_env=False) as http:
            for _, url in printed:
                health = (await http.get(f"{url}/_mock/health")).raise_for_status().json()
                assert health["url"] == url, f"expected the mock to send {url}, got {health['url']}"
        scheme, port = mock.url.partition(":")[0], mock.url.rpartition(":")[2]
        return [f"{label} {url.removeprefix(f'{scheme}://').removesuffix(f':{port}')}" for label, url in printed]


async def main() -> None:
    found = {}
    for host, tls in itertools.product(HOSTS, (False, True)):
        found[f"{host}{' with TLS' if tls else ''}"] = await opened(host, tls=tls)
    print(json.dumps(found))


asyncio.run(main())
