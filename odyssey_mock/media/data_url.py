"""Decoding of a stream's start image, which is sent as a `data:` URL (`protocol.md` sections 4 and 7)."""

import base64
import binascii
import re

_DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w.+=-]+)*;base64,", re.IGNORECASE)


class ImageRefusedError(ValueError):
    """The URL or its image cannot be decoded, or its data is too large.

    The message states what was expected, what was received, and what to send.
    """


def decode_data_url(url: str, max_bytes: int) -> bytes:
    """Return the bytes in `url`, without checking that they are an image.

    Raises:
        ImageRefusedError: `url` is not a `data:` URL, its data is not valid base64, or has more than `max_bytes` bytes.
    """
    header = _DATA_URL.match(url)
    if header is None:
        raise ImageRefusedError(f"expected a data: URL with base64, got {url[:40]!r}; send data:image/png;base64,...")
    # Four characters encode three bytes. Checking the length first avoids decoding data that is too large.
    if (len(url) - header.end()) // 4 * 3 > max_bytes + 2:
        raise _too_big((len(url) - header.end()) // 4 * 3, max_bytes)
    try:
        data = base64.b64decode(url[header.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageRefusedError(
            f"expected base64 in the data: URL, got data that is not valid base64 ({error}); encode the image again"
        ) from None
    if len(data) > max_bytes:
        raise _too_big(len(data), max_bytes)
    return data


def _too_big(size: int, limit: int) -> ImageRefusedError:
    return ImageRefusedError(
        f"expected an image of at most {limit / 2**20:g} MB, got {size / 2**20:.1f} MB; send a smaller one"
    )
