"""Redaction: masks secrets in everything that the mock shows, such as its journal, log, messages and control API.

A secret is masked in three ways:

- **by value**: `Secrets` has the secrets of one mock, such as its tokens and the API keys of its clients. It masks each
  of them and every piece of `PIECE` (or `HEX_PIECE`) characters, also in percent-encoding, base64, hexadecimal, and
  JSON escapes;
- **by form**: API keys (`ody_...`, see `without_keys`) and JSON Web Tokens;
- **by name**: values of fields, headers and URL parameters whose names are those of secrets (`is_secret_name`).

Each mock has its own `Secrets`, so that runs with the same seed have the same journals. Log records contain no secrets
of any mock of the process. The mock does not change the loggers of uvicorn and websockets, which belong to the
application. It passes its own loggers to them (`odyssey_mock/http/uvicorn_server.py`). aiortc and aioice have
module-level loggers: `watch_library_logs` adds a filter to them, which changes only records that contain a secret.
"""

import base64
import binascii
import copy
import html
import logging
import math
import re
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from urllib.parse import unquote

type JSON = bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None

REDACTED = "***"

PIECE = 8
"""Number of consecutive characters of a secret that are masked. Shorter values are no secrets."""

HEX_PIECE = 16
"""As `PIECE`, for a secret of hexadecimal digits, such as a signature. Eight digits also occur in UUIDs by chance."""

REMEMBERED = 1024
"""Maximum number of secrets of one mock; above it, the older half is forgotten."""

LONGEST_SECRET = 1024
"""Number of characters of a secret that are remembered; API keys of clients may be longer."""

LONGEST_NAME = 100
"""Number of characters of the longest name of a secret."""

TEST_KEY_PREFIXES = (
    "ody_invalid",
    "ody_suspended",
    "ody_monthly_limit",
    "ody_concurrent_limit",
    "ody_rate_limited",
    "ody_no_capacity",
    "ody_no_bypass",
)
"""The documented prefixes of test keys (`protocol.md` section 2). They are not secret."""

_KEY = re.compile(rf"(?<![A-Za-z0-9])(?!(?:{'|'.join(TEST_KEY_PREFIXES)})(?![A-Za-z0-9_-]))ody_[A-Za-z0-9_-]+")
"""Matches an API key, but not the middle of a word such as `melody_maker`, and not the bare prefix of a test key."""
_JWT_START = "eyJ"
"""The beginning of every JSON Web Token: `{"` and a letter, in base64."""
_JWT = re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}")

_HUMP = "(?-i:(?=[A-Z])(?:(?<=[a-z0-9])|(?<=[A-Z])(?=.[a-z])))"
"""Matches between two words of a name such as `sessionToken` and `IDToken`."""
_NAMES = (
    "(?:access|api|encryption|private|secret|signing)[_-]?keys?|authorization|cookies?|credentials?|"
    "pass(?:phrase|wd|words?)|pwd|secrets?|sig|signature|(?:access|auth|csrf|refresh|session)?token"
)
_PREFIX = rf"(?:[\w.-]*(?:[._-]|{_HUMP}))?"
"""Matches the words of a name before its last ones, as in `X-Amz-Signature`, `client_secret` and `clientSecret`."""
_SECRET_NAME = re.compile(rf"{_PREFIX}(?:{_NAMES})", re.IGNORECASE)
_URL = re.compile(r"(?<![A-Za-z0-9+.-])([a-z][a-z0-9+.-]{0,30}://)([^\s\"'<>\\]*)", re.IGNORECASE)
_URL_SECRET = re.compile(
    rf"^[^/?#]*(?=@)|(?<=[?&#;])((?:{_PREFIX}(?:{_NAMES})|(?:[\w.-]*[.-])?(?:auth|code|key|pass))=)[^&#\s]*",
    re.IGNORECASE,
)
"""Matches secrets in a URL after `://`: userinfo, and values of parameters with the name of a secret.

A parameter `code` may be secret, as in OAuth, but `error_code` and `sortKey` are not.
"""

_WORDS = re.compile(r"(?:(?:[A-Za-z][a-z]{0,14}|[A-Z]{1,15}|[0-9]{1,4})?(?:[^A-Za-z0-9]+|$))*")
"""Matches the words at the beginning of a secret, such as `ody_`; random characters may follow."""
_RUN = re.compile(r"[^\s\"'<>(){}\[\],]{8,}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{11,}={0,2}")
_HEX = re.compile(r"[0-9A-Fa-f]{16,}")
_HEX_DIGITS = re.compile(rb"[0-9a-f-]{16,}")
"""Matches a secret of hexadecimal digits in a folded text; tokens in the form of UUIDs have hyphens too."""
_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})")

