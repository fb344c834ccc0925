"""Redaction: masks secrets in everything that this package writes into errors and logs.

A secret is masked in three ways:

- **by value**: `remember` stores the secrets of this process, such as keys and tokens. `redacted` masks each of them,
  every piece of `PIECE` characters, and both in percent-encoding, base64, hexadecimal, and escapes of JSON and HTML;
- **by form**: API keys (``ody_...``) and JSON Web Tokens, even if this process has not remembered them;
- **by name**: values of headers, fields and parameters such as ``Authorization``, ``credential`` and ``sig``, passwords
  in SDP, and the user, query and fragment of every URL. `received` applies this to text from other programs.

Every error of this package redacts its text and its attributes when it is created, so code that raises an error need
not call this module. Loggers come from `get_logger`. Neither redacts data that a call returns, such as prompts and the
signed URLs of recordings.

The loggers of other libraries belong to the application, so this module never changes their levels, handlers or
propagation. A filter on the root logger would not help: filters of a logger do not apply to records of its children. So
each library is treated in one of three ways:

- httpx is used without `httpx.AsyncClient`, whose log messages contain whole URLs;
- websockets receives a logger of its own for each connection (`WebSocketLogger` in bounded_websocket.py);
- httpcore, aiortc and aioice have module-level loggers. `watch_library_logs` adds a filter to each of these loggers.
  The filter shortens records of httpcore in calls of this package (`library_call`), and masks remembered secrets in
  those of aiortc and aioice. It returns a changed copy of the record, and never drops one. All other records stay
  unchanged.
"""

from __future__ import annotations

import base64
import binascii
import copy
import html
import logging
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from urllib.parse import unquote, urlsplit

from odyssey_client.models import JSON

MASK = "***"

PIECE = 8
"""Number of consecutive characters of a secret that are masked. Shorter values are not remembered as secrets.

Fewer characters occur in other texts by chance.
"""

HEX_PIECE = 16
"""As `PIECE`, for a secret of hexadecimal digits, such as a signature. Eight digits also occur in UUIDs by chance."""

REMEMBERED = 256
"""Maximum number of remembered secrets. Above it, the older half is forgotten; tokens expire within an hour or less."""

LONGEST_SECRET = 4096
"""Number of characters of a secret that are remembered."""

TEXT_LIMIT = 20_000
"""Number of characters of one text that are kept. Redaction takes about 1 us for 10 characters of a long word."""

JSON_LIMIT = 100_000
"""Number of characters that `redacted_json` keeps in all strings and keys together, so that it takes at most 20 ms."""

DEPTH_LIMIT = 16
"""Maximum depth of JSON that is kept."""

_DECODINGS = 3
"""Number of encodings around a secret that are removed to find it."""

_BLOCK, _STRIDE = 5, 4
"""A text of `PIECE` characters contains a block of `_BLOCK` characters that begins at a multiple of `_STRIDE`."""

_NAMES = (
    "access_?key",
    "api_?key",
    "auth",
    "authorization",
    "cookie",
    "credential",
    "key",
    "pass",
    "passwd",
    "password",
    "pwd",
    "secret",
    "sig",
    "signature",
    "token",
)
_INITIALS = "".join(sorted({name[0] for name in _NAMES}))
"""First characters of `_NAMES`. A search for one of them before the rest of a pattern is faster."""
_NAME = f"(?:{'|'.join(_NAMES)})s?"
HUMP = "(?-i:(?=[A-Z])(?:(?<=[a-z0-9])|(?<=[A-Z])(?=.[a-z])))"
"""Matches between two words of a name such as ``sessionToken`` and ``IDToken``."""
WORD_BEGIN = f"(?:(?<![A-Za-z0-9])|{HUMP})"
"""Matches where a word of a name begins."""
NAME_PREFIX = f"(?:.*(?:[._-]|{HUMP}))?"
"""Matches the words of a name before its last ones, as in ``X-Amz-Signature``."""
_SECRET_NAME = re.compile(rf"{NAME_PREFIX}{_NAME}", re.IGNORECASE | re.DOTALL)
"""Matches names of secrets, such as ``X-Amz-Signature``, ``session_token`` and ``sessionToken``."""

