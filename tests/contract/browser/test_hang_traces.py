"""Traces of the mock explain three hangs of the official JavaScript client, which itself reports nothing.

Only the mock is recorded. The printed traces are those of docs/how-to/read-a-trace.md.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from odyssey_client.trace import Manifest, Recorder, Trace, TraceEvent, read_trace, write_trace
from odyssey_mock import MockOdyssey
from odyssey_mock.trace.run_information import redaction
from odyssey_mock.trace.server_trace import ServerTrace
from odyssey_mock.trace.text import Selection, trace_text
from tests.contract.browser.official_client import PENDING, OfficialClient

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.odyssey(portrait_size=(176, 320), landscape_size=(320, 176)),
]


class Recorded:
    """The trace of the mock of one test."""

    def __init__(self, mock: MockOdyssey, trace: ServerTrace, directory: Path, title: str) -> None:
        self._mock, self._trace, self._title = mock, trace, title
        self._path = Path(os.environ.get("ODYSSEY_TEST_TRACES", directory)) / f"{title}.odytrace"

    def read(self) -> Trace:
        """Write the trace, and read it again."""
        recording = self._trace.recording()
        manifest = Manifest(title=self._title, began_at=recording.began_at, duration=recording.duration)
        write_trace(self._path, recording, manifest, redact=redaction([self._mock.journal.secrets]))
        return read_trace(self._path)


@pytest_asyncio.fixture(loop_scope="session")
async def recorded(mock: MockOdyssey, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Recorded]:
    async with ServerTrace(mock, Recorder()) as trace:
        yield Recorded(mock, trace, tmp_path, request.node.name)


def messages(trace: Trace) -> list[tuple[str | None, str]]:
    return [(event.sender, event.name) for event in trace.events if event.lane == "channel"]


def errors(trace: Trace) -> list[TraceEvent]:
    return [event for event in trace.events if event.error is not None]


def printed(trace: Trace) -> str:
    return "\n".join(trace_text(trace, Selection()))


async def test_lost_acknowledgment_is_in_the_trace(
    official: OfficialClient, mock: MockOdyssey, recorded: Recorded
) -> None:
    mock.faults.add(at="stream.interact", do="silent", times=1)
    await official.connect(mock.api_key)
    await official.start_stream("A cat")
    interacting = await official.begin("interact", "Pet it")
    await official.frame_showing(1)
    assert await interacting.outcome() == PENDING

    with recorded.read() as trace:
        assert messages(trace)[-1] == ("client", "update")
        (withheld,) = errors(trace)
        assert str(withheld.error).startswith("reply withheld")
        assert "stream.interact silent" in str(withheld.error)
        (fault,) = [event for event in trace.events if event.lane == "fault"]
        assert fault.at <= withheld.at
        assert "fault stream.interact" in printed(trace)


async def test_unanswered_regions_request_is_in_the_trace(
    official: OfficialClient, mock: MockOdyssey, recorded: Recorded
) -> None:
    mock.faults.add(at="rest.regions.list", do="no_answer")
    connecting = await official.begin("connect", mock.api_key)
    await mock.wait_for("fault", "rest.regions.list", timeout=30)
    assert await connecting.outcome() == PENDING

    with recorded.read() as trace:
        assert [event.name for event in trace.events if event.lane == "http"] == ["POST /auth/token"]
        last = trace.events[-1]
        assert (last.lane, last.name, last.data["do"]) == ("fault", "rest.regions.list", "no_answer")
        assert [event for event in trace.events if event.lane == "peer"] == []


async def test_two_acknowledgments_are_in_the_trace(
    official: OfficialClient, mock: MockOdyssey, recorded: Recorded
) -> None:
    # Late enough that the second call begins before the first reply.
    mock.faults.add(at="stream.interact", do="late", seconds=2, times=2)
    await official.connect(mock.api_key)
    await official.start_stream("A cat")
    first = await official.begin("interact", "Pet it")
    second = await official.begin("interact", "Feed it")
    assert (await second.settled()).state == "resolved"
    await official.frame_showing(2)
    await official.received("update_acknowledged", 2)
    assert await first.outcome() == PENDING

    with recorded.read() as trace:
        # The mock has replied to both. The client gives the first reply to the second call.
        assert messages(trace)[2:] == [
            ("client", "update"),
            ("client", "update"),
            ("server", "update_acknowledged"),
            ("server", "update_acknowledged"),
        ]
        assert errors(trace) == []