_DECODINGS = 2
"""Number of encodings around a secret that are removed to find it."""

_BLOCK = 4
"""Number of characters that are compared as one number, because the journal searches every entry.

A piece of `PIECE` characters contains such a block that begins at a multiple of `_BLOCK`, wherever the piece begins.
"""


def without_keys(message: str) -> str:
    """Return the message with `ody_...` in place of everything that looks like an API key."""
    return _KEY.sub("ody_...", message) if "ody_" in message else message


def is_secret_name(name: str) -> bool:
    """Return whether a field, header or parameter with this name contains a secret, such as `X-Amz-Signature`."""
    return len(name) <= LONGEST_NAME and _is_secret_name(name)


@lru_cache(maxsize=1024)
def _is_secret_name(name: str) -> bool:
    return _SECRET_NAME.fullmatch(name) is not None


def without_url_secrets(text: str) -> str:
    """Return a text with the secrets in its URLs masked: userinfo, and values of parameters by name."""
    if "://" not in text:
        return text
    return _URL.sub(lambda match: match[1] + _URL_SECRET.sub(_url_secret, match[2]), text)


def _url_secret(match: re.Match[str]) -> str:
    return f"{match[1] or ''}{REDACTED}"


class Secrets:
    """The secrets of one mock, and the search for them in texts.

    Tokens are random, and found by pieces of `PIECE` characters. An API key that consists of words, such as
    `ody_key_of_a_test`, is only found as a whole, because its pieces occur in other texts.
    """

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._values: dict[str, None] = {}
        self._wholes: set[bytes] = set()
        """Secrets that consist of words."""
        self._whole_lengths: dict[bytes, tuple[int, ...]] = {}
        """The lengths of the secrets in `_wholes` that begin with the same `PIECE` characters."""
        self._blocks: set[int] = set()
        self._pieces: set[bytes] = set()
        """Pieces of the secrets, without those in `_unsplit`."""
        self._unsplit: list[bytes] = []
        """Secrets whose pieces are not in `_pieces` yet. Most texts contain no block of a secret."""
        self._hex_pieces: set[bytes] = set()
        self._kept: Secrets | None = None
        _all[id(self)] = self

    @property
    def kept(self) -> "Secrets":
        """The same secrets, which stay known after this object has forgotten its older half."""
        if self._kept is None:
            kept = Secrets.__new__(Secrets)
            vars(kept).update(vars(self))  # it shares everything until this object replaces it
            self._kept = kept  # last, so that `kept` does not refer to itself
        return self._kept

    def add(self, value: str) -> None:
        """Remember a secret; values shorter than `PIECE` characters are ignored."""
        # Only the signature of a JSON Web Token is secret: clients read the rest.
        known = value.rpartition(".")[2][:LONGEST_SECRET] if value.startswith(_JWT_START) else value[:LONGEST_SECRET]
        if len(known) < PIECE or not known.isascii() or known in self._values or known in TEST_KEY_PREFIXES:
            return
        self._values[known] = None
        self._index(known)
        if len(self._values) > self._limit:
            self._values = dict.fromkeys(list(self._values)[-self._limit // 2 :])
            self._wholes, self._blocks, self._pieces, self._hex_pieces = set(), set(), set(), set()
            self._unsplit, self._whole_lengths = [], {}
            self._kept = None
            for each in self._values:
                self._index(each)

    def masked(self, text: str) -> str:
        """Return a text with these secrets, API keys and JSON Web Tokens masked."""
        text = without_keys(text)
        if _JWT_START in text:
            text = _JWT.sub(REDACTED, text)
        parts, at = [], 0
        for start, end in _merged(self._spans(text, _DECODINGS)):
            parts += [text[at:start], REDACTED]
            at = end
        return "".join([*parts, text[at:]])

    def are_in(self, text: str) -> bool:
        """Return whether a text contains a secret, a piece of one, or an encoded form, or perhaps a JSON Web Token.

        `masked` would mask these. A text counts if it contains the beginning of a JSON Web Token: in JSON, an escape
        such as a line break hides where a word begins. API keys are not searched by form, because `cleaned` masks them.
        """
        return _JWT_START in text or bool(self._spans(text, _DECODINGS))

    def _index(self, value: str) -> None:
        folded = _folded(value)
        words = _WORDS.match(value)
        begin = words.end() if words else 0
        if begin == len(value):
            self._wholes.add(folded)
            lengths = self._whole_lengths.get(folded[:PIECE], ())
            self._whole_lengths[folded[:PIECE]] = tuple({*lengths, len(folded)})
            self._index_blocks(folded[: 2 * _BLOCK - 1])
            return
        if _HEX_DIGITS.fullmatch(folded):
            self._hex_pieces |= {folded[index : index + HEX_PIECE] for index in range(len(folded) - HEX_PIECE + 1)}
            return
        begin = max(0, begin - 3)
        self._index_blocks(folded[begin:])
        self._unsplit.append(folded[begin:])

    def _index_blocks(self, folded: bytes) -> None:
        for index in range(_BLOCK):
            self._blocks.update(_blocks(folded[index:]))

    def _spans(self, text: str, decodings: int) -> list[tuple[int, int]]:
        """Return the places of secrets in a text, and of words that contain them in an encoded form."""
        if len(text) < PIECE or not self._values:
            return []
        found = self._plain(_folded(text))
        if not decodings:
            return found
        if "%" in text or "\\u" in text or "&#" in text:
            for run in _RUN.finditer(text):
                if any(self._spans(decoded, decodings - 1) for decoded in _unescaped(run[0])):
                    found.append(run.span())
        for run in _BASE64.finditer(text):
            word = run[0]
            # Text of this length has an upper-case letter in base64. Ids, paths and most words have none.
            if word != word.lower() and any(self._has(decoded, decodings - 1) for decoded in _from_base64(word)):
                found.append(run.span())
        for digits in _HEX.finditer(text):
            if any(self._has(decoded, decodings - 1) for decoded in _from_hex(digits[0])):
                found.append(digits.span())
        return found

    def _has(self, decoded: bytes, decodings: int) -> bool:
        """Return whether decoded bytes contain a secret; if they are text, it may be encoded again."""
        if self._plain(decoded.lower()):
            return True
        return decodings > 0 and decoded.isascii() and bool(self._spans(decoded.decode(), decodings))

    def _split(self) -> None:
        # Another thread may search at the same time: a secret stays in the list until its pieces are known.
        for secret in tuple(self._unsplit):
            self._pieces.update([secret[index : index + PIECE] for index in range(len(secret) - PIECE + 1)])
            with suppress(ValueError):  # the other thread has removed it
                self._unsplit.remove(secret)

    def _plain(self, folded: bytes) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for run in _HEX_DIGITS.finditer(folded) if self._hex_pieces else ():
            found += [
                (start, start + HEX_PIECE)
                for start in range(run.start(), run.end() - HEX_PIECE + 1)
                if folded[start : start + HEX_PIECE] in self._hex_pieces
            ]
        blocks = _blocks(folded)
        if not self._blocks.isdisjoint(blocks):
            self._split()
            for number, block in enumerate(blocks):
                if block in self._blocks:
                    found += self._around(folded, number * _BLOCK)
        return found

    def _around(self, folded: bytes, at: int) -> Iterator[tuple[int, int]]:
        """Yield the places of pieces, and of secrets that consist of words, whose beginnings contain the block `at`."""
        for start in range(max(0, at + _BLOCK - PIECE), at + 1):
            piece = folded[start : start + PIECE]
            if piece in self._pieces:
                yield start, start + PIECE
            for length in self._whole_lengths.get(piece, ()):
                if folded[start : start + length] in self._wholes:
                    yield start, start + length


_all: "weakref.WeakValueDictionary[int, Secrets]" = weakref.WeakValueDictionary()
"""The secrets of all mocks of this process by `id`, for its log.

Other threads may start mocks while this thread writes to the log. `valuerefs` copies all values in one step.
"""


def cleaned(value: JSON) -> JSON:
    """Return JSON with secrets masked by form and by name. Infinity, NaN and lone surrogates are replaced with text.

    Raises:
        TypeError: the value is no JSON.
    """
    if isinstance(value, str):
        return _cleaned_text(value)
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, dict | Mapping):  # a check for `dict` is many times faster than one for `Mapping`
        return {_cleaned_key(key): _cleaned_value(key, each) for key, each in value.items()}
    if isinstance(value, list | Sequence):
        return [cleaned(each) for each in value]
    return value if math.isfinite(value) else str(value)


def _cleaned_value(key: str, value: JSON) -> JSON:
    if is_secret_name(key):
        return _hidden(value)
    return _without_query(value) if key == "script_url" else cleaned(value)


def _cleaned_text(text: str) -> str:
    return encodable(without_url_secrets(without_keys(text)))


def _cleaned_key(key: str) -> str:
    return encodable(without_keys(key))


def masked_json(value: JSON, secrets: Secrets) -> JSON:
    """Return JSON with the secrets of a mock masked in all strings and keys."""
    match value:
        case Mapping():
            return {secrets.masked(key): masked_json(each, secrets) for key, each in value.items()}
        case str():
            return secrets.masked(value)
        case Sequence():
            return [masked_json(each, secrets) for each in value]
        case _:
            return value


def _hidden(secret: JSON) -> JSON:
    match secret:
        case str():
            return REDACTED
        case Mapping():
            return {_cleaned_key(key): _hidden(each) for key, each in secret.items()}
        case Sequence():
            return [_hidden(each) for each in secret]
        case _:
            return cleaned(secret)


def _without_query(url: JSON) -> JSON:
    """Return the URL of a script without its query, in which each parameter may be a secret."""
    if not isinstance(url, str):
        return cleaned(url)
    place, mark, _ = re.split(r"([?#])", f"{url}?", maxsplit=1)
    return cleaned(url if len(place) == len(url) else f"{place}{mark}{REDACTED}")


# Loggers.


def get_logger(name: str) -> logging.Logger:
    """Return a logger of this package, whose records are redacted."""
    logger = logging.getLogger(name)
    logger.addFilter(_FILTER)
    return logger


class _Filter(logging.Filter):
    """Masks secrets in log records and their tracebacks. Other records stay unchanged."""

    def filter(self, record: logging.LogRecord) -> logging.LogRecord:
        message = record.getMessage()
        shown = _in_log(message)
        trace = ""
        if record.exc_info and record.exc_info[1] is not None:
            trace = logging.Formatter().formatException(record.exc_info)
        shown_trace = _in_log(trace)
        if (shown, shown_trace) == (message, trace):
            return record
        changed = copy.copy(record)
        changed.msg, changed.args = shown, None
        if shown_trace != trace:
            changed.exc_info, changed.exc_text = None, shown_trace
        return changed


_FILTER = _Filter()

LIBRARY_LOGGERS = (
    *(f"aioice.{name}" for name in ("ice", "mdns", "turn")),
    *(
        f"aiortc.{name}"
        for name in (
            "rtcdatachannel",
            "rtcdtlstransport",
            "rtcicetransport",
            "rtcpeerconnection",
            "rtcrtpreceiver",
            "rtcrtpsender",
            "rtcrtptransceiver",
            "rtcsctptransport",
        )
    ),
)
"""Loggers of libraries, to which `watch_library_logs` adds a filter."""


def watch_library_logs() -> None:
    """Mask the secrets of mocks in log records of aiortc and aioice; see the top of this module."""
    for name in LIBRARY_LOGGERS:
        get_logger(name)


def _in_log(text: str) -> str:
    text = without_url_secrets(text)
    for reference in _all.valuerefs():
        if (secrets := reference()) is not None:
            text = secrets.masked(text)
    return text


# The search.


def _unescaped(run: str) -> Iterator[str]:
    if "%" in run:
        yield unquote(run)
    if "&#" in run:
        yield html.unescape(run)
    if "\\u" in run:
        yield _ESCAPE.sub(lambda match: chr(int(match[1], 16)), run.replace("\\\\", "\\"))


def _from_base64(run: str) -> Iterator[bytes]:
    """Yield what a word of base64 characters means if it begins at, or 1 to 3 characters after, its beginning."""
    standard = run.rstrip("=").replace("-", "+").replace("_", "/")
    for start in range(4):
        part = standard[start:]
        if len(part) % 4 == 1:
            part = part[:-1]  # one character alone is less than a byte
        yield base64.b64decode(part + "=" * (-len(part) % 4))


def _from_hex(run: str) -> Iterator[bytes]:
    for start in range(2):
        part = run[start:]
        yield binascii.unhexlify(part[: len(part) & ~1])


def _blocks(text: bytes) -> list[int]:
    """Return each `_BLOCK` bytes of a text as one number; the last ones are left out if they are fewer."""
    return memoryview(text)[: len(text) // _BLOCK * _BLOCK].cast("I").tolist()


def _folded(text: str) -> bytes:
    """Return a text with one byte for each character, and ASCII letters in lower case."""
    return text.encode("latin-1", "replace").lower()


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def encodable(text: str) -> str:
    """Escape lone surrogates, which JSON escapes can contain but UTF-8 cannot encode."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()
