"""Tests of the command `odyssey-mock doctor`."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping

import pytest
from click.testing import CliRunner

from odyssey_mock.cli.app import main
from odyssey_mock.doctor import checks
from odyssey_mock.doctor.findings import Finding
from tests.support.forks import run_python
from tests.support.terminals import Terminal, describe_terminal, without_escapes

NAMES = [
    "Python",
    "packages",
    "codecs",
    "loopback",
    "UDP",
    "proxies",
    "clock",
    "disk",
    "file descriptors",
    "fonts",
    "browsers",
    "live session",
]

OK = Finding(check="disk", status="ok", found="space")
WARNING = Finding(check="fonts", status="warning", found="no fonts", advice="Install fonts.")
ERROR = Finding(check="UDP", status="error", found="no datagram", advice="Permit UDP.")


def found(*findings: Finding) -> Callable[[object], Mapping[str, Callable[[], Finding]]]:
    """Return a replacement of `checks.checks` whose checks have these findings."""

    def checked(finding: Finding) -> Callable[[], Finding]:
        return lambda: finding

    return lambda _: {each.check: checked(each) for each in findings}


def test_all_checks_run_on_this_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = ("-c", "from odyssey_mock.cli import main; main()", "doctor", "--json", "--port", str(port))
        ran = run_python(*command, limit_s=100)
    told = json.loads(ran.stdout)
    findings = {finding["check"]: finding for finding in told["findings"]}
    assert (ran.returncode, ran.stderr, told["status"]) == (0, "", "warning"), told
    assert [name for name in findings if not name.startswith("port")] == NAMES
    assert findings[f"port {port}"]["status"] == "warning"
    assert [findings[name]["status"] for name in ("codecs", "loopback", "UDP", "live session")] == ["ok"] * 4


@pytest.mark.parametrize(
    ("findings", "status", "code"), [((OK,), "ok", 0), ((OK, WARNING), "warning", 0), ((ERROR, WARNING), "error", 1)]
)
def test_worst_finding_decides_exit_code(
    findings: tuple[Finding, ...], status: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "checks", found(*findings))
    result = CliRunner().invoke(main, ["doctor", "--json"])
    assert (result.exit_code, json.loads(result.stdout)["status"]) == (code, status)


def test_text_is_a_table_with_advice_below(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "checks", found(OK, ERROR))
    result = CliRunner().invoke(main, ["doctor"])
    assert result.stdout.splitlines() == [
        "CHECK  STATUS  FOUND",
        "disk   ok      space",
        "UDP    error   no datagram",
        "",
        "UDP: Permit UDP.",
    ]


def test_terminal_shows_progress_and_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    describe_terminal(monkeypatch)
    out, err = Terminal(), Terminal()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    monkeypatch.setattr(checks, "checks", found(OK, ERROR))
    with pytest.raises(SystemExit):
        main(["doctor"])
    assert "\x1b[31merror" in out.getvalue()
    assert without_escapes(out.getvalue()).startswith("CHECK  STATUS  FOUND")
    assert [line.split()[-1] for line in err.drawn] == ["disk", "UDP", "UDP"]


def test_check_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Finding:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(checks, "checks", lambda _: {"clock": broken, "disk": lambda: OK})
    result = CliRunner().invoke(main, ["doctor", "--json"])
    clock, disk = json.loads(result.stdout)["findings"]
    assert (result.exit_code, clock["status"], disk["status"]) == (1, "error", "ok")
    assert clock["found"] == "the check failed: RuntimeError: no such thing"


def test_missing_packages_are_reported() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['uvicorn', 'starlette', 'rich'])); "
        "import odyssey_mock.doctor.checks as checks; checks.check_browsers = checks.check_python; "
        "from odyssey_mock.cli import main; main(['doctor'])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert (ran.returncode, ran.stderr) == (1, "")
    (line,) = (line for line in ran.stdout.splitlines() if line.startswith("packages: error: "))
    assert "cannot import uvicorn" in line
    assert line.endswith("Run: pip install --force-reinstall 'odyssey-testkit[mock]'")
