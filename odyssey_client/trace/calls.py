"""Recording of public calls: the decorator of the methods of a client."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from odyssey_client.trace.described import set_fields
from odyssey_client.trace.waiting import recorded_call

if TYPE_CHECKING:  # `import odyssey_client` imports this module, and would become slower
    from odyssey_client.trace.client_trace import ClientTrace
    from odyssey_client.trace.events import Source

_caller: ContextVar[Source | None] = ContextVar("odyssey_caller", default=None)
"""The line that called, if the call is carried out in another thread."""


_signature = functools.cache(inspect.signature)


def recorded[M: Callable[..., Coroutine[Any, Any, Any]]](method: M) -> M:
    """Record the calls of an async method, if the attribute ``_trace`` of its object is a trace and not None."""

    # Not a coroutine function: the caller's line is known only when the method is called, not when it is awaited.
    @functools.wraps(method)
    def call(self: Any, /, *args: Any, **keywords: Any) -> Coroutine[Any, Any, Any]:
        trace: ClientTrace | None = self._trace
        if trace is None:
            return method(self, *args, **keywords)
        source = callers_line()
        work = functools.partial(method, self, *args, **keywords)
        try:
            bound = _signature(method).bind(self, *args, **keywords)
        except TypeError:
            return work()  # raises the error of Python for wrong arguments
        arguments = dict(bound.arguments)
        del arguments[next(iter(arguments))]  # self
        if "handlers" in arguments or "handler_keywords" in arguments:
            shown = {**set_fields(arguments.pop("handlers", None)), **arguments.pop("handler_keywords", {})}
            arguments["handlers"] = shown
        coroutine = record_call(trace, method.__name__, arguments, source, work)
        # Python's warning about a coroutine that is never awaited names the method.
        setattr(coroutine, "__name__", method.__name__)  # noqa: B010 - the type Coroutine has no such attributes
        setattr(coroutine, "__qualname__", method.__qualname__)  # noqa: B010
        return coroutine

    return cast("M", inspect.markcoroutinefunction(call))


async def record_call[R](
    trace: ClientTrace,
    name: str,
    arguments: dict[str, object],
    source: Source | None,
    work: Callable[[], Coroutine[Any, Any, R]],
) -> R:
    """Await ``work()`` and return its result, as a call of the lane ``call``; then write the file, if it is due."""
    record = trace.begin_call(name, arguments, source)
    token = recorded_call.set(record)
    is_abandoned = False
    try:
        result = await work()
    except BaseException as error:
        is_abandoned = isinstance(error, GeneratorExit)  # of an event loop that has ended: nothing can be awaited
        record.raised(error)
        raise
    else:
        record.returned(result)
        return result
    finally:
        recorded_call.reset(token)
        if trace.is_due and not is_abandoned:
            await trace.save()


@contextmanager
def called_here(*, is_recorded: bool) -> Iterator[None]:
    """Record calls that are carried out in another thread, in a copy of this context, as calls of the caller's line."""
    if not is_recorded:
        yield
        return
    token = _caller.set(callers_line())
    try:
        yield
    finally:
        _caller.reset(token)


def callers_line() -> Source | None:
    """Return the line that called: outside of this project's packages, perhaps in another thread."""
    from odyssey_client.trace.recorder import calling_line  # noqa: PLC0415 - see TYPE_CHECKING

    if (caller := _caller.get()) is not None:
        _caller.set(None)  # it does not apply to calls of handlers, which run in copies of this context
        return caller
    return calling_line()
