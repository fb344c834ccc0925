"""Tests of the checks of the network."""

import socket
from pathlib import Path

import pytest

from odyssey_mock.doctor.network import check_loopback, check_port, check_proxies, check_udp
from odyssey_mock.sync import MockOdyssey
from tests.support.free_ports import free_port
from tests.support.namespaces import run_in_namespace

CHECK_WITHOUT_LOOPBACK = """
import json
from odyssey_mock.doctor.network import check_loopback, check_session, check_udp
print(json.dumps([finding.to_json() for finding in (check_loopback(), check_udp(), check_session())]))
"""


def test_free_port_is_ok() -> None:
    port = free_port()
    finding = check_port(port)
    assert (finding.check, finding.status, finding.found) == (f"port {port}", "ok", "free on 127.0.0.1")


def test_port_of_another_program_is_a_warning() -> None:
    # The program accepts no connection, so the check also must not wait for long.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(0)
        port = taken.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            finding = check_port(port)
    assert (finding.status, finding.found) == ("warning", "in use by another program")
    assert finding.advice == (f"Run `odyssey-mock serve --port 0` for a free port, or stop the program on port {port}.")


def test_port_of_a_running_mock_is_recognized(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with MockOdyssey() as mock:
        finding = check_port(int(mock.url.rpartition(":")[2]))
    assert (finding.status, finding.found.startswith("in use by odyssey-mock ")) == ("warning", True), finding


def test_loopback_and_udp_work() -> None:
    for finding in (check_loopback(), check_udp(["127.0.0.1"])):
        assert (finding.status, "127.0.0.1" in finding.found) == ("ok", True), finding


def test_wrong_localhost_is_a_warning() -> None:
    finding = check_loopback(lambda _: ["10.0.0.5", "127.0.0.1"])
    assert (finding.status, finding.found) == ("warning", "localhost is 10.0.0.5 and 127.0.0.1")
    assert finding.advice.endswith("127.0.0.1 localhost")


def test_unknown_localhost_is_a_warning() -> None:
    def resolve(_: str) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    finding = check_loopback(resolve)
    assert (finding.status, finding.found) == (
        "warning",
        "localhost has no address: Name or service not known",
    )


@pytest.mark.parametrize(("address", "status"), [("192.0.2.77", "warning"), ("127.0.0.1", "ok")])
def test_only_loopback_is_necessary_for_udp(address: str, status: str) -> None:
    finding = check_udp(["127.0.0.1", address])
    assert finding.status == status
    assert (f"no datagram arrives at {address}: " in finding.found) == (status == "warning")


def test_machine_without_loopback_is_explained(tmp_path: Path) -> None:
    script = tmp_path / "check.py"
    script.write_text(CHECK_WITHOUT_LOOPBACK)
    loopback, udp, session = run_in_namespace("no interface", script)
    assert [each["status"] for each in (loopback, udp, session)] == ["error", "error", "error"]
    assert loopback["found"] == "no TCP connection to 127.0.0.1: Network is unreachable"
    assert "ip link set lo up" in loopback["advice"]
    assert udp["found"] == "no datagram arrives at 127.0.0.1: Network is unreachable"


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, "none"),
        ({"http_proxy": "http://u:secret@proxy:3128", "no_proxy": "localhost, 127.0.0.1"}, "not used for the mock"),
        ({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, "not used for the mock"),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "none"),
    ],
)
def test_proxies_that_leave_out_the_mock_are_ok(environment: dict[str, str], found: str) -> None:
    finding = check_proxies(environment)
    assert (finding.status, finding.found) == ("ok", found)


def test_proxy_for_the_mock_is_a_warning() -> None:
    finding = check_proxies({"HTTP_PROXY": "http://u:secret@proxy:3128", "NO_PROXY": "localhost,.example.com"})
    assert (finding.status, finding.found) == ("warning", "HTTP_PROXY is set, and NO_PROXY does not contain 127.0.0.1")
    assert finding.advice.endswith("export NO_PROXY=.example.com,localhost,127.0.0.1")
