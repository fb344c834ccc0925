"""Tests of a mock that serves https and wss."""

import asyncio
import ssl
import struct
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import httpx
import pytest

from odyssey_client import BroadcastInfo, Odyssey, OdysseyConfigError, ServiceUnreachableError, SystemNetwork
from odyssey_client.sync import Odyssey as SyncOdyssey
from odyssey_mock import MockOdyssey
from odyssey_mock.setting_rules import SettingsError
from odyssey_mock.settings import Settings
from odyssey_mock.sync import MockOdyssey as SyncMockOdyssey
from odyssey_mock.tls.errors import CertificateError
from tests.support.certificate_files import server_pair
from tests.support.raw_frames import frame, upgrade

LIMIT = 20.0
SMALL = (176, 320)
CLOSE = 8
"""The opcode of a WebSocket's close frame."""
READ = 65_536
"""Number of bytes to read at once."""


def trusting(mock: MockOdyssey) -> SystemNetwork:
    return SystemNetwork(ca_file=mock.root_certificate)


def port_of(mock: MockOdyssey) -> int:
    return int(mock.url.rpartition(":")[2])


@asynccontextmanager
async def https_client(mock: MockOdyssey) -> AsyncIterator[httpx.AsyncClient]:
    context = ssl.create_default_context(cafile=mock.root_certificate)
    async with httpx.AsyncClient(verify=context, base_url=mock.url, trust_env=False, timeout=LIMIT) as http:
        yield http


async def silent_client(mock: MockOdyssey, sent: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a TCP connection, and send `sent` instead of a TLS handshake; return once the mock has accepted it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(mock))
    writer.write(sent)
    async with https_client(mock) as http:  # a later connection, which is accepted later
        (await http.get("/_mock/health")).raise_for_status()
    return reader, writer


async def ended(reader: asyncio.StreamReader) -> None:
    """Wait until the mock has closed the connection; it sends nothing before."""
    async with asyncio.timeout(LIMIT):
        with suppress(ConnectionResetError):
            assert await reader.read() == b""


async def test_live_session_and_spectator_use_tls(tmp_path: Path) -> None:
    ready: asyncio.Future[BroadcastInfo] = asyncio.get_running_loop().create_future()
    async with (
        asyncio.timeout(LIMIT),
        MockOdyssey(tls=True, tls_dir=str(tmp_path), portrait_size=SMALL) as mock,
        Odyssey(mock.api_key, api_url=mock.url, network=trusting(mock)) as client,
    ):
        stream = await client.connect(on_broadcast_ready=ready.set_result)
        await client.start_stream("A cat", broadcast=True)
        await anext(stream.frames())
        info = await ready
        assert info.webrtc_url.startswith(f"{mock.url}/")
        assert str(info.hls_url).startswith(f"{mock.url}/")
        watched = await Odyssey.connect_to_stream(info.webrtc_url, info.spectator_token, network=trusting(mock))
        async with watched as spectator:
            await anext(spectator.frames())
        assert mock.url.startswith("https://127.0.0.1:")


def test_sync_client_trusts_the_file_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SyncMockOdyssey(tls=True, tls_dir=str(tmp_path)) as mock:
        assert mock.root_certificate == tmp_path / "root.crt"
        monkeypatch.setenv("ODYSSEY_CA_FILE", str(mock.root_certificate))
        with SyncOdyssey(mock.api_key, api_url=mock.url) as client:
            client.connect()
        mock.expect("session", to="connected")


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00"], ids=["nothing", "part of the handshake"])
async def test_silent_tls_client_does_not_delay_exit(tmp_path: Path, sent: bytes) -> None:
    mock = await MockOdyssey(tls=True, tls_dir=str(tmp_path)).__aenter__()
    reader, writer = await silent_client(mock, sent)
    async with asyncio.timeout(5):
        await mock.__aexit__(None, None, None)
    if sys.version_info >= (3, 13):  # asyncio of Python 3.12 cannot close such connections
        await ended(reader)
    writer.close()


