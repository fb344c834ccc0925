"""The statements of `protocol.md`, from `odyssey_mock/contract/statements.yaml`."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType

from odyssey_mock.core.data_files import read_data_file
from odyssey_mock.core.strict_json import JSON

STATEMENTS = Path(__file__).parents[1] / "contract" / "statements.yaml"


class Source(StrEnum):
    """Where a statement is from. The values are the marks in `protocol.md`."""

    SEED = "S"
    """Two pages of the vendor's documentation with which this project started. They take precedence."""
    DOCUMENTATION = "D"
    """The rest of the vendor's public documentation."""
    CLIENTS = "C"
    """The vendor's clients, observed on the wire."""
    MOCK = "M"
    """A decision of this project, because the behavior of the service is not known."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One fact of the protocol.

    Attributes:
        id: The id, such as `rest.token.expires-in`. It never changes.
        section: The number of the section of `protocol.md` that contains the statement.
        text: The statement, as one sentence.
        sources: Its sources, in the order of `Source`.
        clients: The ids of the tests in which a client of other authors relies on the statement.
    """

    id: str
    section: int
    text: str
    sources: tuple[Source, ...]
    clients: tuple[str, ...] = ()

    @property
    def is_assumed(self) -> bool:
        """Return whether the statement has no other source than a decision of this project."""
        return self.sources == (Source.MOCK,)


@cache
def statements() -> Mapping[str, Statement]:
    """Return every statement by its id, in the order of `protocol.md`.

    Raises:
        DataFileError: the file cannot be read.
        ValueError: the file has invalid content.
    """
    listed = read_data_file(STATEMENTS)
    known: dict[str, Statement] = {}
    for entry in listed if isinstance(listed, list) else [listed]:
        statement = _statement(entry)
        if statement.id in known:
            raise ValueError(f"{STATEMENTS} must have each id once, got {statement.id} twice")
        known[statement.id] = statement
    return MappingProxyType(known)


def _statement(entry: JSON) -> Statement:
    match entry:
        case {
            "id": str(name),
            "section": int(section),
            "text": str(text),
            "sources": [_, *_] as sources,
            "clients": list(clients),
            **rest,
        } if not rest:
            given = {Source(str(each)) for each in sources}
            return Statement(
                name, section, text, tuple(each for each in Source if each in given), tuple(map(str, clients))
            )
    raise ValueError(
        f"{STATEMENTS}: expected a list of objects with the fields id, section, text, sources and clients, got {entry}"
    )
