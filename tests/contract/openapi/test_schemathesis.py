"""schemathesis tests the mock against its own `/openapi.json`.

It sends valid, invalid and boundary requests to each operation, with all of its checks. For example, a test fails if
the document does not describe the status of a response, or if a response does not match its schema. It also fails if an
invalid request is accepted. `schemathesis.toml` lists the exceptions with their reasons.

The variable `ODYSSEY_TEST_SCHEMATHESIS` sets the number of random requests per operation, and
`ODYSSEY_TEST_SCHEMATHESIS_SEED` the seed. With the first variable, sequences of requests are tested too.
`scripts/test-needs` installs schemathesis beside `.venv`, because its plugin for pytest would run in every pytest
process.
"""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from odyssey_mock import MockOdyssey
from tests.support.raw import raw_peer
from tests.support.requirements import require
from tests.support.tls_contexts import NO_CERTIFICATES
from tests.support.whep import Live, RawSpectator, go_live

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PACKAGES = ROOT / ".cache" / "schemathesis"
"""The folder into which scripts/test-needs installs the packages of `requirements.lock`."""

IS_CAMPAIGN = "ODYSSEY_TEST_SCHEMATHESIS" in os.environ
CASES = int(os.environ.get("ODYSSEY_TEST_SCHEMATHESIS", "12"))
"""Maximum number of random requests per operation, in addition to the requests that cover each schema."""
SEED = int(os.environ.get("ODYSSEY_TEST_SCHEMATHESIS_SEED", "1"))
PHASES = ("examples", "coverage", "fuzzing", *(["stateful"] if IS_CAMPAIGN else []))

LIMIT_S = None if IS_CAMPAIGN else 280.0
"""Timeout in seconds for one run. Most runs take less than 30 s on an idle machine."""

pytestmark = pytest.mark.timeout(0 if IS_CAMPAIGN else 300)  # two processors that other tests use too

SCRIPT = [{"timestamp_ms": 0, "start": {"prompt": "A cat"}}, {"timestamp_ms": 500, "end": {}}]
SMALL: Mapping[str, Any] = {
    "plan": "unlimited",
    "fps": 4,
    "portrait_size": (88, 160),
    "streamers": 10**6,
    "simulation_dispatch_delay": 0,
    "simulation_start_delay": 0,
    "simulation_pace": 0,
}
"""Settings with which video costs little time, and no limit of the account is reached."""


@dataclass(frozen=True)
class Run:
    """A run of schemathesis: its exit status, its output, and how many requests it sent."""

    status: int
    output: str

    @property
    def cases(self) -> int:
        found = re.search(r"(\d+) generated", self.output)
        return int(found[1]) if found else 0


async def schemathesis(mock: MockOdyssey, *options: str, folder: Path, **variables: str) -> Run:
    """Run the command `schemathesis run` for a mock, in a folder into which it writes its cache."""
    command = "from schemathesis.cli import schemathesis; schemathesis()"
    config = ("--config-file", str(HERE / "schemathesis.toml"))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", command, *config, "run", f"{mock.url}/openapi.json"),
        *("--seed", str(SEED), "--max-examples", str(CASES), "--phases", ",".join(PHASES), *options),
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(PACKAGES)]),
            "HYPOTHESIS_STORAGE_DIRECTORY": str(ROOT / ".hypothesis"),  # its table of Unicode takes seconds to create
            "ODYSSEY_TEST_HOOKS": "tests.contract.openapi.hooks",
            "ODYSSEY_TEST_ACCESS_TOKEN": "none",
            "ODYSSEY_TEST_SPECTATOR_TOKEN": "none",
            "ODYSSEY_TEST_LIVE": "{}",
            **variables,
        },
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Run(process.returncode, output.decode())


@asynccontextmanager
async def live(mock: MockOdyssey) -> AsyncIterator[Live]:
    """Connect a host, and start and yield a broadcast."""
    async with raw_peer(mock) as host:
        yield await go_live(mock, host)


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    is_installed = (PACKAGES / ".stamp").exists()
    require(None if is_installed else "tests/contract/openapi/requirements.lock is not installed")


async def test_service_conforms_to_its_document(tmp_path: Path) -> None:
    async with (
        MockOdyssey(**SMALL) as mock,
        httpx.AsyncClient(base_url=mock.url, trust_env=False, verify=NO_CERTIFICATES) as http,
    ):
        response = await http.post("/auth/token", json={"api_key": mock.api_key})
        token = response.raise_for_status().json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        stream = await finished_stream(mock, http)
        recording = (await http.get(f"/recordings/{stream}")).raise_for_status().json()
        signed = dict(parse_qsl(urlsplit(recording["events_url"]).query))
        async with live(mock) as broadcast, RawSpectator(broadcast) as spectator:
            path = {"stream_id": broadcast.stream_id}
            real = {
                "createSpectator": {"path": path},
                "getBroadcastFile": {"path": path},
                "trickleSpectator": {"path": {**path, "resource": spectator.resource.rpartition("/")[2]}},
                "getRecording": {"path": {"stream_id": stream}},
                "getArtifact": {"path": {"stream_id": stream, "artifact": "events.jsonl"}, "query": signed},
            }
            run = await schemathesis(
                mock,
                *("--exclude-path-regex", "^/_mock/"),
                folder=tmp_path,
                ODYSSEY_TEST_ACCESS_TOKEN=token,
                ODYSSEY_TEST_SPECTATOR_TOKEN=broadcast.token,
                ODYSSEY_TEST_LIVE=json.dumps(real),
            )
            assert run.status == 0, run.output
            assert run.cases >= 950, run.output
            assert not mock.journal.find("note", "defect")
            assert broadcast.frames is None, "the broadcast has ended during the run"


async def test_control_api_conforms_to_its_document(tmp_path: Path) -> None:
    async with MockOdyssey() as mock:
        # The response to `GET /_mock/events` does not end.
        run = await schemathesis(mock, "--include-path-regex", "^/_mock/(?!events$)", folder=tmp_path)
        assert run.status == 0, run.output
        assert run.cases >= 800, run.output
        assert not mock.journal.find("note", "defect")


async def finished_stream(mock: MockOdyssey, http: httpx.AsyncClient) -> str:
    """Run a simulation job, and return the id of its stream."""
    response = await http.post("/simulation-jobs", json={"script": SCRIPT, "portrait": True, "output_video": True})
    job = response.raise_for_status().json()["job_id"]
    await mock.wait_for("state", "simulation", to="completed", job=job)
    return str((await http.get(f"/simulation-jobs/{job}")).raise_for_status().json()["streams"][0]["stream_id"])
