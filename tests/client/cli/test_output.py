"""Tests of the output of `odyssey` commands: columns, sizes, escaped text, and errors as text and JSON."""

import asyncio
import contextlib
import io
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from odyssey_client import Odyssey
from odyssey_client.cli.errors import error_document, error_text
from odyssey_client.cli.output import print_error, print_parts, size
from odyssey_client.config import AdvancedConfig, ClientConfig
from odyssey_client.errors import (
    ConnectTimeoutError,
    DownloadError,
    OdysseyApiError,
    OdysseyConfigError,
    OdysseyError,
    RateLimitError,
    ServiceUnreachableError,
)
from odyssey_client.models import Recording
from odyssey_client.rest.atomic_file import AtomicFile
from odyssey_client.rest.downloads import DownloadRequest
from odyssey_client.rest.error_mapping import Failure
from odyssey_client.rest.retries import RetryPolicy, retrying
from odyssey_client.service_errors import ROWS
from odyssey_client.spectator.spectator_connection import connect_to_stream
from odyssey_client.system import SystemClock
from tests.support.terminals import Terminal, describe_terminal

PYTHON = re.compile(r"\w\(|=|AdvancedConfig|BroadcastInfo|on_broadcast_ready")
"""Matches Python code in an error message. Users of the command cannot follow advice that contains it."""


def test_closed_stderr_is_not_replaced_by_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr", None)
    print_error("Error: no")
    assert capsys.readouterr().out == ""


def test_closed_stdout_is_not_replaced_by_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout", None)
    print_parts(("A text",))
    assert capsys.readouterr().err == ""


def test_error_label_has_color_on_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    describe_terminal(monkeypatch)
    for stream, shown in (
        (Terminal(), "\x1b[1;31mError:\x1b[0m no \\x1b[2J\n"),
        (io.StringIO(), "Error: no \\x1b[2J\n"),
    ):
        monkeypatch.setattr("sys.stderr", stream)
        print_error("Error: no \x1b[2J")
        assert stream.getvalue() == shown


def test_interruption_has_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    describe_terminal(monkeypatch)
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    print_error("Interrupted.")
    assert terminal.getvalue() == "Interrupted.\n"


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (342_905, "342.9 kB"), (2 * 10**9, "2000.0 MB")],
)
def test_sizes_have_units(count: int, shown: str) -> None:
    assert size(count) == shown


def assert_names_commands(error: OdysseyError, *expected: str) -> None:
    """Assert that the error as text contains each string in `expected`.

    Also assert that neither the error as text nor the message of the error as JSON contains Python code.
    """
    for told in (error_text(error), str(error_document(error)["message"])):
        assert not PYTHON.search(told)
    for words in expected:
        assert words in error_text(error)


def errors_of_service() -> Iterator[OdysseyError]:
    """Yield the client's error for each HTTP status in its table of service errors.

    Errors of session requests are omitted, because no command sends such a request.
    """
    names = {"job_id": "job-1", "stream_id": "stream-1"}
    for found in ROWS:
        if isinstance(found.said, int) and not found.call.startswith("POST /sessions"):
            yield Failure(
                found.call, found.said, detail="no", request_id="", route=found.call, names=names, source=found.source
            ).error()


def test_advice_of_service_errors_names_commands() -> None:
    errors = list(errors_of_service())
    for error in errors:
        assert_names_commands(error)
    told = "\n".join(map(error_text, errors))
    for command in ("`odyssey recordings list`", "`odyssey simulations list`", "`odyssey simulations show`"):
        assert command in told
    assert "Leave --bypass-prompt-expansion out" in told
    assert "as the host received them with `broadcast_ready`." in told
    assert "that the host received with `broadcast_ready` for a running stream." in told


def test_advice_about_missing_key_names_environment_variable() -> None:
    with pytest.raises(OdysseyConfigError) as caught:
        ClientConfig.resolve(env={})
    assert_names_commands(caught.value, "Set the environment variable ODYSSEY_API_KEY.")


def test_advice_about_existing_file_names_option(tmp_path: Path) -> None:
    target = tmp_path / "cat.mp4"
    target.write_bytes(b"a film")
    with pytest.raises(DownloadError) as caught:
        AtomicFile(target, overwrite=False).open()
    assert_names_commands(caught.value, "pass --overwrite to replace it")


def test_advice_about_missing_artifact_names_command() -> None:
    with pytest.raises(DownloadError) as caught:
        DownloadRequest("stream-1", "cat.mp4").url(Recording("stream-1", None, None, None, None, None, None))
    assert_names_commands(caught.value, "check with `odyssey recordings list`.")


async def test_advice_about_invalid_broadcast_url_is_shortened() -> None:
    with pytest.raises(OdysseyConfigError) as caught:
        await connect_to_stream("ftp://host", "token")
    assert_names_commands(caught.value)


async def test_note_about_too_long_wait_names_limit() -> None:
    error = OdysseyApiError("down", status=503)
    error.retry_after_seconds = 120

    async def fail() -> None:
        raise error

    with pytest.raises(OdysseyApiError) as caught:
        await retrying(fail, RetryPolicy.of(AdvancedConfig(), lambda low, _: low), SystemClock())
    assert_names_commands(caught.value, "asks to wait 120 s, longer than the limit of 60 s.")


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """Start a server that accepts connections and never responds; yield its URL."""

    async def wait_for_client_to_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    async with await asyncio.start_server(wait_for_client_to_close, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}"


async def test_request_timeout_names_no_setting() -> None:
    advanced = AdvancedConfig(request_timeout_s=0.2, request_max_retries=0)
    async with silent_server() as url, Odyssey("ody_test_key", api_url=url, advanced=advanced) as client:
        with pytest.raises(ServiceUnreachableError) as caught:
            await client.list_stream_recordings()
    assert "request_timeout_s" in str(caught.value)
    assert_names_commands(caught.value, "was not answered within 0.2 s")


async def test_broadcast_timeout_names_no_setting() -> None:
    async with silent_server() as url:
        with pytest.raises(ConnectTimeoutError) as caught:
            await connect_to_stream(f"{url}/broadcast/1", "token", advanced=AdvancedConfig(connect_timeout_s=0.2))
    assert "connect_timeout_s" in str(caught.value)
    assert_names_commands(caught.value, "did not open within 0.2 s.")


def test_notes_are_printed_below_error() -> None:
    error = OdysseyApiError("down")
    error.add_note("Tried 4 times.")
    assert error_text(error) == "Error: down\n  Tried 4 times."


def test_json_error_has_fields_of_service_response() -> None:
    error = RateLimitError("slow", action="Wait", details={"retry_after_seconds": 3}, detail={"error": "RATE_LIMITED"})
    assert error_document(error) == {
        "code": "RATE_LIMITED",
        "message": "slow",
        "retryable": True,
        "status": 429,
        "detail": {"error": "RATE_LIMITED"},
        "action": "Wait",
        "action_url": None,
        "details": {"retry_after_seconds": 3},
    }
