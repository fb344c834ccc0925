"""X.509 certificates of the local certificate authority: its root, and the server certificates that it issues.

Roots have a Common Name, because iOS does not offer others in its Certificate Trust Settings.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ROOT_LIFETIME = timedelta(days=3650)
"""Lifetime of a root. It is long, because each client has to be told to trust a new one."""

SERVER_LIFETIME = timedelta(days=397)
"""Lifetime of a server certificate: less than the 825 days that iOS and macOS accept."""

BACKDATED = timedelta(days=1)
"""How long before its creation a certificate becomes valid, for clients whose clock is slow."""

_ORGANIZATION = "Odyssey Testkit"

_NO_USAGE = {
    "digital_signature": False,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}


@dataclass(frozen=True, slots=True)
class Certified:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def read(cls, pem: bytes) -> Self:
        """Parse the result of `pem`.

        Raises:
            ValueError: the text is not a private key with its certificate.
        """
        try:
            key = load_pem_private_key(pem, password=None)
            certificate = x509.load_pem_x509_certificate(pem)
            public = certificate.public_key()
        except (TypeError, UnsupportedAlgorithm) as error:  # TypeError: the key is encrypted
            raise ValueError(str(error)) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or public != key.public_key():
            raise ValueError("the private key is not that of the certificate")
        return cls(certificate, key)

    @property
    def pem(self) -> bytes:
        """The private key and the certificate in PEM."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key + self.certificate_pem

    @property
    def certificate_pem(self) -> bytes:
        """The certificate in PEM."""
        return self.certificate.public_bytes(Encoding.PEM)


def create_root(owner: str, now: datetime) -> Certified:
    """Create a self-signed root certificate; `owner` is part of the name that trust settings show."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Odyssey mock, root of {owner}")
    certificate = (
        _unsigned(name, name, key, now, now + ROOT_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**{**_NO_USAGE, "key_cert_sign": True, "crl_sign": True}), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Certified(certificate, key)


def issue(root: Certified, names: Iterable[str], now: datetime) -> Certified:
    """Issue a server certificate for DNS names and IP addresses. Names that no certificate can contain are left out."""
    key = ec.generate_private_key(ec.SECP256R1())
    subjects = [found for name in names if (found := _general_name(name)) is not None]
    root_id = root.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    end = min(now + SERVER_LIFETIME, root.certificate.not_valid_after_utc)
    certificate = (
        _unsigned(_name("odyssey-mock"), root.certificate.subject, key, now, end)
        .add_extension(x509.SubjectAlternativeName(subjects), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**{**_NO_USAGE, "digital_signature": True}), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        # Python 3.13 rejects a certificate without this extension (`ssl.VERIFY_X509_STRICT`).
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(root_id), critical=False)
        .sign(root.key, hashes.SHA256())
    )
    return Certified(certificate, key)


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common[:64]),  # the maximum (RFC 5280 appendix A)
        ]
    )


def _unsigned(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _general_name(name: str) -> x509.GeneralName | None:
    """Return a host name or IP address as in a certificate; None if a certificate cannot contain it."""
    bare = name.removeprefix("[").removesuffix("]").partition("%")[0]
    try:
        return x509.IPAddress(ipaddress.ip_address(bare))
    except ValueError:
        pass
    try:
        # This codec leaves underscores as they are, which names of Docker Compose services contain.
        encoded = bare.removesuffix(".").lower().encode("idna").decode()
    except UnicodeError:  # a label that is empty, too long, or not encodable
        return None
    return x509.DNSName(encoded) if encoded else None
