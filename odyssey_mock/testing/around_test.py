"""Wrapper of a test function: new mock state for each example of `@given`, cleanup in the loop of an async test."""

import asyncio
import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from odyssey_mock.testing.leftovers import TaskWatch

if TYPE_CHECKING:
    from odyssey_client import Odyssey

type TestFunction = Callable[..., Any]


def is_given(item: pytest.Item) -> bool:
    """Return whether the test runs examples of Hypothesis (`@given`)."""
    return bool(getattr(getattr(item, "obj", None), "is_hypothesis_test", False))


def original_test(item: pytest.Function) -> TestFunction:
    """Return the test function; for a test with `@given`, the function that `@given` decorates."""
    test: TestFunction = item.obj.hypothesis.inner_test if is_given(item) else item.obj
    return test


@contextmanager
def around_test(
    item: pytest.Function,
    *,
    restart: Callable[[], None],
    failed: Callable[[BaseException], None],
    found: list[str],
    clients: Sequence["Odyssey"],
    around: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
) -> Iterator[None]:
    """Replace the function of a test by a wrapper during the block. A sync test without `@given` is left unchanged.

    Args:
        item: the test.
        restart: gives the mock new state; called before every example of `@given` except the first.
        failed: called with the exception of an async test function, before its clients are disconnected.
        found: a list to which descriptions of pending tasks are appended when an async test function ends.
        clients: clients to disconnect when an async test function ends, in its event loop. A client that was connected
            before the function began stays connected, because the fixture that connected it may still use it.
        around: returns a context manager that is entered in the event loop of an async test function on asyncio, before
            the function begins. It is exited after the clients were disconnected.
    """
    test = original_test(item)
    is_async = inspect.iscoroutinefunction(test)
    if not is_async and not is_given(item):
        yield
        return
    begins = _each_but_first(restart) if is_given(item) else _nothing

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> Any:  # Any: passed on unchanged
        __tracebackhide__ = True
        begins()
        return test(*args, **kwargs)

    @functools.wraps(test)
    async def run_async(*args: Any, **kwargs: Any) -> Any:  # Any: passed on unchanged
        __tracebackhide__ = True
        begins()
        watch = TaskWatch() if _runs_on_asyncio() else None
        connected = {id(client) for client in clients if client.is_connected}
        async with nullcontext() if watch is None else around():
            try:
                return await test(*args, **kwargs)
            except BaseException as error:
                failed(error)
                raise
            finally:
                if watch is not None:
                    found.extend(watch.left())
                for client in clients:
                    if id(client) not in connected:
                        await client.disconnect()

    with pytest.MonkeyPatch.context() as patch:
        if is_given(item):
            patch.setattr(item.obj.hypothesis, "inner_test", run_async if is_async else run)
        else:
            patch.setattr(item, "obj", run_async)
        yield


def _each_but_first(call: Callable[[], None]) -> Callable[[], None]:
    is_first = True

    def begins() -> None:
        nonlocal is_first
        if is_first:
            is_first = False
        else:
            call()

    return begins


def _nothing() -> None:
    """Do nothing, because the mock of a test without `@given` is never restarted."""


def _runs_on_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
