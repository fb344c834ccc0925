"""Tests of TLS errors with real servers: the client does not repeat a call that would fail again."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from odyssey_client import (
    AdvancedConfig,
    Odyssey,
    OdysseyAuthError,
    OdysseyError,
    ServiceUnreachableError,
)
from tests.support.client_calls import SECRET, Call, rest, signaling, whep
from tests.support.tls_server import DAY, certified, tls_server

LIMIT = 20.0
"""Maximum seconds of a call. Retries would take longer: the first one waits `RETRY_S`."""
RETRY_S = 60

PATIENT = AdvancedConfig(
    initial_retry_delay_ms=RETRY_S * 1000, max_retry_delay_ms=RETRY_S * 1000, connect_timeout_s=600, telemetry=False
)

type MakeTls = Callable[[Path], ssl.SSLContext | None]


def other_ciphers(folder: Path) -> ssl.SSLContext:
    tls = certified(folder, "127.0.0.1")
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    tls.set_ciphers("AES128-SHA")  # needs an RSA key
    return tls


def client_certificate(folder: Path, version: ssl.TLSVersion) -> ssl.SSLContext:
    tls = certified(folder, "127.0.0.1")
    tls.maximum_version = version
    tls.verify_mode = ssl.CERT_REQUIRED
    return tls


def alert(folder: Path, description: ssl.AlertDescription) -> ssl.SSLContext:
    tls = certified(folder, "127.0.0.1")
    tls.sni_callback = lambda *_: description
    return tls


LASTING: dict[str, tuple[MakeTls, str]] = {
    "other host": (lambda folder: certified(folder, "127.0.0.2"), "IP address mismatch"),
    "expired": (lambda folder: certified(folder, "127.0.0.1", age=3 * DAY), "certificate has expired"),
    "not valid yet": (lambda folder: certified(folder, "127.0.0.1", age=-DAY), "certificate is not yet valid"),
    "no TLS": (lambda _: None, "client and server cannot agree on TLS: "),
    "other ciphers": (other_ciphers, "client and server cannot agree on TLS: SSLV3_ALERT_HANDSHAKE_FAILURE"),
    "client certificate": (
        lambda folder: client_certificate(folder, ssl.TLSVersion.TLSv1_3),
        "client and server cannot agree on TLS: TLSV13_ALERT_CERTIFICATE_REQUIRED",
    ),
    "client certificate before TLS 1.3": (
        lambda folder: client_certificate(folder, ssl.TLSVersion.TLSv1_2),
        "client and server cannot agree on TLS: SSLV3_ALERT_HANDSHAKE_FAILURE",
    ),
    "unrecognized name": (
        lambda folder: alert(folder, ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME),
        "client and server cannot agree on TLS: TLSV1_UNRECOGNIZED_NAME",
    ),
}


CALLS: dict[Call, int] = {rest: 1, signaling: 1, whep: 2}
"""The calls, with the number of connections that each opens: `whep` also requests ``/config``."""

PAIRS = [(name, call) for name in LASTING for call in CALLS if (name, call) != ("client certificate", signaling)]
"""The TLS errors and calls. websockets does not report the alert that TLS 1.3 sends after the handshake."""


async def refused(call: Call, tls: ssl.SSLContext | None) -> OdysseyError:
    with tls_server(tls, b"HTTP/1.1 400 Bad Request\r\n\r\n") as server, pytest.raises(OdysseyError) as caught:
        async with asyncio.timeout(LIMIT):
            await call(server.port, PATIENT)
    assert server.accepted == CALLS[call]
    assert SECRET not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
async def test_untrusted_certificate_is_not_retried(call: Call, tmp_path: Path) -> None:
    error = await refused(call, certified(tmp_path, "127.0.0.1"))
    assert "the certificate of the server is not valid: self-signed certificate. Check the URL." in str(error)
    assert "set ODYSSEY_CA_FILE to the file with its root certificate" in str(error)
    assert not error.retryable


@pytest.mark.parametrize(("name", "call"), PAIRS, ids=lambda each: each if isinstance(each, str) else each.__name__)
async def test_lasting_tls_error_is_not_retried(
    name: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, expected = LASTING[name]
    tls = make(tmp_path)
    if tls is not None:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    error = await refused(call, tls)
    assert expected in str(error)
    assert not error.retryable


async def test_certificate_in_ssl_cert_file_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = certified(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    response = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
    with tls_server(tls, response) as server, pytest.raises(OdysseyAuthError):
        await rest(server.port, PATIENT)


async def test_tls_error_that_may_pass_is_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = alert(tmp_path, ssl.ALERT_DESCRIPTION_INTERNAL_ERROR)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    quick = AdvancedConfig(initial_retry_delay_ms=1, max_retry_delay_ms=1, request_max_retries=2)
    with tls_server(tls) as server:
        async with Odyssey("ody_test", api_url=f"https://127.0.0.1:{server.port}", advanced=quick) as client:
            with pytest.raises(ServiceUnreachableError) as caught:
                await client.list_simulations()
    assert caught.value.retryable
    assert server.accepted == 3
