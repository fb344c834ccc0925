"""Recognition of TLS errors that would occur again at every retry, such as an untrusted certificate."""

from __future__ import annotations

import ssl

_LASTING = frozenset(
    {
        "CA_MD_TOO_WEAK",
        "DH_KEY_TOO_SMALL",
        "EE_KEY_TOO_SMALL",
        "HTTP_REQUEST",
        "NO_PROTOCOLS_AVAILABLE",
        "RECORD_LAYER_FAILURE",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "SSLV3_ALERT_NO_CERTIFICATE",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV1_ALERT_INSUFFICIENT_SECURITY",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "TLSV1_ALERT_UNKNOWN_CA",
        "TLSV1_ALERT_UNRECOGNIZED_NAME",
        "TLSV1_UNRECOGNIZED_NAME",
        "UNKNOWN_PROTOCOL",
        "UNSUPPORTED_PROTOCOL",
        "WRONG_SSL_VERSION",
        "WRONG_VERSION_NUMBER",
    }
)
"""Reasons of OpenSSL for a handshake that fails because of the settings of both sides, not because of the network."""


def lasting_tls_error(error: BaseException) -> ssl.SSLError | None:
    """Return the TLS error that is ``error`` or its cause, if a retry would fail in the same way; None otherwise.

    These are certificates that are not trusted, expired or for another host, and handshakes on which client and server
    cannot agree. A handshake that the network interrupts may succeed later.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            is_lasting = isinstance(cause, ssl.SSLCertVerificationError) or cause.reason in _LASTING
            return cause if is_lasting else None
        cause = cause.__cause__ or cause.__context__
    return None


def explain(error: ssl.SSLError) -> str:
    """Return the reason of a TLS error and what to do, as text for the middle of a message, without a final period."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of the server is not valid: {error.verify_message.rstrip('.')}. Check the URL. For an "
            "authority of your own, such as that of `odyssey-mock serve --tls`, set ODYSSEY_CA_FILE to the file with "
            "its root certificate"
        )
    return (
        f"client and server cannot agree on TLS: {error.reason}. Check scheme and port of the URL, and that the server "
        "accepts TLS 1.2 or later without a client certificate"
    )
