"""`StateStore`, through which the parts of a mock save records that outlive the process, and its null implementation.

Each part defines its records: frozen dataclasses that contain only JSON, `AnyText` and `Bytes`. `NoState`, the default,
saves nothing. `odyssey_mock/state/` implements the protocol with a directory (setting `state_dir`).
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Protocol, override

from odyssey_mock.core.entropy import Entropy
from odyssey_mock.core.journal import Journal


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, got {type(value).__name__}")  # noqa: TRY004 - pydantic expects this type
    return value


def _bytes(value: object) -> object:
    try:
        return base64.b64decode(value, validate=True) if isinstance(value, str) else value
    except binascii.Error as error:
        raise ValueError(f"expected base64: {error}") from error


def _plain(convert: Callable[[object], object]) -> object:
    from pydantic import PlainValidator  # noqa: PLC0415 - only a mock with saved state needs pydantic here

    return PlainValidator(convert)


def _before(convert: Callable[[object], object]) -> object:
    from pydantic import BeforeValidator  # noqa: PLC0415 - see `_plain`

    return BeforeValidator(convert)


# An alias is only evaluated when pydantic prepares the validation of records.
type AnyText = Annotated[str, _plain(_text)]
"""Text that clients choose. It may have lone surrogates, which pydantic rejects in a `str`."""

type Bytes = Annotated[bytes, _before(_bytes)]
"""Bytes, which are saved as base64."""


@dataclass(frozen=True, slots=True)
class RecordKind[Record]:
    """A kind of records, with the name under which they are saved and their class."""

    name: str
    type: type[Record]


class StateStore(Protocol):
    """The records that a mock saves, by kind and key."""

    def load[Record](self, kind: RecordKind[Record]) -> Mapping[str, Record]:
        """Return the records that earlier processes have saved, by key, in the order in which they were first saved."""

    @property
    def stopped_at(self) -> float | None:
        """The time of the server's clock at which the earlier process last wrote its state; None if there was none."""

    def save[Record](self, kind: RecordKind[Record], key: str, snapshot: Callable[[], Record]) -> None:
        """Save a record, in place of an earlier one with this key.

        The call returns at once. When the record is written, `snapshot()` is called on the event loop; its result must
        not change afterward. Everything that is saved between two `await` expressions is written together or not at
        all.
        """

    def delete(self, kind: RecordKind[Any], key: str) -> None:  # Any: of every kind
        """Delete a record; an unknown key has no effect."""

    def keep_journal(self, journal: Journal) -> None:
        """Restore the entries of an empty journal, and save those that are written from now on."""

    async def flush(self) -> None:
        """Wait until everything saved so far is written.

        Raises:
            Exception: a record cannot be written. The message states the cause and what to do.
        """


_NO_RECORDS: Mapping[str, Any] = MappingProxyType({})  # Any: the type of the values does not matter


class NoState:
    """A `StateStore` that saves nothing."""

    def load[Record](self, kind: RecordKind[Record]) -> Mapping[str, Record]:  # noqa: ARG002 - as in the protocol
        return _NO_RECORDS

    @property
    def stopped_at(self) -> float | None:
        return None

    def save[Record](self, kind: RecordKind[Record], key: str, snapshot: Callable[[], Record]) -> None:
        pass

    def delete(self, kind: RecordKind[Any], key: str) -> None:  # Any: as in the protocol
        pass

    def keep_journal(self, journal: Journal) -> None:
        pass

    async def flush(self) -> None:
        pass

    @override
    def __repr__(self) -> str:
        return "<NoState>"


NO_STATE = NoState()
"""The only instance that is needed."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A saved secret, such as the key that signs URLs."""

    value: str


_SECRETS = RecordKind("secret", Secret)


class SavedSecrets:
    """The secrets of a server, which stay the same when the server is started again.

    Each is generated when it is first needed. Most tests start a server, and need none of its secrets.
    """

    def __init__(self, state: StateStore, entropy: Entropy) -> None:
        self._state = state
        self._entropy = entropy
        self._saved = dict(state.load(_SECRETS))

    def token(self, name: str, nbytes: int) -> str:
        """Return the secret `name`: the saved one, or else a new one of `nbytes` random bytes."""
        saved = self._saved.get(name)
        return self._keep(name, self._entropy.token(nbytes)) if saved is None else saved.value

    def keep(self, name: str, value: str) -> str:
        """Return the secret `name`: the saved one, or else `value`, which is saved."""
        saved = self._saved.get(name)
        return self._keep(name, value) if saved is None else saved.value

    def _keep(self, name: str, value: str) -> str:
        secret = self._saved[name] = Secret(value)
        self._state.save(_SECRETS, name, lambda: secret)
        return value
