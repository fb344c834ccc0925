"""Handlers for `connect`, of every kind that a user may write, which note what they are called with."""

import asyncio
import functools
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from odyssey_client import OdysseyEventHandlers
from odyssey_client.events import EVENTS

OFFERED: Mapping[str, int] = MappingProxyType(
    {**{name: len(fields(event)) for event, (name, _) in EVENTS.items()}, "on_video_frame": 1}  # type: ignore[arg-type]  # events are dataclasses
)
"""How many arguments each handler is offered, by its name."""

type Form = Literal["function", "coroutine function", "method", "partial"]
"""What a handler is written as; all but the second are called without waiting."""

FORMS: tuple[Form, ...] = get_args(Form.__value__)


class HandlerFailedError(Exception):
    """What a drawn handler raises."""


class HandlerCall(NamedTuple):
    """One call of a handler."""

    name: str
    arguments: tuple[object, ...]
    """Those it took, which may be fewer than it was offered."""


@dataclass(frozen=True, slots=True)
class HandlerShape:
    """How one handler is written.

    Attributes:
        form: As what.
        takes: How many arguments; None for any number (`*arguments`).
        raises: Whether it raises `HandlerFailedError`, once it has noted the call.
    """

    form: Form
    takes: int | None
    raises: bool = False

    def taken(self, offered: tuple[object, ...]) -> tuple[object, ...]:
        """Give those of the arguments offered that it takes."""
        return offered[: self.takes]


@dataclass(frozen=True, slots=True)
class HandlerSet:
    """Handlers for one connection, and what they were called with.

    Attributes:
        shapes: How each is written, by its name.
        calls: Their calls so far, in order.
        handlers: The handlers themselves, for `connect(drawn.handlers)`.
    """

    shapes: Mapping[str, HandlerShape]
    calls: list[HandlerCall] = field(default_factory=list, compare=False)
    handlers: OdysseyEventHandlers = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "handlers", OdysseyEventHandlers(**self.keywords))

    @property
    def keywords(self) -> dict[str, Callable[..., Any]]:  # as `odyssey_client.events.Handler` has them
        """The handlers by name, for `connect(**drawn.keywords)`; they note into the same `calls`."""
        return {name: _made(shape, functools.partial(self._note, name)) for name, shape in self.shapes.items()}

    def called(self, name: str) -> list[tuple[object, ...]]:
        """What the handler of that name was called with so far."""
        return [call.arguments for call in self.calls if call.name == name]

    def _note(self, name: str, *arguments: object) -> None:
        self.calls.append(HandlerCall(name, arguments))
        if self.shapes[name].raises:
            raise HandlerFailedError(f"{name} was drawn to raise")


def handler_sets(
    *, names: Collection[str] | None = None, required: Collection[str] = (), raising: bool = False
) -> SearchStrategy[HandlerSet]:
    """Draw handlers for `connect`: some or all, sync and async, taking as many arguments as offered or fewer.

    ::

        @given(handler_sets(required=["on_error"]))
        def test_my_wrapper_calls_whatever_handlers_it_is_given(drawn):
            my_wrapper(drawn.handlers).fail(ValueError("broken"))
            assert len(drawn.called("on_error")) == 1

    Args:
        names: Those there may be, names of `OFFERED`; all if None.
        required: Those of them that there are always.
        raising: Whether they may raise `HandlerFailedError`.

    Raises:
        ValueError: there is no such handler, or one is required that there may not be.
    """
    allowed = list(OFFERED) if names is None else [name for name in OFFERED if name in names]
    if unknown := sorted({*(names or ()), *required} - set(OFFERED)):
        raise ValueError(f"there is no handler {unknown[0]!r}; known are {', '.join(OFFERED)}")
    if missing := sorted(set(required) - set(allowed)):
        raise ValueError(f"expected the required {missing[0]!r} among names, got {', '.join(allowed) or 'none'}")
    shapes = {name: _shapes(OFFERED[name], raising=raising) for name in allowed}
    return st.fixed_dictionaries(
        {name: shape for name, shape in shapes.items() if name in required},
        optional={name: shape for name, shape in shapes.items() if name not in required},
    ).map(HandlerSet)


def _shapes(offered: int, *, raising: bool) -> SearchStrategy[HandlerShape]:
    return st.builds(
        HandlerShape,
        form=st.sampled_from(FORMS),
        takes=st.sampled_from([*range(offered, -1, -1), None]),
        raises=st.booleans() if raising else st.just(False),
    )


class _Methods:
    """A method for each number of arguments: handlers are told how many they take by their signature."""

    def __init__(self, note: Callable[..., None]) -> None:  # of whatever the handler takes
        self._note = note
        self.taking: Mapping[int | None, Callable[..., None]] = {
            0: self.none,
            1: self.one,
            2: self.two,
            None: self.any_number,
        }

    def none(self) -> None:
        self._note()

    def one(self, first: object) -> None:
        self._note(first)

    def two(self, first: object, second: object) -> None:
        self._note(first, second)

    def any_number(self, *arguments: object) -> None:
        self._note(*arguments)


def _function(method: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(method)  # with its signature, as decorators should
    def called(*arguments: object) -> None:
        method(*arguments)

    return called


def _coroutine_function(method: Callable[..., None]) -> Callable[..., Coroutine[None, None, None]]:
    @functools.wraps(method)
    async def called(*arguments: object) -> None:
        # Not done when it is first left, as handlers are that do something.
        turned = asyncio.Event()
        asyncio.get_running_loop().call_soon(turned.set)
        await turned.wait()
        method(*arguments)

    return called


_FORMS: Mapping[Form, Callable[[Callable[..., None]], Callable[..., Any]]] = MappingProxyType(
    {
        "function": _function,
        "coroutine function": _coroutine_function,
        "method": lambda method: method,
        "partial": functools.partial,
    }
)


def _made(shape: HandlerShape, note: Callable[..., None]) -> Callable[..., Any]:
    return _FORMS[shape.form](_Methods(note).taking[shape.takes])
