"""Tests of the report that `odyssey-mock bench --json` writes."""

import platform
import ssl
from datetime import UTC, datetime
from importlib.metadata import version

from odyssey_mock.bench.report import report
from odyssey_mock.bench.rows import Row


def test_report_has_machine_versions_and_command() -> None:
    row = Row("x, CPU", [2.0], [1.0], "ms", limit=3)

    written = report({"x": [row]}, command="odyssey-mock bench x", at=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC))

    assert written["command"] == "odyssey-mock bench x"
    assert written["time"] == "2030-01-02T03:04:05+00:00"
    machine, versions = written["machine"], written["versions"]
    assert isinstance(machine, dict)
    assert isinstance(versions, dict)
    assert set(machine) == {"cpu", "cores", "system"}
    assert all(machine.values()), machine
    assert versions["python"] == platform.python_version()
    assert versions["aiortc"] == version("aiortc")
    assert versions["openssl"] == ssl.OPENSSL_VERSION
    assert written["rows"] == [{"benchmark": "x", **row.to_json()}]
