"""Real WebRTC in a simulated run: aiortc and aioice, without the parts that depend on the machine.

These parts are replaced during a run:

- the decoder thread of a receiver
- aiortc's clock
- name lookups by aioice
- OpenSSL's timer for DTLS handshakes
- certificates, which are slow to make and different every time

In addition, aiortc iterates over sets of objects, whose order depends on their memory addresses. During a run, the
order depends on when the objects were created.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import itertools
import queue
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from types import ModuleType
from typing import Any, override
from unittest import mock

import av
from aioice import ice
from aiortc import RTCCertificate, clock, rtcdtlstransport, rtcrtpreceiver
from aiortc.codecs import get_decoder
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceTransport
from aiortc.rtcrtpreceiver import RTCRtpReceiver
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from odyssey_mock.sim.loop import SimulatedLoop

CERTIFICATES = 16
"""Number of different certificates, which peers use in turn."""

_ORDERED = (RTCIceTransport, RTCDtlsTransport, RTCRtpReceiver)
"""Classes whose objects aiortc keeps in sets that it iterates over."""


@contextmanager
def webrtc() -> Iterator[None]:
    """During the block, replace the parts of aiortc and aioice that depend on the machine, for simulated loops.

    Enter this context before `sandboxed`, because it creates objects that exist once per process. These must use real
    entropy instead of the random numbers of a run.
    """
    certificates = itertools.cycle(_certificates())
    receiver = {
        "threading": _like(threading, Thread=_inside(_Decoding, threading.Thread)),
        "queue": _like(queue, Queue=_inside(_Inbox, queue.Queue)),
    }
    tls = _like(SSL, Connection=_inside(_Untimed, SSL.Connection))
    with ExitStack() as stack:

        def replace(where: object, name: str, replacement: object) -> None:
            stack.enter_context(mock.patch.object(where, name, replacement))

        for name, module in receiver.items():
            replace(rtcrtpreceiver, name, module)
        replace(rtcdtlstransport, "SSL", tls)
        replace(ice, "socket", _like(socket, gethostbyname=_inside(_address, socket.gethostbyname)))
        replace(clock, "current_datetime", _now)
        made = RTCCertificate.generateCertificate
        replace(RTCCertificate, "generateCertificate", _inside(lambda: next(certificates), made))
        numbers = itertools.count()
        for kind in _ORDERED:
            replace(kind, "__init__", _numbering(kind.__init__, numbers))
            replace(kind, "__hash__", _number)
        yield


def _in_run() -> bool:
    return isinstance(asyncio._get_running_loop(), SimulatedLoop)  # noqa: SLF001 - documented; it does not raise


def _inside(here: Callable[..., object], elsewhere: Callable[..., object]) -> Callable[..., object]:
    """Return a function that calls `here` on a simulated loop, and `elsewhere` on other loops and threads."""

    def call(*args: object, **kwargs: object) -> object:
        return (here if _in_run() else elsewhere)(*args, **kwargs)

    return call


def _like(module: ModuleType, **instead: object) -> ModuleType:
    """Return a copy of `module` with the attributes in `instead` replaced."""
    other = ModuleType(module.__name__, module.__doc__)
    other.__dict__.update(module.__dict__)
    other.__dict__.update(instead)
    return other


def _now() -> datetime.datetime:
    # Like aiortc's function, but with a clock that a run can replace.
    return datetime.datetime.fromtimestamp(time.time(), datetime.UTC)


def _address(host: str) -> str:
    """Return `host` unchanged: in a simulation it is always an address, not a name to look up."""
    return host


class _Inbox:
    """The queue of a decoder; each new item wakes the decoder."""

    def __init__(self) -> None:
        self._decoding: _Decoding | None = None
        self._items: deque[Any] = deque()  # aiortc's items: a codec and a frame, or None for the end

    def put(self, item: Any) -> None:
        self._items.append(item)
        if self._decoding is not None:
            self._decoding.wake()

    def attach(self, decoding: _Decoding) -> None:
        self._decoding = decoding

    def take(self) -> Any:
        return self._items.popleft()

    def __bool__(self) -> bool:
        return bool(self._items)


class _Decoding:
    """The decoder of one receiver: does the work of `aiortc.rtcrtpreceiver.decoder_worker` without a thread.

    Decoding takes as much virtual time as functions in an executor. `join` decodes all remaining packets.
    """

    def __init__(self, *, target: object, name: str, args: tuple[Any, ...]) -> None:
        if target is not rtcrtpreceiver.decoder_worker:
            raise TypeError(f"expected aiortc's decoder_worker as the target of a thread, got {target!r} ({name})")
        self._loop: asyncio.AbstractEventLoop
        self._frames: asyncio.Queue[Any]
        self._inbox: _Inbox
        self._failed: threading.Event
        self._loop, self._inbox, self._frames, self._failed = args
        self._codec: str | None = None
        self._decoder: Any = None  # aiortc's decoders have no common type

    def start(self) -> None:
        self._inbox.attach(self)

    def wake(self) -> None:
        self._loop.run_in_executor(None, self._next)

    def join(self) -> None:
        while self._inbox:
            self._next()

    def _next(self) -> None:
        if not self._inbox:
            return  # `join` has decoded it
        task = self._inbox.take()
        if task is None:
            self._hand_on(None)
            return
        codec, frame = task
        if codec.name != self._codec:
            self._decoder = get_decoder(codec)
            self._codec = codec.name
        try:
            decoded = self._decoder.decode(frame)
        except av.FFmpegError as error:
            rtcrtpreceiver.logger.warning(
                "RTCRtpReceiver(%s) failed to decode %s frame: %s", codec.mimeType.split("/")[0], codec.name, error
            )
            self._failed.set()
            return
        for each in decoded:
            self._hand_on(each)

    def _hand_on(self, frame: object) -> None:
        # Deferred, because the caller of `join` is in the middle of an operation.
        if not self._loop.is_closed():
            self._loop.call_soon(self._frames.put_nowait, frame)


_CHANGE_KEYS, _HANDSHAKE = 20, 22
"""Content types of the DTLS 1.2 records in a handshake (RFC 6347)."""
_HEADER = 13
"""Number of bytes in the header of a DTLS record. Bytes 3 to 4 (from 0) are the epoch, bytes 11 to 12 the length."""


class _Untimed(SSL.Connection):
    """A DTLS connection whose handshake does not depend on time.

    OpenSSL reads the machine's clock to decide when to send a handshake flight again, so the speed of the machine would
    determine which packets are sent. This class reports no timeout, and drops repeated flights. The simulated network
    loses no flight.
    """

    def __init__(self, context: SSL.Context) -> None:
        super().__init__(context, None)
        self._last = b""
        self._once: set[int] = set()

    def DTLSv1_get_timeout(self) -> int | None:  # noqa: N802 - pyOpenSSL's name
        return None

    @override
    def bio_read(self, bufsiz: int) -> bytes:
        data = super().bio_read(bufsiz)
        if data[0] not in {_CHANGE_KEYS, _HANDSHAKE}:
            return data
        # Read everything: repeated records may precede new ones, and a datagram could end in the middle of a record.
        with suppress(SSL.WantReadError):
            while True:
                data += super().bio_read(bufsiz)
        return b"".join(record for record in _records(data) if self._is_new(record))

    def _is_new(self, record: bytes) -> bool:
        kind, is_clear = record[0], record[3:5] == b"\0\0"
        if kind == _HANDSHAKE and is_clear:
            # Number of the message and offset of its fragment: they grow, except in repeated records.
            place = record[_HEADER + 4 : _HEADER + 9]
            is_new, self._last = place > self._last, max(place, self._last)
            return is_new
        if kind not in {_CHANGE_KEYS, _HANDSHAKE}:
            return True
        # change_cipher_spec and the encrypted message after it: a second one is a repeat.
        is_new = kind not in self._once
        self._once.add(kind)
        return is_new


def _records(data: bytes) -> Iterator[bytes]:
    while data:
        end = _HEADER + int.from_bytes(data[_HEADER - 2 : _HEADER])
        yield data[:end]
        data = data[end:]


@cache
def _certificates() -> tuple[RTCCertificate, ...]:
    return tuple(_certificate(number) for number in range(CERTIFICATES))


def _certificate(number: int) -> RTCCertificate:
    """Make a certificate like those of aiortc. The same `number` always gives the same certificate."""
    secret = hashlib.sha256(f"simulated certificate {number}".encode()).digest()
    key = ec.derive_private_key(int.from_bytes(secret), ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, secret.hex()[:32])])
    start = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(number + 1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=36500))
        .sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    )
    return RTCCertificate(key, certificate)


_NUMBER = "_simulated_number"


def _numbering(original: Callable[..., None], numbers: Iterator[int]) -> Callable[..., None]:
    def init(self: Any, *args: Any, **kwargs: Any) -> None:  # Any: `_numbering` wraps three classes
        if _in_run():
            self.__dict__[_NUMBER] = next(numbers)
        original(self, *args, **kwargs)

    return init


def _number(self: object) -> int:
    """Return the hash of an object: for an object created in a run, its number in the order of creation."""
    number: int | None = self.__dict__.get(_NUMBER)
    return object.__hash__(self) if number is None else number
