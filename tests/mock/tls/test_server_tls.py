"""Tests of the TLS contexts of the server: certificates of the local authority, and files of the user."""

import datetime
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from odyssey_mock.tls.errors import CertificateError
from odyssey_mock.tls.server_tls import certificate_names, default_directory, issued_tls, tls_of_files
from tests.support.certificate_files import encrypted_key, expired_pair, server_pair, with_unknown_key

type Pair = tuple[Path, Path]


def handshake(server: ssl.SSLContext, root: Path, name: str) -> None:
    """Complete a TLS handshake in memory, as a client that trusts `root` and connects to `name`."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context(cafile=str(root)).wrap_bio(down, up, server_hostname=name)
    accepted = server.wrap_bio(up, down, server_side=True)
    pending = [client, accepted]
    for side in pending * 4:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
        pending = [each for each in pending if each is not side]
    assert not pending, "expected both sides to complete the handshake"


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def test_certificate_has_every_name() -> None:
    names = certificate_names(
        host="0.0.0.0",
        addresses=["127.0.0.1", "192.168.1.20", "2001:db8::5"],
        machine="annas-mac.lan",
        public_url="https://[2001:db8::7]:8443/mock",
        control_hosts=["host.docker.internal"],
    )
    assert names == [
        *("localhost", "127.0.0.1", "::1", "0.0.0.0", "192.168.1.20", "2001:db8::5"),
        *("annas-mac.lan", "annas-mac.local", "[2001:db8::7]", "host.docker.internal"),
    ]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "192.168.1.20"])
def test_client_that_trusts_the_root_accepts_every_name(name: str, tmp_path: Path) -> None:
    tls = issued_tls(tmp_path, ["localhost", "127.0.0.1", "::1", "192.168.1.20"], owner="here", now=now())
    assert tls.root_file == tmp_path / "root.crt"
    handshake(tls.context, tls.root_file, name)


def test_private_key_of_the_server_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    issued_tls(tmp_path / "tls", ["localhost"], owner="here", now=now())
    assert list(temporary.iterdir()) == []
    assert sorted(each.name for each in (tmp_path / "tls").iterdir()) == ["authority-1.pem", "root.crt"]


def test_files_of_the_user_are_used(tmp_path: Path) -> None:
    tls = tls_of_files(*server_pair(tmp_path, "mock.test"), now=now())
    assert tls.root_file is None
    handshake(tls.context, tmp_path / "root.pem", "mock.test")


def test_default_directory_belongs_to_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert default_directory() == tmp_path / "odyssey-mock"


def wrong_pair(folder: Path) -> Pair:
    (folder / "other").mkdir()
    return server_pair(folder)[0], server_pair(folder / "other")[1]


def replaced(folder: Path, *, certificate: bytes | None = None, key: bytes | None = None) -> Pair:
    pair = server_pair(folder)
    for file, content in zip(pair, (certificate, key), strict=True):
        if content is not None:
            file.write_bytes(content)
    return pair


def without(folder: Path, index: int) -> Pair:
    pair = server_pair(folder)
    pair[index].unlink()
    return pair


def directory(folder: Path, index: int) -> Pair:
    pair = without(folder, index)
    pair[index].mkdir()
    return pair


INVALID: dict[str, tuple[Callable[[Path], Pair], str]] = {
    "wrong pair": (
        wrong_pair,
        "tls_key: expected {folder}/other/key.pem to be the private key of the certificate in {folder}/cert.pem, got ",
    ),
    "encrypted key": (
        lambda folder: (server_pair(folder)[0], encrypted_key(folder)),
        "tls_key: expected {folder}/encrypted.pem to contain a private key without a password, got an encrypted one",
    ),
    "expired": (expired_pair, "tls_cert: expected {folder}/cert.pem to be valid now, got a certificate that is valid "),
    "not valid yet": (
        lambda folder: server_pair(folder, age=-datetime.timedelta(days=9)),
        "tls_cert: expected {folder}/cert.pem to be valid now, got a certificate that is valid from ",
    ),
    "files exchanged": (
        lambda folder: server_pair(folder)[::-1],
        "tls_cert: expected {folder}/key.pem to contain a certificate in PEM",
    ),
    "certificate is no PEM": (
        lambda folder: replaced(folder, certificate=b"\x30\x82"),
        "tls_cert: expected {folder}/cert.pem to contain a certificate in PEM",
    ),
    "certificate is damaged": (
        lambda folder: replaced(folder, certificate=b"-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n"),
        "tls_cert: expected {folder}/cert.pem to contain a certificate in PEM",
    ),
    "unknown kind of key": (
        lambda folder: replaced(folder, certificate=with_unknown_key(server_pair(folder)[0].read_bytes())),
        "tls_cert: expected the certificate in {folder}/cert.pem to have a key of a kind that TLS can use, such as RSA",
    ),
    "key is no PEM": (
        lambda folder: replaced(folder, key=b"hello"),
        "tls_key: expected {folder}/key.pem to contain a private key in PEM",
    ),
    "key is empty": (
        lambda folder: replaced(folder, key=b""),
        "tls_key: expected {folder}/key.pem to contain a private key in PEM",
    ),
    "certificate is missing": (
        lambda folder: without(folder, 0),
        "tls_cert: expected {folder}/cert.pem to be a file that this user can read, got the error: No such file",
    ),
    "key is missing": (
        lambda folder: without(folder, 1),
        "tls_key: expected {folder}/key.pem to be a file that this user can read, got the error: No such file",
    ),
    "certificate is a directory": (
        lambda folder: directory(folder, 0),
        "tls_cert: expected {folder}/cert.pem to be a file that this user can read, got the error: Is a directory",
    ),
    "key is a directory": (
        lambda folder: directory(folder, 1),
        "tls_key: expected {folder}/key.pem to be a file that this user can read, got the error: Is a directory",
    ),
}


@pytest.mark.parametrize("name", INVALID)
def test_unusable_file_is_an_error_that_names_it(name: str, tmp_path: Path) -> None:
    make, expected = INVALID[name]
    pair = make(tmp_path)
    with pytest.raises(CertificateError) as caught:
        tls_of_files(*pair, now=now())
    assert str(caught.value).startswith(expected.format(folder=tmp_path))
    assert "hush" not in str(caught.value)


def test_key_that_openssl_rejects_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ssl.SSLError(1, "EE_KEY_TOO_SMALL")

    pair = server_pair(tmp_path)
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", refuse)
    with pytest.raises(CertificateError, match="cannot be used for TLS"):
        tls_of_files(*pair, now=now())