_NAMED = re.compile(
    r"""
    ( \b (?: (?:proxy-)?authorization | (?:set-)?cookie2? ) ["']? \s{0,3} [:=] \s{0,3} ) [^\r\n"']+  # headers
    | ( \b (?: bearer | basic ) \s{1,3} ) [A-Za-z0-9+/=._~-]{8,}                                    # schemes
    | ( \b a=ice-pwd: | \b a=crypto: ) [^\r\n\\"']+                                                  # attributes of SDP
    | ( BEGIN NAME \s? = \s? ["']? ) (?!\.\.\.) [^\s"'&,;<>()]+                          # parameters
    | ( BEGIN NAME (?: \\?["'] ) \s? : \s? (?: \\?["'] ) ) [^"'\\]+                     # JSON fields
    """.replace("BEGIN", f"(?=[{_INITIALS}]){WORD_BEGIN}").replace("NAME", _NAME),
    re.IGNORECASE | re.VERBOSE,
)
_FORMS = re.compile(
    r"(?<![A-Za-z0-9])ody_[A-Za-z0-9_-]{6,}|(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}"
)
"""Matches API keys and JSON Web Tokens."""

_URL = re.compile(r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]{0,30}://)([^\s\"'<>\\]*)")
_WORDS = re.compile(r"(?:(?:[A-Za-z][a-z]{0,14}|[A-Z]{1,15}|[0-9]{1,4})?(?:[^A-Za-z0-9]+|$))*")
"""Matches the words at the beginning of a secret, such as ``ody_monthly_limit_``; random characters may follow."""
_UUID = r"(?<![0-9a-f-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f-])"
_RUN = re.compile(r"[^\s\"'<>(){}\[\],]{8,}")
_BASE64 = re.compile(rf"{_UUID}|[A-Za-z0-9+/_-]{{11,}}={{0,2}}")
_HEX = re.compile(r"[0-9A-Fa-f]{16,}")
_HEX_DIGITS = re.compile(rb"[0-9a-f-]{16,}")
"""Matches a secret of hexadecimal digits in a folded text; tokens in the form of UUIDs have hyphens too."""
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|(.))", re.DOTALL)


