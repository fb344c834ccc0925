"""Tests that both packages export every type that their public methods and properties return."""

import inspect
import sys
import typing
from collections.abc import Callable, Iterator
from types import ModuleType

import av
import numpy
import pytest
from numpy.typing import NDArray
from PIL import Image

import odyssey_client
import odyssey_mock
from odyssey_client import EventReader, FrameReader, MediaStream, Odyssey, SpectatorConnection
from odyssey_client.media.recorder import Recorder
from odyssey_mock import Broadcast, Broadcasts, Jobs, Journal, MockOdyssey, Recordings, Session
from odyssey_mock.media.encoder import Codec, VideoPacket
from odyssey_mock.media.frame_encoder import CountsFrames

TYPE_ONLY = {
    "av": av,
    "np": numpy,
    "NDArray": NDArray,
    "Image": Image,
    "Recorder": Recorder,
    "Codec": Codec,
    "CountsFrames": CountsFrames,
    "Session": Session,
    "VideoPacket": VideoPacket,
}
"""Names in annotations that modules import only for type checking, and their values."""

CLIENT = [Odyssey, SpectatorConnection, MediaStream, FrameReader, EventReader]
MOCK = [MockOdyssey, Broadcasts, Broadcast, Jobs, Journal, Recordings]
INTERNAL = {"backend"}
"""Names of internal members that have no leading underscore: `MockOdyssey.backend`."""


def functions(kind: type) -> Iterator[tuple[str, Callable[..., object]]]:
    """Yield (name, function) for each public method and property of a class.

    `__getitem__`, `__anext__` and `__aiter__` are included.
    """
    for name, member in inspect.getmembers_static(kind):
        if name in INTERNAL or (name.startswith("_") and name not in {"__getitem__", "__anext__", "__aiter__"}):
            continue
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if inspect.isfunction(function) and function.__module__.startswith(("odyssey_client", "odyssey_mock")):
            yield name, function


def own_names(hint: object, seen: set[object]) -> Iterator[str]:
    """Yield the names of all types in an annotation and its type aliases that belong to one of the two packages.

    `seen` collects the type aliases that are already resolved.
    """
    if isinstance(hint, list):
        for each in hint:
            yield from own_names(each, seen)
    elif isinstance(hint, typing.TypeAliasType):
        if hint not in seen:
            seen.add(hint)
            yield from own_names(hint.__value__, seen)
    elif (origin := typing.get_origin(hint)) is not None:
        for each in (origin, *typing.get_args(hint)):
            yield from own_names(each, seen)
    elif isinstance(hint, type) and hint.__module__.startswith(("odyssey_client", "odyssey_mock")):
        yield hint.__name__


def missing(package: ModuleType, kind: type) -> list[str]:
    found = []
    for name, function in functions(kind):
        names = {**vars(sys.modules[function.__module__]), **TYPE_ONLY}
        hint = typing.get_type_hints(function, names).get("return")
        found += [f"{kind.__name__}.{name}: {each}" for each in own_names(hint, set()) if each not in package.__all__]
    return found


@pytest.mark.parametrize(
    ("package", "kind"),
    [*((odyssey_client, kind) for kind in CLIENT), *((odyssey_mock, kind) for kind in MOCK)],
    ids=lambda it: it.__name__,
)
def test_returned_types_are_exported_by_the_package(package: ModuleType, kind: type) -> None:
    assert list(functions(kind))
    assert missing(package, kind) == []


@pytest.mark.parametrize("package", [odyssey_client, odyssey_mock], ids=lambda it: it.__name__)
def test_every_exported_name_exists(package: ModuleType) -> None:
    assert [name for name in package.__all__ if not hasattr(package, name)] == []
