"""The TLS context of a client: the root certificates that it trusts.

These are the roots of `certifi`, or those that the environment variable ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` names.
A file of the caller adds more.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping

import certifi

from odyssey_client.errors import OdysseyConfigError

CA_FILE_VARIABLE = "ODYSSEY_CA_FILE"
"""Environment variable with the path of a PEM file: root certificates to trust in addition to the usual ones."""


def create_tls_context(ca_file: str | os.PathLike[str] | None, env: Mapping[str, str]) -> ssl.SSLContext:
    """Return a TLS context for connections to a service. This function blocks: it parses all certificates.

    Args:
        ca_file: PEM file with root certificates to trust in addition to the usual ones; None for the file that
            `CA_FILE_VARIABLE` names, if any.
        env: The environment variables, normally ``os.environ``.

    Raises:
        OdysseyConfigError: a file with root certificates is missing, cannot be read, or contains no certificate.
    """
    # These are the roots of httpx, which reads only the environment of the process.
    file, folder = env.get("SSL_CERT_FILE"), env.get("SSL_CERT_DIR")
    if file:
        try:
            context = ssl.create_default_context(cafile=file)
        except OSError as error:  # also: ssl.SSLError
            raise _unusable("SSL_CERT_FILE", file, error) from error
    else:
        context = ssl.create_default_context(cafile=None if folder else certifi.where(), capath=folder or None)
    source = "ca_file" if ca_file is not None else CA_FILE_VARIABLE
    added = env.get(CA_FILE_VARIABLE) if ca_file is None else ca_file
    if added:
        try:
            context.load_verify_locations(cafile=added)
        except OSError as error:
            raise _unusable(source, added, error) from error
    return context


def _unusable(source: str, file: str | os.PathLike[str], error: OSError) -> OdysseyConfigError:
    return OdysseyConfigError(
        f"Odyssey: {source} must be the path of a file with root certificates in PEM, got {os.fspath(file)!r}: "
        f"{error.strerror or error}. Check the path; for `odyssey-mock serve --tls`, it is the file root.crt that the "
        "command names."
    )
