"""TLS contexts of the server: with a certificate of the local certificate authority, or with files of the user."""

import ssl
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from odyssey_mock.core.url_parts import BaseUrl
from odyssey_mock.tls.certificates import issue
from odyssey_mock.tls.errors import CertificateError
from odyssey_mock.tls.local_authority import open_authority


@dataclass(frozen=True, slots=True)
class ServerTls:
    """How the server speaks TLS.

    Attributes:
        context: the TLS context.
        root_file: the file with the root certificate of the local certificate authority; None with files of the user.
    """

    context: ssl.SSLContext
    root_file: Path | None


def default_directory() -> Path:
    """Return the directory of the local certificate authority if the settings name none."""
    from click import get_app_dir  # noqa: PLC0415 - it knows the directories of each operating system

    return Path(get_app_dir("odyssey-mock"))


def certificate_names(
    *, host: str, addresses: Iterable[str], machine: str, public_url: str | None, control_hosts: Iterable[str]
) -> Sequence[str]:
    """Return every name and address at which clients can reach the mock.

    Args:
        host: the setting of this name.
        addresses: the addresses of this machine, and those of `udp_addresses`.
        machine: the name of this machine. In the local network, it has the suffix `.local` (RFC 6762).
        public_url: the setting of this name.
        control_hosts: the setting of this name.
    """
    names = ["localhost", "127.0.0.1", "::1", host, *addresses, machine, f"{machine.partition('.')[0]}.local"]
    public = BaseUrl.read(public_url or "")
    return list(dict.fromkeys([*names, *([public.authority.host] if public else []), *control_hosts]))


def issued_tls(directory: Path, names: Iterable[str], *, owner: str, now: datetime) -> ServerTls:
    """Return TLS with a new certificate for `names`, issued by the local certificate authority in `directory`.

    The private key of this certificate stays in memory. This function blocks.

    Raises:
        CertificateError: the directory or a file in it cannot be used.
    """
    authority = open_authority(directory, owner=owner, now=now)
    context = _context()
    # `load_cert_chain` reads only files. Only this user can read this one, and it exists for a moment.
    with tempfile.TemporaryDirectory(prefix="odyssey-mock-tls-") as folder:
        file = Path(folder) / "server.pem"
        file.touch(mode=0o600)
        file.write_bytes(issue(authority.root, names, now).pem)
        context.load_cert_chain(file)
    return ServerTls(context, authority.root_file)


def tls_of_files(certificate: Path, key: Path, *, now: datetime) -> ServerTls:
    """Return TLS with the certificate and the private key in two PEM files. This function blocks.

    Raises:
        CertificateError: a file cannot be read or is not PEM; the key is encrypted, or is that of another certificate;
            the certificate is not valid at `now`.
    """
    leaf = _leaf(certificate)
    if _public_key(leaf, certificate) != _private_key(key).public_key():
        raise CertificateError(
            f"tls_key: expected {key} to be the private key of the certificate in {certificate}, got the key of "
            "another certificate; give two files that were created together"
        )
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        raise CertificateError(
            f"tls_cert: expected {certificate} to be valid now, got a certificate that is valid from "
            f"{leaf.not_valid_before_utc:%Y-%m-%d %H:%M} to {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; renew it"
        )
    context = _context()
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise CertificateError(
            f"tls_cert: {certificate} with {key} cannot be used for TLS: {error}; create another pair"
        ) from error
    return ServerTls(context, None)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _leaf(file: Path) -> x509.Certificate:
    content = _content("tls_cert", file)
    try:
        return x509.load_pem_x509_certificates(content)[0]
    except ValueError as error:
        raise CertificateError(
            f"tls_cert: expected {file} to contain a certificate in PEM, which begins with "
            "-----BEGIN CERTIFICATE-----, got a file without a valid one; convert a DER file with "
            "`openssl x509 -inform der`"
        ) from error


def _public_key(leaf: x509.Certificate, file: Path) -> CertificatePublicKeyTypes:
    try:
        return leaf.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(
            f"tls_cert: expected the certificate in {file} to have a key of a kind that TLS can use, such as RSA, got "
            f"the error: {error}; create another pair"
        ) from error


def _private_key(file: Path) -> PrivateKeyTypes:
    content = _content("tls_key", file)
    try:
        return load_pem_private_key(content, password=None)
    except TypeError as error:
        raise CertificateError(
            f"tls_key: expected {file} to contain a private key without a password, got an encrypted one; remove the "
            "password with `openssl pkey`"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(
            f"tls_key: expected {file} to contain a private key in PEM, which begins with -----BEGIN PRIVATE KEY-----, "
            "got a file without a valid one; convert a DER file with `openssl pkey -inform der`"
        ) from error


def _content(setting: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CertificateError(
            f"{setting}: expected {file} to be a file that this user can read, got the error: "
            f"{error.strerror or error}; check the path and its permissions"
        ) from error