@pytest.mark.skipif(sys.version_info < (3, 13), reason="asyncio of Python 3.12 cannot close such connections")
async def test_outage_cuts_connections_in_the_tls_handshake(tmp_path: Path) -> None:
    async with MockOdyssey(tls=True, tls_dir=str(tmp_path)) as mock:
        reader, writer = await silent_client(mock)
        await mock.go_away()
        await ended(reader)
        writer.close()
        await mock.come_back()
        async with https_client(mock) as http:
            assert (await http.get("/_mock/health")).status_code == 200


async def test_tls_handshake_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odyssey_mock.http.uvicorn_server.HEAD_LIMIT", 0.1)
    async with MockOdyssey(tls=True, tls_dir=str(tmp_path)) as mock:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(mock))
        await ended(reader)
        writer.close()


async def test_exit_ends_a_socket_that_is_closing(tmp_path: Path) -> None:
    async with AsyncExitStack() as resources:
        mock = await resources.enter_async_context(MockOdyssey(tls=True, tls_dir=str(tmp_path)))
        async with https_client(mock) as http:
            token = (await http.post("/auth/token", json={"api_key": mock.api_key})).json()["access_token"]
            http.headers["Authorization"] = f"Bearer {token}"
            session = (await http.post("/sessions/request", json={})).json()
            answer = (await http.post("/sessions/token", json={"session_id": session["session_id"]})).json()
        url = f"{session['signalling_url']}/client/{session['session_id']}?token={answer['session_token']}"
        context = ssl.create_default_context(cafile=mock.root_certificate)
        async with upgrade(url, tls=context) as connection:
            await mock.wait_for("signaling", "offer")
            transport = cast("asyncio.Transport", connection.writer.transport)
            transport.pause_reading()  # so that the client does not answer the end of TLS
            connection.writer.write(frame(CLOSE, struct.pack("!H", 1000)))
            await mock.wait_for("state", "socket", to="closed")
            async with asyncio.timeout(LIMIT):
                await resources.aclose()
            transport.abort()
            with suppress(ConnectionError):
                await connection.writer.wait_closed()


async def test_client_that_never_ends_tls_delays_no_exit(tmp_path: Path) -> None:
    async with AsyncExitStack() as resources:
        mock = await resources.enter_async_context(MockOdyssey(tls=True, tls_dir=str(tmp_path)))
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(mock))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=mock.root_certificate)
        client = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")

        async def completed[T](call: Callable[[], T]) -> T:
            """Call `call` until the mock has sent everything that it needs; return its result."""
            while True:
                try:
                    return call()
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    data = await reader.read(READ)
                    assert data, "expected the mock to end TLS before the connection"
                    incoming.write(data)

        async with asyncio.timeout(LIMIT):
            await completed(client.do_handshake)
            client.write(b"x\r\n\r\n")  # no request, so that the mock closes the connection
            answer = await completed(client.read)
            while rest := await completed(client.read):  # until the mock has ended TLS
                answer += rest
        assert answer.startswith(b"HTTP/1.1 400 ")
        async with asyncio.timeout(LIMIT):  # asyncio waits 30 s for the client
            await resources.aclose()
        await ended(reader)
        writer.close()


async def test_error_says_how_to_trust_the_root(tmp_path: Path) -> None:
    async with MockOdyssey(tls=True, tls_dir=str(tmp_path)) as mock:
        async with Odyssey(mock.api_key, api_url=mock.url) as client:
            with pytest.raises(
                ServiceUnreachableError, match="set ODYSSEY_CA_FILE to the file with its root"
            ) as caught:
                await client.connect()
        assert (caught.value.code, caught.value.retryable) == ("tls_failed", False)
        mock.expect_none("POST /auth/token")


