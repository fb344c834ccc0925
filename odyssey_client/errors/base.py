"""What all errors have in common, and those of every kind of call."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from odyssey_client.models import JSON


class OdysseyError(Exception):
    """Base of all errors of this package.

    Attributes:
        message: What happened, for people.
        code: What happened, for programs: a stable snake_case word, or the code the service sent.
        status: The HTTP status of the answer, if one was the cause.
        detail: What the service said about it, as it said it (secrets blanked out).
        request_id: The ``X-Request-Id`` of the call, to be quoted to whoever runs the service.
        retryable: Whether the same call can be expected to work later without a change.
    """

    default_code: ClassVar[str] = "error"
    default_retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        detail: JSON = None,
        request_id: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = self.default_code if code is None else code
        self.status = status
        self.detail = detail
        self.request_id = request_id
        self.retryable = self.default_retryable if retryable is None else retryable

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        # Not of the arguments: there may be a job among them, with URLs that are signed.
        return f"{type(self).__name__}({str(self)!r})"


class OdysseyConfigError(OdysseyError, ValueError):
    """An argument or setting is missing or wrong; nothing was sent."""

    default_code = "invalid_config"


class OdysseyAuthError(OdysseyError):
    """The service does not accept the API key (401, 403, 422) or a token made from it (401)."""

    default_code = "unauthorized"


class OdysseyApiError(OdysseyError):
    """The service answered with an error status that none of the other classes stands for.

    Attributes:
        retry_after_seconds: How long the service asks to wait before the next call (``Retry-After``), if it does.
    """

    default_code = "api_error"
    retry_after_seconds: float | None = None


class UnexpectedResponseError(OdysseyApiError):
    """A success status with a body that is not what the protocol says.

    Attributes:
        path: Where in the answer, such as ``capabilities.image_to_video``; empty for the answer as a whole.
        expected: What had to be there.
        came: What was there.
    """

    default_code = "unexpected_response"

    def __init__(
        self,
        message: str,
        *,
        path: str = "",
        expected: str = "",
        came: str = "",
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, status=status, request_id=request_id)
        self.path = path
        self.expected = expected
        self.came = came


class ImageError(OdysseyError, ValueError):
    """An image is of a kind, size or content that cannot be sent (protocol.md section 7)."""

    default_code = "invalid_image"


def excerpt(text: str, limit: int = 300) -> str:
    """Make ``text`` from outside fit for an error message: one line, printable, at most ``limit`` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: limit * 4]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
