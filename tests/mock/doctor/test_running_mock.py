"""Tests of the checks of a running mock."""

import itertools
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from click.testing import CliRunner

from odyssey_mock.cli.app import main
from odyssey_mock.doctor import running_mock
from odyssey_mock.doctor.running_mock import NO_UDP, UNREACHABLE, check_mock, check_stun
from odyssey_mock.settings import IceServer
from odyssey_mock.sync import MockOdyssey
from tests.support.free_ports import missing_ipv6
from tests.support.hostile_service import Asked, head, hostile_service, http
from tests.support.tls_contexts import NO_CERTIFICATES

LIMIT = 20.0


@pytest.fixture
def other_program(tmp_path: Path) -> Iterator[str]:
    """Serve an empty directory; yield the URL."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(tmp_path))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(LIMIT)


def test_running_mock_is_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with MockOdyssey() as mock:
        result = CliRunner().invoke(main, ["doctor", "--json", "--url", f"{mock.url}/"])
    assert result.exit_code == 0, result.output
    reached, stun = json.loads(result.output)["findings"]
    assert (reached["check"], reached["status"]) == ("mock", "ok")
    assert reached["found"].startswith("odyssey-mock ")
    assert (stun["check"], stun["status"]) == ("STUN", "ok")
    assert stun["found"].endswith(" answers, and sees this machine at 127.0.0.1")


def test_mock_with_tls_is_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with MockOdyssey(tls=True, tls_dir=str(tmp_path)) as mock:
        untrusted = check_mock(mock.url)
        monkeypatch.setenv("ODYSSEY_CA_FILE", str(mock.root_certificate))
        trusted = check_mock(mock.url), check_stun(mock.url)
    assert untrusted.status == "error"
    assert "certificate verify failed" in untrusted.found
    assert [each.status for each in trusted] == ["ok", "ok"], trusted


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])  # one address, and possibly two
def test_closed_port_is_an_error(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://{host}:{free.getsockname()[1]}"
    result = CliRunner().invoke(main, ["doctor", "--json", "--url", url])
    assert result.exit_code == 1
    findings = json.loads(result.output)["findings"]
    assert [(each["status"], each["advice"]) for each in findings] == [("error", UNREACHABLE)] * 2
    assert "Connection refused" in findings[0]["found"]  # not the only reason for `localhost`, if IPv6 is disabled


def test_every_reason_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # A broadcast address accepts no connections, on any machine.
    addresses = [(each, port) for each in ("255.255.255.255", "127.0.0.1", "127.0.0.1")]
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert check_mock(f"http://mock.example:{port}").found == "no response: Network is unreachable; Connection refused"


def test_url_without_a_scheme_is_an_error() -> None:
    assert check_mock("192.0.2.1:8400").status == "error"


def test_unknown_host_is_a_warning() -> None:
    with MockOdyssey() as mock:
        host = str(int.from_bytes(socket.inet_aton("127.0.0.1")))  # a name that needs no DNS
        url = f"http://{host}:{urlsplit(mock.url).port}"
        reached, stun = check_mock(url), check_stun(mock.url)
    assert (reached.status, stun.status) == ("warning", "ok")
    assert reached.advice.startswith(f"Start the mock with --control-host {host}, ")


def test_other_program_is_an_error(other_program: str) -> None:
    reached, stun = check_mock(other_program), check_stun(other_program)
    assert (reached.status, stun.status) == ("error", "error")
    assert reached.found == "another program, which answers /_mock/health with status 404"
    assert stun.found == "no list of ICE servers in /config"


def test_missing_answer_over_udp_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_mock, "ATTEMPT_LIMIT", 0.02)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        name = f"stun:127.0.0.1:{silent.getsockname()[1]}"
        with MockOdyssey(ice_servers=[{"urls": name}]) as mock:
            finding = check_stun(mock.url)
    assert (finding.status, finding.advice) == ("warning", NO_UDP)
    assert finding.found == f"no answer from {name}: none within 0.06 s"


def test_refused_datagram_is_a_warning() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        name = f"stun:127.0.0.1:{closed.getsockname()[1]}"
    with MockOdyssey(ice_servers=[{"urls": name}]) as mock:
        finding = check_stun(mock.url)
    assert (finding.status, finding.advice) == ("warning", NO_UDP)


@pytest.mark.parametrize("answer", [b"", b"no STUN message", b"\x01\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)])
def test_other_answer_over_udp_is_a_warning(answer: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        other.settimeout(LIMIT)

        def answer_once() -> None:
            _, sender = other.recvfrom(1500)
            other.sendto(answer, sender)

        thread = threading.Thread(target=answer_once)
        thread.start()
        with MockOdyssey(ice_servers=[{"urls": f"stun:127.0.0.1:{other.getsockname()[1]}"}]) as mock:
            finding = check_stun(mock.url)
        thread.join(LIMIT)
    assert (finding.status, thread.is_alive()) == ("warning", False)


@pytest.mark.parametrize(
    ("host", "urls", "asked"),
    [
        ("127.0.0.1", "stun:127.0.0.1", "stun:127.0.0.1"),
        ("127.0.0.1", ["turn:192.0.2.1", "stun:127.0.0.1:{port}"], "stun:127.0.0.1:{port}"),
        ("127.0.0.1", ["stuns:192.0.2.1", "stun:127.0.0.1?transport=udp", "stun:127.0.0.1"], "stun:127.0.0.1"),
        ("::1", "stun:[::1]", "stun:[::1]"),
        ("::1", ["stun:[::1]:{port}"], "stun:[::1]:{port}"),
    ],
    ids=["default port", "list", "the first of STUN over UDP", "IPv6", "IPv6 with a port"],
)
def test_named_stun_server_is_asked(
    host: str, urls: str | Sequence[str], asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if host == "::1" and (missing := missing_ipv6()):
        pytest.skip(missing)
    with MockOdyssey(host=host) as mock:
        own = httpx.get(f"{mock.url}/config", trust_env=False, verify=NO_CERTIFICATES).json()["iceServers"][0]["urls"]
        port = own.rpartition(":")[2]
        monkeypatch.setattr(running_mock, "STUN_PORT", int(port))
        config = json.dumps({"iceServers": [{"urls": urls}]}).replace("{port}", port)
        with hostile_service(lambda _: [http(config.encode())]) as service:
            finding = check_stun(service.url)
    assert (finding.status, finding.found) == (
        "ok",
        f"{asked.format(port=port)} answers, and sees this machine at {host}",
    )


def test_unknown_host_is_recognized_without_the_extra() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['starlette', 'pydantic', 'uvicorn', 'websockets']))\n"
        "from odyssey_mock.cli import main\n"
        "main(['doctor', '--json', '--url', sys.argv[1]])"
    )
    body = b'{"detail": "the control API accepts only hosts that are known to be the mock: expected another"}'
    with hostile_service(lambda _: [http(body, status="403 Forbidden")]) as service:
        command = [sys.executable, "-c", code, service.url]
        tried = subprocess.run(command, capture_output=True, text=True, check=False, timeout=3 * LIMIT)
    assert tried.stderr == ""
    reached, _ = json.loads(tried.stdout)["findings"]
    assert (reached["status"], reached["found"]) == (
        "warning",
        "a mock, whose control API does not accept the host 127.0.0.1",
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"detail": "Forbidden"}', b'{"detail": 1}', b"[" * 60_000],
    ids=lambda body: body[:20],
)
def test_status_403_of_another_program_is_an_error(body: bytes) -> None:
    with hostile_service(lambda _: [http(body, status="403 Forbidden")]) as service:
        finding = check_mock(service.url)
    assert (finding.status, finding.found) == (
        "error",
        "another program, which answers /_mock/health with status 403",
    )


def test_endless_response_is_not_read_to_its_end() -> None:
    with hostile_service(lambda _: itertools.chain([head()], itertools.repeat(b" " * 4096))) as service:
        reached, stun = check_mock(service.url), check_stun(service.url)
    assert (reached.status, reached.found) == (
        "error",
        "another program, which answers /_mock/health with status 200",
    )
    assert (stun.status, stun.found) == ("error", "no list of ICE servers in /config")


def test_slow_response_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_mock, "LIMIT", 0.3)
    done = threading.Event()

    def respond(_: Asked) -> Iterator[bytes]:
        yield head()
        while not done.wait(0.02):
            yield b" "

    with hostile_service(respond) as service:
        try:
            reached, stun = check_mock(service.url), check_stun(service.url)
        finally:
            done.set()
    assert (reached.status, reached.found) == ("error", "no response: none that was complete within 0.3 s")
    assert (stun.status, stun.found) == ("error", "no response for /config: none that was complete within 0.3 s")


def test_turn_server_is_not_checked() -> None:
    server: IceServer = {"urls": "turn:192.0.2.1:3478?transport=tcp", "username": "anna", "credential": "open-sesame"}
    with MockOdyssey(ice_servers=[server]) as mock:
        finding = check_stun(mock.url)
    assert finding.status == "ok"
    assert "turn:192.0.2.1:3478" in finding.found
    assert "sesame" not in finding.found
