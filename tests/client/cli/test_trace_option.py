"""Tests of the option ``--trace`` of `odyssey simulate`; `odyssey watch` has the same."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from odyssey_client.cli.app import main
from odyssey_client.trace import read_trace
from odyssey_mock.sync import MockOdyssey

SCRIPT = [{"timestamp_ms": 0, "start": {"prompt": "A cat"}}, {"timestamp_ms": 1000, "end": {}}]


def test_simulate_writes_a_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script, path = tmp_path / "cat.json", tmp_path / "cat.odytrace"
    script.write_text(json.dumps(SCRIPT))
    with MockOdyssey() as mock:
        monkeypatch.setenv("ODYSSEY_API_KEY", mock.api_key)
        result = CliRunner().invoke(main, ["simulate", str(script), "--api-url", mock.url, "--trace", str(path)])
    assert result.exit_code == 0, result.output
    with read_trace(path) as trace:
        calls = [event.name for event in trace.events if event.lane == "call"]

    assert calls == ["simulate", "disconnect"]


def test_watch_writes_a_trace_of_a_failed_connection(tmp_path: Path) -> None:
    path = tmp_path / "watch.odytrace"
    arguments = ["watch", "http://127.0.0.1:1/broadcast/x", "--token", "a token", "--trace", str(path)]
    result = CliRunner().invoke(main, arguments)
    with read_trace(path) as trace:
        (call,) = (event for event in trace.events if event.lane == "call")

    assert result.exit_code != 0
    assert call.name == "connect_to_stream"
    assert str(call.error).startswith("ServiceUnreachableError")
