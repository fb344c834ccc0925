"""Strategy for event handlers of `connect`, in every form that a user may write. The handlers record their calls."""

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
"""The number of arguments that the client offers each handler, by handler name."""

type Form = Literal["function", "coroutine function", "method", "partial"]
"""How a handler is defined. The client awaits a handler only if it is a coroutine function."""

FORMS: tuple[Form, ...] = get_args(Form.__value__)


class HandlerFailedError(Exception):
    """The error that a drawn handler raises."""


class HandlerCall(NamedTuple):
    """One call of a handler."""

    name: str
    arguments: tuple[object, ...]
    """The arguments that the handler accepted, possibly fewer than the client offered."""


@dataclass(frozen=True, slots=True)
class HandlerShape:
    """How one handler is written.

    Attributes:
        form: Its form, such as a method.
        takes: The number of arguments that it accepts; None for any number (`*arguments`).
        raises: Whether it raises `HandlerFailedError` after it has recorded the call.
    """

    form: Form
    takes: int | None
    raises: bool = False

    def taken(self, offered: tuple[object, ...]) -> tuple[object, ...]:
        """Return the offered arguments that the handler accepts."""
        return offered[: self.takes]


@dataclass(frozen=True, slots=True)
class HandlerSet:
    """The handlers of one connection, and their calls.

    Attributes:
        shapes: How each handler is written, by handler name.
        calls: All calls so far, in order.
        handlers: The handlers, for `connect(drawn.handlers)`.
    """

    shapes: Mapping[str, HandlerShape]
    calls: list[HandlerCall] = field(default_factory=list, compare=False)
    handlers: OdysseyEventHandlers = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "handlers", OdysseyEventHandlers(**self.keywords))

    @property
    def keywords(self) -> dict[str, Callable[..., Any]]:  # Any: as in `odyssey_client.events.Handler`
        """The handlers by name, for `connect(**drawn.keywords)`; their calls are recorded in `calls` too."""
        return {name: _made(shape, functools.partial(self._note, name)) for name, shape in self.shapes.items()}

    def called(self, name: str) -> list[tuple[object, ...]]:
        """Return the arguments of all calls of the handler `name` so far."""
        return [call.arguments for call in self.calls if call.name == name]

    def _note(self, name: str, *arguments: object) -> None:
        self.calls.append(HandlerCall(name, arguments))
        if self.shapes[name].raises:
            raise HandlerFailedError(f"error raised by the drawn handler {name}")


def handler_sets(
    *, names: Collection[str] | None = None, required: Collection[str] = (), raising: bool = False
) -> SearchStrategy[HandlerSet]:
    """Draw handlers for `connect`: some or all, sync and async, accepting all offered arguments or fewer.

    ::

        @given(handler_sets(required=["on_error"]))
        def test_wrapper_reports_error_to_handler(drawn):
            my_wrapper(drawn.handlers).fail(ValueError("broken"))
            assert len(drawn.called("on_error")) == 1

    Args:
        names: Names in `OFFERED` of the handlers to draw from; None for all.
        required: The handlers that every set contains.
        raising: Whether handlers may raise `HandlerFailedError`.

    Raises:
        ValueError: a name is unknown, or a required handler is not in `names`.
    """
    allowed = list(OFFERED) if names is None else [name for name in OFFERED if name in names]
    if unknown := sorted({*(names or ()), *required} - set(OFFERED)):
        raise ValueError(f"unknown handler {unknown[0]!r}; known: {', '.join(OFFERED)}")
    if missing := sorted(set(required) - set(allowed)):
        raise ValueError(f"names must contain the required handler {missing[0]!r}, got {', '.join(allowed) or 'none'}")
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
    """Handlers as methods, one for each number of arguments. The client reads that number from the signature."""

    def __init__(self, note: Callable[..., None]) -> None:  # ...: the arguments that the handler accepts
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
    @functools.wraps(method)  # keeps the signature, which the client reads
    def called(*arguments: object) -> None:
        method(*arguments)

    return called


def _coroutine_function(method: Callable[..., None]) -> Callable[..., Coroutine[None, None, None]]:
    @functools.wraps(method)
    async def called(*arguments: object) -> None:
        # Suspend once before recording, like a handler that awaits something.
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
