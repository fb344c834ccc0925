"""The image a stream starts from, as it comes on the wire: a `data:` URL (`protocol.md` sections 4 and 7)."""

import base64
import binascii
import re

_DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w.+=-]+)*;base64,", re.IGNORECASE)


class ImageRefusedError(ValueError):
    """What should have been an image is not even data; the text says what was expected, what came and what to do."""


def decode_data_url(url: str, max_bytes: int) -> bytes:
    """The bytes in `url`; whether they are an image shows when they are drawn.

    Raises:
        ImageRefusedError: no data URL, no Base64, or too large.
    """
    header = _DATA_URL.match(url)
    if header is None:
        raise ImageRefusedError(f"expected a data: URL with base64, got {url[:40]!r}; send data:image/png;base64,...")
    # Four characters carry three bytes: a glance at the length spares decoding what is refused anyway.
    if (len(url) - header.end()) // 4 * 3 > max_bytes + 2:
        raise _too_big((len(url) - header.end()) // 4 * 3, max_bytes)
    try:
        data = base64.b64decode(url[header.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageRefusedError(f"the data: URL is not valid base64 ({error})") from None
    if len(data) > max_bytes:
        raise _too_big(len(data), max_bytes)
    return data


def _too_big(size: int, limit: int) -> ImageRefusedError:
    return ImageRefusedError(
        f"expected an image of at most {limit / 2**20:g} MB, got {size / 2**20:.1f} MB; send a smaller one"
    )
