"""Tests that the sync and the async client have the same names, signatures and docstrings."""

import inspect
import re
from collections.abc import Iterator
from itertools import takewhile

import pytest

import odyssey_client
from odyssey_client import sync
from odyssey_client.media.recorder import Recorder

KINDS = {
    odyssey_client.Odyssey: sync.Odyssey,
    odyssey_client.MediaStream: sync.MediaStream,
    odyssey_client.FrameReader: sync.FrameReader,
    odyssey_client.EventReader: sync.EventReader,
    odyssey_client.SpectatorConnection: sync.SpectatorConnection,
    Recorder: sync.Recorder,
}

INTERNAL = {"push", "splice", "end", "is_form_of"}
"""Names of internal members that have no leading underscore. The comparison ignores them."""

INTERNAL_OF_SPECTATOR = {"start", "ready"}

ATTRIBUTES = {"dropped", "stream"}
"""Properties of sync classes that are instance attributes in the async classes. The comparison ignores them."""

TIMED = {"frames", "events"}
"""Sync methods with an additional keyword ``timeout_s``. Async callers can use `asyncio.timeout` instead."""

SPECIAL = {"__aenter__": "__enter__", "__aexit__": "__exit__", "__aiter__": "__iter__", "__anext__": "__next__"}

REPLACED = (
    (r"async with await ", "with "),
    (r"async (with|for)", r"\1"),
    (r"await ", ""),
    (r"any task", "any thread"),
    (r"An async (iterator|context manager)", r"A \1"),
    (r"A iterator", "An iterator"),
    (r"AsyncGenerator\[(\w+), None\]", r"Generator[\1, None, None]"),
)
"""Regular expressions and replacements that convert a docstring or signature of the async client to the sync form."""


def to_sync(text: str) -> str:
    for pattern, replacement in REPLACED:
        text = re.sub(pattern, replacement, text)
    return text


def members(kind: type) -> dict[str, object]:
    """Return the public members of a class by name. Special async methods get their sync names, such as `__enter__`."""
    internal = INTERNAL | (INTERNAL_OF_SPECTATOR if kind.__name__ == "SpectatorConnection" else set())
    found = {}
    for name, member in inspect.getmembers_static(kind):
        own = SPECIAL.get(name, name)
        is_special = own in {*SPECIAL.values(), "__repr__"} and member is not getattr(object, name, None)
        if is_special or not (name.startswith("_") or name in internal):
            found[own] = getattr(member, "__func__", member)
    return found


def pairs() -> Iterator[tuple[str, object, object]]:
    """Yield (name, async member, sync member) for each public member that both clients have."""
    for kind, counterpart in KINDS.items():
        theirs = members(counterpart)
        for name, member in members(kind).items():
            if name in theirs:
                yield f"{kind.__name__}.{name}", member, theirs[name]
    yield "Odyssey.__init__", odyssey_client.Odyssey.__init__, sync.Odyssey.__init__
    yield "connect_to_stream", odyssey_client.connect_to_stream, sync.connect_to_stream


PAIRS = list(pairs())
FUNCTIONS = [pair for pair in PAIRS if inspect.isfunction(pair[1])]


def name_of(value: object) -> str:
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_both_classes_have_the_same_members(kind: type) -> None:
    assert set(members(KINDS[kind])) - ATTRIBUTES == set(members(kind)) - ATTRIBUTES


def parameters(function: object) -> list[tuple[str, object, object, str]]:
    assert callable(function)
    found = inspect.signature(function).parameters.values()
    return [(each.name, each.kind, each.default, str(each.annotation)) for each in found]


@pytest.mark.parametrize(("name", "member", "counterpart"), FUNCTIONS, ids=name_of)
def test_parameters_of_both_calls_are_equal(name: str, member: object, counterpart: object) -> None:
    expected = parameters(member)
    if name.rpartition(".")[2] in TIMED:
        expected.append(("timeout_s", inspect.Parameter.KEYWORD_ONLY, None, "float | None"))

    assert parameters(counterpart) == expected


def returned(member: object) -> str:
    function = member.fget if isinstance(member, property) else member
    assert callable(function)
    return to_sync(str(inspect.signature(function).return_annotation))


@pytest.mark.parametrize(
    ("name", "member", "counterpart"), [pair for pair in PAIRS if "__next__" not in pair[0]], ids=name_of
)
def test_both_calls_return_the_same_type(name: str, member: object, counterpart: object) -> None:
    """Every sync method has the return type of its async counterpart.

    `__next__` is not compared, because the readers inherit it from a generic class.
    """
    assert returned(counterpart) == returned(member)


@pytest.mark.parametrize(("name", "member", "counterpart"), PAIRS, ids=name_of)
def test_docstrings_of_both_calls_are_equal(name: str, member: object, counterpart: object) -> None:
    expected = to_sync(inspect.cleandoc(member.__doc__ or "")).splitlines()
    found = inspect.cleandoc(counterpart.__doc__ or "").splitlines()
    if name.rpartition(".")[2] in TIMED:
        added = [line for line in found if line not in expected]
        assert any("timeout_s" in line for line in added)
        found = [line for line in found if line not in added]
        expected, found = [line for line in expected if line], [line for line in found if line]

    assert found == expected


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind is not odyssey_client.Odyssey], ids=lambda it: it.__name__
)
def test_docstrings_of_both_classes_are_equal(kind: type) -> None:
    assert inspect.getdoc(KINDS[kind]) == to_sync(inspect.getdoc(kind) or "")


def test_class_docstrings_show_the_same_example() -> None:
    """Both `Odyssey` classes have the same example. The text after the example may differ."""
    lines = [to_sync(inspect.getdoc(kind) or "").splitlines() for kind in (odyssey_client.Odyssey, sync.Odyssey)]
    example, counterpart = (list(takewhile(lambda line: "get_recording" not in line, each)) for each in lines)

    assert len(example) > 10
    assert counterpart == example


def test_sync_names_exist_in_the_async_package() -> None:
    assert [name for name in sync.__all__ if name not in odyssey_client.__all__] == []


def test_both_unions_contain_the_same_events() -> None:
    kinds, counterparts = (
        [each.__name__ for each in union.__value__.__args__] for union in (odyssey_client.Event, sync.Event)
    )
    assert counterparts == kinds
