"""The recorder of clients without the argument ``trace``, and errors of the argument."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from odyssey_client import Odyssey, OdysseyConfigError, sync
from odyssey_client.trace import Recorder, read_trace, record_by_default
from odyssey_client.trace.calls import recorded
from odyssey_client.trace.client_trace import ClientTrace
from odyssey_mock.sync import MockOdyssey

KEY = "ody_key_of_this_test"
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    record_by_default(recorder)
    yield recorder
    record_by_default(None)


def calls(recorder: Recorder) -> list[tuple[str | None, str]]:
    return [(event.actor, event.name) for event in recorder.snapshot().events if event.lane == "call"]


async def test_clients_record_by_default(recorder: Recorder) -> None:
    for _ in range(2):
        async with Odyssey(KEY, api_url=NOWHERE):
            pass

    assert calls(recorder) == [("client 1", "disconnect"), ("client 2", "disconnect")]


async def test_client_continues_to_record_after_clear(recorder: Recorder) -> None:
    Odyssey(KEY, api_url=NOWHERE)
    client = Odyssey(KEY, api_url=NOWHERE)
    recorder.clear()
    await client.disconnect()

    assert calls(recorder) == [("client 1", "disconnect")], "names of clients begin again"


async def test_earlier_client_is_not_recorded(recorder: Recorder) -> None:
    record_by_default(None)
    client = Odyssey(KEY, api_url=NOWHERE)
    record_by_default(recorder)
    await client.disconnect()

    assert calls(recorder) == []


async def test_argument_overrides_the_default(recorder: Recorder) -> None:
    own = Recorder()
    await Odyssey(KEY, api_url=NOWHERE, trace=own).disconnect()

    assert calls(recorder) == []
    assert calls(own) == [("client 1", "disconnect")]


def test_log_records_belong_to_the_default_recorder(recorder: Recorder) -> None:
    logging.getLogger("an.application").warning("a warning of %s", "the application")
    record_by_default(None)
    logging.getLogger("an.application").warning("another")

    assert [event.data["message"] for event in recorder.snapshot().events] == ["a warning of the application"]


def test_warning_still_appears_on_standard_error(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python writes warnings to standard error as long as no handler is configured; a recorder is none."""
    recording = [each for each in logging.root.handlers if type(each).__module__.startswith("odyssey_client.trace")]
    monkeypatch.setattr(logging.root, "handlers", recording)
    logging.getLogger("an.application").warning("a warning")

    assert capsys.readouterr().err == "a warning\n"
    assert [event.name for event in recorder.snapshot().events] == ["WARNING"]


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("an exception without a message")


@pytest.mark.parametrize(
    ("message", "arguments", "shown"),
    [
        ("%s failed", (UnprintableError(),), "%s failed"),
        (UnprintableError(), (), "UnprintableError"),
        ("two %s %s", ("values",), "two %s %s"),
    ],
    ids=["argument", "message", "too few arguments"],
)
def test_log_record_that_cannot_be_formatted_is_recorded(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, message: object, arguments: tuple[object, ...], shown: str
) -> None:
    recording = [each for each in logging.root.handlers if type(each).__module__.startswith("odyssey_client.trace")]
    monkeypatch.setattr(logging.root, "handlers", recording)
    monkeypatch.setattr(logging, "lastResort", None)
    try:
        raise UnprintableError
    except UnprintableError:
        logging.getLogger("an.application").exception(message, *arguments)

    (event,) = (each for each in recorder.snapshot().events if each.data.get("logger") == "an.application")
    assert (event.data["message"], event.data["exception"]) == (shown, "UnprintableError")


async def test_unprintable_error_stays_the_error(recorder: Recorder) -> None:
    class Client:
        _trace = ClientTrace(recorder)

        @recorded
        async def fail(self) -> None:
            raise UnprintableError

    with pytest.raises(UnprintableError):
        await Client().fail()
    assert [event.error for event in recorder.snapshot().events if event.lane == "call"] == ["UnprintableError"]


def test_clients_of_several_threads_share_a_recorder(recorder: Recorder) -> None:
    with MockOdyssey() as mock, sync.Odyssey(mock.api_key, api_url=mock.url) as client:
        client.list_simulations()
        asyncio.run(Odyssey(mock.api_key, api_url=mock.url).disconnect())

    found = recorder.snapshot().events
    assert calls(recorder) == [("client 1", "list_simulations"), ("client 2", "disconnect"), ("client 1", "disconnect")]
    lines = [event.source.function for event in found if event.lane == "call" and event.source is not None]
    assert lines == ["test_clients_of_several_threads_share_a_recorder"] * 3


class BytesPath:
    def __fspath__(self) -> bytes:
        return b"a.odytrace"


@pytest.mark.parametrize("target", [3, b"a.odytrace", "", True, BytesPath()])
def test_invalid_target_is_rejected(target: object) -> None:
    with pytest.raises(OdysseyConfigError, match="trace must be the path of a file to write"):
        Odyssey(KEY, trace=target)  # type: ignore[arg-type]


def test_unwritable_file_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "missing" / "a.odytrace"
    asyncio.run(Odyssey(KEY, api_url=NOWHERE, trace=path).disconnect())

    (record,) = caplog.records
    assert record.getMessage().startswith(f"the trace could not be written to {path}: FileNotFoundError")
    assert list(tmp_path.iterdir()) == []


async def test_file_is_written_at_each_disconnect(tmp_path: Path) -> None:
    path = tmp_path / "a.odytrace"
    client = Odyssey(KEY, api_url=NOWHERE, trace=str(path))
    await client.disconnect()
    await client.disconnect()

    with read_trace(path) as trace:
        assert [event.name for event in trace.events] == ["disconnect", "disconnect"]


async def test_keyless_client_records(tmp_path: Path) -> None:
    path = tmp_path / "a.odytrace"
    async with Odyssey.keyless(api_url=NOWHERE, trace=path):
        pass

    assert path.is_file()
