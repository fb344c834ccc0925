"""A script that runs a mock, and nginx in front of it, and lets a client on another machine visit both.

test_addresses.py runs it in the network "two machines". It prints what `visits` of remote_visit.py returns there. Its
argument is a folder with the certificate of nginx.
"""

import asyncio
import json
import sys
from pathlib import Path

from odyssey_mock import MockOdyssey
from tests.support import nginx
from tests.support.other_machines import waiting_on
from tests.support.remote_visit import Visits, visits

FOLDER = Path(sys.argv[1])
URLS = ("http://10.98.0.1:8400", "https://10.98.0.1/mock")
LIMIT = 100.0
"""Timeout in seconds for the visits."""


async def main() -> None:
    with waiting_on("client", visits) as visit:
        async with (
            asyncio.timeout(LIMIT),
            MockOdyssey(host="0.0.0.0", port=8400, portrait_size=(176, 320), hls_segment_duration=0.2) as mock,
            nginx.running(FOLDER),
        ):
            found = await visit(Visits(mock.api_key, URLS, FOLDER / "certificate.pem"))
    print(json.dumps(found))


asyncio.run(main())
