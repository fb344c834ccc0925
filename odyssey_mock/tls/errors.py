"""The error of certificates and private keys that the mock cannot use."""

from odyssey_mock.core.picklable_error import PicklableError


class CertificateError(PicklableError):
    """A certificate or a private key cannot be used. The message states the file, the reason and what to do."""