class Secrets:
    """A bounded collection of secrets, and the search for them in texts. It may be used from any thread.

    Keys and tokens of a service are random, and found by pieces of `PIECE` characters. A secret that consists of words,
    such as ``ody_key_of_a_test``, is only found as a whole, because its pieces occur in other texts. Words at the
    beginning of a random secret are not part of it.
    """

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._values: dict[str, None] = {}
        self._index = _Index()

    def add(self, *values: str | None) -> None:
        """Remember secrets. None, and values shorter than `PIECE` characters, are ignored."""
        with self._lock:
            for value in values:
                if value is None or len(value) < PIECE:
                    continue
                known = value[:LONGEST_SECRET]
                is_new = self._values.pop(known, ...) is ...
                self._values[known] = None  # the most recent is the last
                if is_new:
                    self._index.add(known)
            if len(self._values) > self._limit:
                self._values = dict.fromkeys(list(self._values)[-self._limit // 2 :])
                # Other threads search the old index until the new one is complete.
                index = _Index()
                for value in self._values:
                    index.add(value)
                self._index = index

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return the places of secrets, or of pieces of them, in ``text``: start and end of each, in order."""
        return self._index.spans(text)


class _Index:
    """The secrets of `Secrets`, in a form in which they are found quickly. Threads may search while one adds."""

    def __init__(self) -> None:
        self._wholes: dict[bytes, str] = {}
        self._blocks: set[bytes] = set()
        self._pieces: set[bytes] = set()
        self._hex_pieces: set[bytes] = set()

    def add(self, value: str) -> None:
        folded = _folded(value)
        words = _WORDS.match(value)
        begin = words.end() if words else 0
        if not value.isascii() or begin == len(value):
            self._wholes = {**self._wholes, folded: value}
            return
        if _HEX_DIGITS.fullmatch(folded):
            self._hex_pieces |= {folded[index : index + HEX_PIECE] for index in range(len(folded) - HEX_PIECE + 1)}
            return
        begin = max(0, begin - 3)
        self._blocks |= {folded[index : index + _BLOCK] for index in range(begin, len(folded) - _BLOCK + 1)}
        self._pieces |= {folded[index : index + PIECE] for index in range(begin, len(folded) - PIECE + 1)}

    def spans(self, text: str) -> list[tuple[int, int]]:
        folded = _folded(text)
        found = [
            (start, start + len(whole))
            for whole, value in self._wholes.items()
            for start in _places(folded, whole)
            if value.isascii() or text.startswith(value, start)
        ]
        for run in _HEX_DIGITS.finditer(folded) if self._hex_pieces else ():
            found += [
                (start, start + HEX_PIECE)
                for start in range(run.start(), run.end() - HEX_PIECE + 1)
                if folded[start : start + HEX_PIECE] in self._hex_pieces
            ]
        blocks = [folded[index : index + _BLOCK] for index in range(0, len(folded), _STRIDE)]
        if not self._blocks.isdisjoint(blocks):
            for number, block in enumerate(blocks):
                if block in self._blocks:
                    at = number * _STRIDE
                    found += [
                        (start, start + PIECE)
                        for start in range(max(0, at + _BLOCK - PIECE), at + 1)
                        if folded[start : start + PIECE] in self._pieces
                    ]
        return _merged(found)


_known = Secrets()
"""The secrets of this process. Errors and logs of one client may contain those of another."""


def remember(*values: str | None) -> None:
    """Remember secrets, which `redacted` masks from now on; values shorter than `PIECE` characters are ignored."""
    _known.add(*values)


def remember_url(url: str | None) -> None:
    """Remember the secrets in a URL: the password, and values of query parameters such as a signature."""
    try:
        parts = urlsplit(url or "")
        remember(parts.password, unquote(parts.password or ""))
    except ValueError:  # not a URL
        return
    for name, value in (pair.partition("=")[::2] for pair in parts.query.split("&")[:100]):
        if names_secret(name):
            remember(value, unquote(value))


def names_secret(name: str) -> bool:
    """Return whether the value of a header, field or parameter with this name is a secret."""
    return _SECRET_NAME.fullmatch(name[:200]) is not None


def redacted(text: str) -> str:
    """Return ``text`` with remembered secrets, API keys and JSON Web Tokens masked."""
    spans = [match.span() for match in _FORMS.finditer(text)] + _spans(text, _DECODINGS)
    return _masked(text, _merged(spans)) if spans else text


def received(text: str) -> str:
    """Return text from another program redacted, also by name: URLs, headers, fields and parameters.

    Text above `TEXT_LIMIT` characters is cut.
    """
    if len(text) > TEXT_LIMIT:
        text = text[: TEXT_LIMIT - 1] + "…"
    if "://" in text:
        text = _URL.sub(lambda match: f"{match[1]}{_without_secrets(match[2])}", text)
    text = _NAMED.sub(lambda match: f"{next(filter(None, match.groups()))}{MASK}", text)
    return redacted(text)


def redacted_json(value: JSON) -> JSON:
    """Return received JSON with secrets masked in strings and keys, by value, form and name.

    Values nested too deeply, and those after `JSON_LIMIT` characters, become ``…``.
    """
    return _Json().redacted(value, 0)


def without_query(url: str) -> str:
    """Return ``url`` without its query, fragment, user and password, and otherwise redacted."""
    head, mark, rest = url.partition("://")
    return redacted(f"{head}{mark}{_cut(rest)[0]}" if mark else _cut(url)[0])


class _Json:
    """One call of `redacted_json`, which counts the characters."""

    def __init__(self) -> None:
        self._left = JSON_LIMIT

    def redacted(self, value: JSON, depth: int) -> JSON:
        if isinstance(value, str):
            return self._text(value)
        if not isinstance(value, list | dict):
            return value
        self._left -= 1
        if depth >= DEPTH_LIMIT or self._left < 0:
            return "…"
        if isinstance(value, list):
            return [self.redacted(item, depth + 1) for item in self._within_limit(value)]
        return {
            self._text(key): _hidden(item) if names_secret(key) else self.redacted(item, depth + 1)
            for key, item in self._within_limit(value.items())
        }

    def _text(self, text: str) -> str:
        self._left -= len(text)
        return received(text) if self._left >= 0 else "…"

    def _within_limit[T](self, items: Iterable[T]) -> Iterator[T]:
        for item in items:
            if self._left < 0:
                return
            self._left -= 1
            yield item


def _hidden(value: JSON) -> JSON:
    return value if value is None or isinstance(value, bool) or value == "" else MASK


# Loggers.


def get_logger(name: str) -> logging.Logger:
    """Return a logger of this package, whose records are redacted."""
    logger = logging.getLogger(name)
    logger.addFilter(_redacted_record)
    return logger


LIBRARY_LOGGERS = (
    *(f"httpcore.{name}" for name in ("connection", "http11", "http2", "proxy", "socks")),
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

_in_library_call: ContextVar[bool] = ContextVar("odyssey_client_library_call", default=False)


def watch_library_logs() -> None:
    """Redact the log records that calls of this package cause in other libraries; see the top of this module."""
    for name in LIBRARY_LOGGERS:
        logging.getLogger(name).addFilter(_library_record)


@contextmanager
def library_call() -> Iterator[None]:
    """Shorten the log records of httpcore in this block."""
    token = _in_library_call.set(True)
    try:
        yield
    finally:
        _in_library_call.reset(token)


def _library_record(record: logging.LogRecord) -> logging.LogRecord:
    """Shorten a record of httpcore in a `library_call`; redact a record of another library."""
    if not record.name.startswith("httpcore"):
        return _redacted_record(record)
    if not _in_library_call.get():
        return record
    # The rest of the message has request, response headers, proxy passwords and exceptions with received bytes.
    event, _, rest = record.getMessage().partition(" ")
    status = re.match(r"return_value=\(b'HTTP/[\d.]+', (\d{3}), ", rest)
    return _replaced(record, f"{event} status={status[1]}" if status else event)


def _redacted_record(record: logging.LogRecord) -> logging.LogRecord:
    """Return ``record`` with the secrets in its message and its traceback masked: a copy, if it has any."""
    message = record.getMessage()
    shown = redacted(message)
    if record.exc_info and record.exc_info[1] is not None:
        text = logging.Formatter().formatException(record.exc_info)
        masked = redacted(text)
        if masked != text:
            # Without the exception, handlers write the redacted text.
            changed = _replaced(record, shown)
            changed.exc_info, changed.exc_text = None, masked
            return changed
    return record if shown == message else _replaced(record, shown)


def _replaced(record: logging.LogRecord, message: str) -> logging.LogRecord:
    changed = copy.copy(record)
    changed.msg, changed.args = message, None
    return changed


# The search.


def _spans(text: str, decodings: int) -> list[tuple[int, int]]:
    """Return the places of secrets in ``text``, and of words that contain them in an encoded form."""
    if len(text) < PIECE:
        return []
    found = _known.spans(text)
    if not decodings:
        return found
    if "%" in text or "\\" in text or "&" in text:
        for run in _RUN.finditer(text):
            if any(_spans(decoded, decodings - 1) for decoded in _unescaped(run[0])):
                found.append(run.span())
    for run in _BASE64.finditer(text):
        if any(_spans(decoded, decodings - 1) for decoded in _from_base64(run[0])):
            found.append(run.span())
    for run in _HEX.finditer(text):
        if any(_spans(decoded, decodings - 1) for decoded in _from_hex(run[0])):
            found.append(run.span())
    return found


def _unescaped(run: str) -> Iterator[str]:
    """Yield a word without percent-encoding, without JSON escapes and without HTML entities, as far as it has them."""
    if "%" in run:
        yield unquote(run)
    if "\\" in run:
        yield _ESCAPE.sub(lambda match: chr(int(match[1] or match[2], 16)) if match[1] or match[2] else match[3], run)
    if "&" in run:
        yield html.unescape(run)


def _from_base64(run: str) -> Iterator[str]:
    """Yield what a word of base64 characters means if it begins at, or 1 to 3 characters after, its beginning."""
    if len(run) == 36 and re.fullmatch(_UUID, run):
        return
    standard = run.rstrip("=").replace("-", "+").replace("_", "/")
    for start in range(4):
        part = standard[start:]
        if len(part) % 4 == 1:
            part = part[:-1]  # one character alone is less than a byte
        yield base64.b64decode(part + "=" * (-len(part) % 4)).decode("latin-1")


def _from_hex(run: str) -> Iterator[str]:
    for start in range(2):
        part = run[start:]
        yield binascii.unhexlify(part[: len(part) & ~1]).decode("latin-1")


def _folded(text: str) -> bytes:
    """Return ``text`` with one byte for each character, and ASCII letters in lower case."""
    return text.encode("latin-1", "replace").lower()


def _places(text: bytes, part: bytes) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + len(part))


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _masked(text: str, spans: list[tuple[int, int]]) -> str:
    parts, at = [], 0
    for start, end in spans:
        parts += [text[at:start], MASK]
        at = end
    return "".join([*parts, text[at:]])


def _without_secrets(rest: str) -> str:
    """Return the part of a URL after ``://`` without its user, and with its query and fragment masked."""
    kept, mark = _cut(rest)
    return f"{kept}{mark}{MASK}" if mark else kept


def _cut(rest: str) -> tuple[str, str]:
    """Return the part of a URL after ``://`` without user, query and fragment, and the mark that begins these two."""
    place = re.split(r"[?#]", rest, maxsplit=1)[0]
    authority, slash, path = place.partition("/")
    return f"{authority.rpartition('@')[2]}{slash}{path}", rest[len(place) : len(place) + 1]
