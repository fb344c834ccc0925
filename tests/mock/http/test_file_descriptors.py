"""Tests of a mock whose process has no file descriptors left. It runs in a subprocess with a low limit."""

import errno
import itertools
import json
import os
import resource
import select
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Never
from urllib.parse import urlsplit

import httpx
import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.core.file_descriptors import DETAIL, ListeningSocket, is_shortage
from tests.support.forks import start_python
from tests.support.interrupts import interruptible
from tests.support.raw import RawApi, raw_socket, receive
from tests.support.tls_contexts import NO_CERTIFICATES

LIMIT = 20.0
DESCRIPTORS = 64


@contextmanager
def scarce_mock(log: Path) -> Iterator[str]:
    """Run `odyssey-mock serve` with `DESCRIPTORS` file descriptors, and its log in the file `log`; yield its URL."""
    command = ("-c", "from odyssey_mock.cli import main; main()", "serve", "--port", "0", "--json")
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with interruptible(), log.open("wb") as stderr:
        process = start_python(*command, stdout=subprocess.PIPE, stderr=stderr, env=environment)
    with process:
        try:
            assert process.stdout is not None
            url: str = json.loads(process.stdout.readline())["url"]
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
            yield url
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit")
def test_connections_are_refused_with_503_until_others_close(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with scarce_mock(log) as url, ExitStack() as idle:
        address = urlsplit(url)
        http = idle.enter_context(httpx.Client(base_url=url, trust_env=False, timeout=LIMIT, verify=NO_CERTIFICATES))
        assert http.get("/config").status_code == 200
        kept = [socket.create_connection((address.hostname, address.port), LIMIT) for _ in range(2 * DESCRIPTORS)]
        refused: list[socket.socket] = []
        while len(refused) < DESCRIPTORS:  # the process itself has a few descriptors open, so more are refused
            refused, _, _ = select.select(kept, [], [], LIMIT)
            assert refused, "expected the connections beyond the limit to be refused, got no response"
        assert {response_on(connection) for connection in refused} <= {b"HTTP/1.1 503 Service Unavailable", b"reset"}
        assert http.get("/config").status_code == 200, "expected a connection that was open before to work"
        for connection in kept:
            connection.close()
        with httpx.Client(
            base_url=url, trust_env=False, timeout=LIMIT, transport=httpx.HTTPTransport(retries=3)
        ) as new:
            assert new.get("/config").status_code == 200
    lines = log.read_text().splitlines()
    assert [line for line in lines if "Traceback" in line] == []
    shortages = [line for line in lines if "no file descriptors are left" in line]
    assert len(shortages) == 1, f"expected one line about the shortage, got {len(shortages)} of {len(lines)}"
    assert f"limit: {DESCRIPTORS}" in shortages[0]


def response_on(connection: socket.socket) -> bytes:
    """Return the status line of the response; `reset` if the connection was reset, so that the response is lost."""
    try:
        return connection.recv(1000).partition(b"\r\n")[0]
    except ConnectionResetError:
        return b"reset"


def test_shortage_is_recognized_in_groups_of_errors() -> None:
    shortage = OSError(24, "Too many open files")
    assert is_shortage(ExceptionGroup("", [ValueError(), ExceptionGroup("", [shortage])]))
    assert not is_shortage(ExceptionGroup("", [ValueError(), OSError(13, "Permission denied")]))


def test_spare_descriptors_are_closed_with_the_socket() -> None:
    with tempfile.TemporaryFile() as before:
        lowest = before.fileno()
    listener = ListeningSocket(socket.AF_INET, socket.SOCK_STREAM)
    listener.close()
    with tempfile.TemporaryFile() as after:
        assert after.fileno() == lowest


async def test_socket_without_spares_refuses_in_later_shortage(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Never:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as shortage:
        shortage.setattr(os, "open", fail)
        listener = ListeningSocket(socket.AF_INET, socket.SOCK_STREAM)
    with listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with socket.create_connection(listener.getsockname(), LIMIT):
            listener.accept()[0].close()
        with socket.create_connection(listener.getsockname(), 2.0) as client:
            # The first attempt fails, as without descriptors; the second one uses a spare one.
            accept, attempts = socket.socket.accept, itertools.count()

            def attempt(self: socket.socket) -> tuple[socket.socket, object]:
                return accept(self) if next(attempts) else fail()

            monkeypatch.setattr(socket.socket, "accept", attempt)
            with pytest.raises(BlockingIOError):
                listener.accept()
            assert response_on(client) == b"HTTP/1.1 503 Service Unavailable"


async def test_session_whose_peer_gets_no_socket_is_refused(
    odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> Never:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("odyssey_mock.rtc.ice.gather", fail)
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        token = await api.token_for(session["session_id"])
        async with raw_socket(session, token) as signaling:
            assert await receive(signaling) == {"type": "error", "reason": "streamer_not_available"}
            await signaling.wait_closed()
            assert signaling.close_code == 1013
    closed = odyssey_mock.expect("socket", kind="state", session=session["session_id"], to="closed", code=1013)
    assert closed.data["why"] == DETAIL
