"""Tests of the root certificates that a client trusts, with real TLS servers."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from odyssey_client import AdvancedConfig, ClientCredentials, Odyssey, OdysseyConfigError, connect_to_stream
from odyssey_client.trusted_roots import create_tls_context
from odyssey_mock.tls.certificates import create_root
from tests.support.certificate_files import NOW, encrypted_key
from tests.support.tls_server import certified, tls_server

LIMIT = 20.0
QUIET = AdvancedConfig(telemetry=False)

type Call = Callable[[int], Awaitable[object]]


async def rest(port: int) -> None:
    async with Odyssey("ody_test", api_url=f"https://127.0.0.1:{port}", advanced=QUIET) as client:
        await client.list_simulations()


async def signaling(port: int) -> None:
    credentials = ClientCredentials("session-1", f"wss://127.0.0.1:{port}", "s3cret", 600)
    async with Odyssey.keyless(advanced=QUIET) as client:
        await client.connect_with_credentials(credentials)


async def whep(port: int) -> None:
    await connect_to_stream(f"https://127.0.0.1:{port}/stream", "s3cret", advanced=QUIET)


CALLS: tuple[Call, ...] = (rest, signaling, whep)


def roots(context_of: Path | None = None, **env: str) -> int:
    """Return the number of root certificates that a client trusts."""
    return create_tls_context(context_of, env).cert_store_stats()["x509_ca"]


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


def test_root_is_added_to_ssl_cert_file(root_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(create_root("others", NOW).certificate_pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    assert (roots(), roots(root_file)) == (1, 2)


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
                await call(server.port)
    assert server.accepted == 0
    assert str(caught.value).startswith(
        f"Odyssey: {variable} must be the path of a file with root certificates in PEM, got "
        f"'{tmp_path}/missing.pem': No such file or directory. Check the path"
    )


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
def test_file_without_certificates_is_a_configuration_error(make: Callable[[Path], Path], tmp_path: Path) -> None:
    file = make(tmp_path)
    with pytest.raises(OdysseyConfigError) as caught:
        roots(ODYSSEY_CA_FILE=str(file))
    assert str(caught.value).startswith(
        f"Odyssey: ODYSSEY_CA_FILE must be the path of a file with root certificates in PEM, got '{file}': "
    )


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
