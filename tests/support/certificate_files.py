"""PEM files of certificates and private keys, valid and invalid, for tests of TLS."""

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from odyssey_mock.tls.certificates import SERVER_LIFETIME, Certified, create_root, issue

NOW = datetime.datetime(2026, 5, 4, 12, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class ServerFiles:
    """PEM files of a server: the root that clients must trust, the certificate, and its private key."""

    root: Path
    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Return the TLS context of a server with the certificate."""
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.certificate, self.key)
        return tls


def server_files(folder: Path, *names: str) -> ServerFiles:
    """Write a certificate for host names and IP addresses, its key and the root to `folder`."""
    certificate, key = server_pair(folder, *names)
    return ServerFiles(folder / "root.pem", certificate, key)


def server_pair(folder: Path, *names: str, age: datetime.timedelta = datetime.timedelta()) -> tuple[Path, Path]:
    """Write a server certificate, its key and the root; return the paths of `cert.pem` and `key.pem`.

    The certificate was issued `age` ago. The root is in `root.pem`.
    """
    issued = datetime.datetime.now(datetime.UTC) - age
    root = create_root("tests", issued)
    pair = issue(root, names or ("localhost", "127.0.0.1"), issued)
    (folder / "root.pem").write_bytes(root.certificate_pem)
    certificate, key = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(pair.certificate_pem)
    key.write_bytes(_key_pem(pair))
    return certificate, key


def expired_pair(folder: Path) -> tuple[Path, Path]:
    """Write a certificate that expired yesterday, and its key; return their paths."""
    return server_pair(folder, age=SERVER_LIFETIME + datetime.timedelta(days=1))


def encrypted_key(folder: Path) -> Path:
    """Write a private key with a password; return its path."""
    root = create_root("tests", NOW)
    path = folder / "encrypted.pem"
    path.write_bytes(root.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hush")))
    return path


def with_unknown_key(certificate_pem: bytes) -> bytes:
    """Return a certificate whose public key has another identifier (OID), which belongs to no kind of key."""
    elliptic_curve, unknown = bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d027f")
    found = ssl.PEM_cert_to_DER_cert(certificate_pem.decode())
    return ssl.DER_cert_to_PEM_cert(found.replace(elliptic_curve, unknown)).encode()


def _key_pem(pair: Certified) -> bytes:
    return pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