async def test_console_and_document_are_served_over_https(tmp_path: Path) -> None:
    async with MockOdyssey(tls=True, tls_dir=str(tmp_path)) as mock, https_client(mock) as http:
        console = await http.get(
            "/", headers={"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}, follow_redirects=True
        )
        assert (console.status_code, str(console.url)) == (200, f"{mock.url}/_mock/console/")
        document = (await http.get("/openapi.json")).json()
        assert document["servers"][0]["url"] == mock.url
        allowed = await http.get("/_mock/state", headers={"Origin": mock.url})
        foreign = await http.get("/_mock/state", headers={"Origin": mock.url.replace("https", "http")})
        assert (allowed.status_code, foreign.status_code) == (200, 403)


async def test_outage_and_end_work_with_open_tls_connections(tmp_path: Path) -> None:
    async with asyncio.timeout(LIMIT):
        async with MockOdyssey(tls=True, tls_dir=str(tmp_path)) as mock, https_client(mock) as http:
            assert (await http.get("/regions")).status_code == 401
            await mock.go_away()
            with pytest.raises(httpx.TransportError):
                await http.get("/regions")
            await mock.come_back()
            assert (await http.get("/regions")).status_code == 401
            url = mock.url
            await mock.__aexit__(None, None, None)
            with pytest.raises(httpx.TransportError):
                await http.get(f"{url}/regions")


async def test_request_without_tls_gets_no_answer(tmp_path: Path) -> None:
    async with MockOdyssey(tls=True, tls_dir=str(tmp_path)) as mock, https_client(mock) as http:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(mock))
        writer.write(b"GET /regions HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(LIMIT):
            try:
                answer = await reader.read()
            except ConnectionResetError:
                answer = b""
        writer.close()
        await writer.wait_closed()
        assert not answer.startswith(b"HTTP")
        assert (await http.get("/_mock/health")).status_code == 200


async def test_certificate_has_the_names_of_the_settings(tmp_path: Path) -> None:
    settings = Settings(
        tls=True, tls_dir=str(tmp_path), public_url="https://mock.example/x", control_hosts=["host.docker.internal"]
    )
    async with MockOdyssey(settings) as mock:
        context = ssl.create_default_context(cafile=mock.root_certificate)
        port = int(mock.listening_url.rpartition(":")[2])
        for name in ("localhost", "127.0.0.1", "mock.example", "host.docker.internal"):
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
            writer.close()
            await writer.wait_closed()
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="other.example")


async def test_files_of_the_user_need_no_authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    certificate, key = server_pair(tmp_path)
    async with MockOdyssey(tls_cert=str(certificate), tls_key=str(key)) as mock:
        assert mock.root_certificate is None
        network = SystemNetwork(ca_file=tmp_path / "root.pem")
        async with Odyssey(mock.api_key, api_url=mock.url, network=network) as client:
            await client.list_simulations()
    assert not (tmp_path / "config").exists()


async def test_unusable_certificate_is_an_error_at_the_start(tmp_path: Path) -> None:
    certificate, _ = server_pair(tmp_path)
    mock = MockOdyssey(tls_cert=str(certificate), tls_key=str(tmp_path / "missing.pem"))
    with pytest.raises(CertificateError, match=r"^tls_key: expected .*missing\.pem to be a file"):
        await mock.__aenter__()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tls_cert": "cert.pem"}, "tls_key must be the file with the private key of the certificate in tls_cert"),
        ({"tls_key": "key.pem"}, "tls_cert must be the file with the certificate of the private key in tls_key"),
        ({"tls": True, "tls_cert": "c.pem", "tls_key": "k.pem"}, "tls must be False with tls_cert"),
    ],
)
def test_incomplete_or_contradictory_tls_settings_are_rejected(given: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=f"^{message}"):
        MockOdyssey(**given)  # type: ignore[arg-type]  # the names are variables


async def test_wrong_root_file_is_a_configuration_error(tmp_path: Path) -> None:
    async with MockOdyssey(tls=True, tls_dir=str(tmp_path)) as mock:
        network = SystemNetwork(ca_file=tmp_path / "missing.crt")
        async with Odyssey(mock.api_key, api_url=mock.url, network=network) as client:
            with pytest.raises(OdysseyConfigError, match="ca_file must be the path of a file with root certificates"):
                await client.connect()
