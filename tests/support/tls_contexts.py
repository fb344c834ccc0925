"""TLS contexts for tests without TLS."""

import ssl

NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts no certificate. By default, every HTTP client loads the usual certificates, which takes 20 ms."""


async def no_tls() -> ssl.SSLContext:
    """Fail: the test expects that no connection to a TURN server uses TLS."""
    raise AssertionError("expected no TLS context to be needed")
