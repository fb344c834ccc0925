"""Tests of the measurement of whole Python processes."""

import asyncio
import os
from pathlib import Path

import pytest

from odyssey_mock.bench.python_processes import compiled_modules, free_port, time_of_first_response, time_of_run

SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(self.path[1:]))
        self.end_headers()

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
"""A server that responds to a request for /N with the status N."""


async def test_time_of_run_includes_the_whole_process() -> None:
    assert await time_of_run(("-c", "import time; time.sleep(0.2)"), os.environ) > 200


async def test_failed_run_is_reported() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)expected exit code 0 of .*, got 1:.*ZeroDivisionError"):
        await time_of_run(("-c", "1 / 0"), os.environ)


async def test_first_response_of_server_is_timed() -> None:
    port = free_port()
    async with asyncio.timeout(60):
        assert await time_of_first_response(("-c", SERVER, str(port)), os.environ, port=port, path="/200") > 0


async def test_unexpected_status_is_reported() -> None:
    port = free_port()
    with pytest.raises(RuntimeError, match=r"expected a response with status 200 to GET /404, got .* 404 "):
        await time_of_first_response(("-c", SERVER, str(port)), os.environ, port=port, path="/404")


async def test_server_that_ends_is_reported() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)expected a server, got exit code 1:.*ZeroDivisionError"):
        await time_of_first_response(("-c", "1 / 0"), os.environ, port=free_port(), path="/")


def test_processes_keep_compiled_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "example.py").write_text("")
    with compiled_modules() as environment:
        asyncio.run(time_of_run(("-c", "import example"), environment))
        compiled = [path.name for path in Path(environment["PYTHONPYCACHEPREFIX"]).rglob("example.*.pyc")]
    assert len(compiled) == 1
