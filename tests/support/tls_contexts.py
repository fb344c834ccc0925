"""A TLS context for HTTP clients that use only `http` URLs."""

import ssl

NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts no certificate. By default, every HTTP client loads the usual certificates, which takes 20 ms."""
