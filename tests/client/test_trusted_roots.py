"""Tests of the root certificates that a client trusts, with real TLS servers."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from odyssey_client import AdvancedConfig, OdysseyConfigError
from odyssey_client.trusted_roots import create_tls_context
from odyssey_mock import MockOdyssey
from odyssey_mock.settings import IceServer
from odyssey_mock.tls.certificates import create_root
from tests.support.certificate_files import NOW, encrypted_key
from tests.support.client_calls import Call, connecting, rest, signaling, whep
from tests.support.tls_server import certified, tls_server

LIMIT = 20.0
QUIET = AdvancedConfig(telemetry=False)

CALLS: Sequence[Call] = (rest, signaling, whep)


def roots(ca_file: Path | None = None, /, **env: str) -> int:
    """Return the number of root certificates that a client trusts with these environment variables."""
    return create_tls_context(ca_file, env).cert_store_stats()["x509_ca"]


@pytest.fixture
def root_file(tmp_path: Path) -> Path:
    path = tmp_path / "root.crt"
    path.write_bytes(create_root("tests", NOW).certificate_pem)
    return path


def test_root_is_added_to_the_usual_ones(root_file: Path) -> None:
    usual = roots()
    assert usual > 1
    assert roots(root_file) == usual + 1
    assert roots(ODYSSEY_CA_FILE=str(root_file)) == usual + 1


def test_root_is_added_to_ssl_cert_file(root_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(create_root("others", NOW).certificate_pem)
    assert (roots(SSL_CERT_FILE=str(other)), roots(root_file, SSL_CERT_FILE=str(other))) == (1, 2)
    assert roots(SSL_CERT_FILE=str(other), SSL_CERT_DIR="/missing") == 1
    assert roots(SSL_CERT_FILE="", SSL_CERT_DIR="") == roots()


def test_root_is_added_to_ssl_cert_dir(root_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "roots"
    folder.mkdir()
    # OpenSSL reads a root of a folder when it needs it, so none is counted.
    assert (roots(SSL_CERT_DIR=str(folder)), roots(root_file, SSL_CERT_DIR=str(folder))) == (0, 1)


def test_only_the_given_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = roots()
    monkeypatch.setenv("SSL_CERT_FILE", "/missing")
    monkeypatch.setenv("ODYSSEY_CA_FILE", "/missing")
    assert roots() == usual


def test_argument_takes_precedence_over_the_variable(root_file: Path) -> None:
    assert roots(root_file, ODYSSEY_CA_FILE="/missing") == roots() + 1


def test_empty_variable_names_no_file() -> None:
    assert roots(ODYSSEY_CA_FILE="") == roots()


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
@pytest.mark.parametrize("variable", ["ODYSSEY_CA_FILE", "SSL_CERT_FILE"])
async def test_missing_file_is_a_configuration_error(
    call: Call, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "missing.pem"))
    with tls_server(certified(tmp_path, "127.0.0.1")) as server:
        async with asyncio.timeout(LIMIT):
            with pytest.raises(OdysseyConfigError) as caught:
                await call(server.port, QUIET)
    assert server.accepted == 0
    assert str(caught.value).startswith(
        f"Odyssey: {variable} must be the path of a file with root certificates in PEM, got "
        f"'{tmp_path}/missing.pem': No such file or directory. Check the path"
    )


@pytest.mark.parametrize("call", [connecting, whep], ids=lambda call: call.__name__)
async def test_missing_file_for_turn_is_an_error(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODYSSEY_CA_FILE", "/missing.pem")
    server: IceServer = {"urls": ["turn:127.0.0.1:1", "turns:127.0.0.1:1"], "username": "anna", "credential": "secret"}
    async with MockOdyssey(ice_servers=[server]) as mock, asyncio.timeout(LIMIT):
        with pytest.raises(OdysseyConfigError, match=r"ODYSSEY_CA_FILE must be the path of a file .*'/missing.pem'"):
            await call(int(mock.url.rpartition(":")[2]), QUIET, tls=False)


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: _written(folder / "empty", b""),
        lambda folder: _written(folder / "der", b"\x30\x82\x01\x00"),
        lambda folder: _written(folder / "cut", b"-----BEGIN CERTIFICATE-----\nAAAA\n"),
        encrypted_key,
        lambda folder: folder,
    ],
    ids=["empty", "DER", "cut off", "private key", "directory"],
)
@pytest.mark.parametrize("variable", ["ODYSSEY_CA_FILE", "SSL_CERT_FILE"])
def test_file_without_certificates_is_a_configuration_error(
    variable: str, make: Callable[[Path], Path], tmp_path: Path
) -> None:
    file = make(tmp_path)
    with pytest.raises(OdysseyConfigError) as caught:
        create_tls_context(None, {variable: str(file), "SSL_CERT_DIR": "/missing"})
    assert str(caught.value).startswith(
        f"Odyssey: {variable} must be the path of a file with root certificates in PEM, got '{file}': "
    )


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
