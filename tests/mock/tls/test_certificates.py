"""Tests of the certificates of the local certificate authority."""

import datetime
import ipaddress
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.setting_rules import HOSTS
from odyssey_mock.tls.certificates import ROOT_LIFETIME, SERVER_LIFETIME, Certified, create_root, issue
from tests.support.certificate_files import NOW, with_unknown_key

DAY = datetime.timedelta(days=1)
ROOT = create_root("here", NOW)


def names_of(certificate: x509.Certificate) -> tuple[list[str], list[str]]:
    """Return the DNS names and the IP addresses of a certificate."""
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (
        found.get_values_for_type(x509.DNSName),
        [str(each) for each in found.get_values_for_type(x509.IPAddress)],
    )


def test_root_has_the_properties_that_phones_need() -> None:
    root = create_root("anna's laptop", NOW).certificate
    (common,) = root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert common.value == "Odyssey mock, root of anna's laptop"
    assert root.subject == root.issuer
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(True, 0)
    assert (root.not_valid_before_utc, root.not_valid_after_utc) == (NOW - DAY, NOW + ROOT_LIFETIME)


def test_long_owner_is_cut_off() -> None:
    (common,) = create_root("x" * 300, NOW).certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert len(common.value) == 64


def test_certificate_has_names_in_their_forms() -> None:
    names = ["localhost", "::1", "[fd00::1]", "fe80::2%eth0", "my_mock", "Example.COM.", "bücher.example", "127.0.0.1"]
    certificate = issue(create_root("here", NOW), names, NOW).certificate
    assert names_of(certificate) == (
        ["localhost", "my_mock", "example.com", "xn--bcher-kva.example"],
        ["::1", "fd00::1", "fe80::2", "127.0.0.1"],
    )


@pytest.mark.parametrize("name", ["a..b", "x" * 64, "", "\udc80"])
def test_name_that_cannot_be_encoded_is_omitted(name: str) -> None:
    certificate = issue(create_root("here", NOW), [name, "localhost"], NOW).certificate
    assert names_of(certificate) == (["localhost"], [])


def test_certificate_does_not_outlive_the_root() -> None:
    root = create_root("here", NOW)
    late = NOW + ROOT_LIFETIME - 10 * DAY
    assert issue(root, ["a"], NOW).certificate.not_valid_after_utc == NOW + SERVER_LIFETIME
    assert issue(root, ["a"], late).certificate.not_valid_after_utc == NOW + ROOT_LIFETIME


def test_lifetime_is_accepted_by_apple() -> None:
    certificate = issue(create_root("here", NOW), ["a"], NOW).certificate
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc <= datetime.timedelta(days=825)


def test_openssl_accepts_the_chain_strictly(tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    root = create_root("here", now)
    (tmp_path / "root.pem").write_bytes(root.certificate_pem)
    (tmp_path / "leaf.pem").write_bytes(issue(root, ["127.0.0.1"], now).certificate_pem)
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_ip", "127.0.0.1"]
    done = subprocess.run(
        [*command, "-CAfile", "root.pem", "leaf.pem"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("leaf.pem: OK\n", "")


def test_saved_root_is_read_again() -> None:
    root = create_root("here", NOW)
    again = Certified.read(root.pem)
    assert (again.certificate, again.key.private_numbers()) == (root.certificate, root.key.private_numbers())


def test_key_of_another_certificate_is_refused() -> None:
    mixed = create_root("here", NOW).pem.partition(b"-----BEGIN CERTIFICATE")[0] + create_root("b", NOW).certificate_pem
    with pytest.raises(ValueError, match="the private key is not that of the certificate"):
        Certified.read(mixed)


def test_unknown_kind_of_key_is_refused() -> None:
    root = create_root("here", NOW)
    key = root.pem.removesuffix(root.certificate_pem)
    with pytest.raises(ValueError, match="Unknown key type"):
        Certified.read(key + with_unknown_key(root.certificate_pem))


def test_addresses_are_ip_addresses_not_names() -> None:
    certificate = issue(create_root("here", NOW), ["192.0.2.1"], NOW).certificate
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(found) == [x509.IPAddress(ipaddress.ip_address("192.0.2.1"))]


@given(st.lists(st.text(max_size=70) | st.ip_addresses().map(str) | st.from_regex(r"[\w.*-]{1,70}", fullmatch=True)))
def test_any_host_of_the_settings_is_accepted(names: list[str]) -> None:
    hosts = [name for name in names if HOSTS.holds([name])]
    dns, addresses = names_of(issue(ROOT, ["localhost", *hosts], NOW).certificate)
    assert dns[0] == "localhost"
    assert len(dns) + len(addresses) <= 1 + len(hosts)
