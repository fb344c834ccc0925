"""Iteration over a paged list that changes during the iteration.

Lists are sorted newest first and paged by offset. Offsets shift between two requests: items are added at the front, and
others disappear (a job that ends is no longer ``active``). Each request therefore asks for a page that begins with the
last item of the previous page. A page is a snapshot of the list, so no item after a known item is missing. If a page
contains no known item, `walk` requests earlier pages until it finds one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from odyssey_client.errors import UnexpectedResponseError

SMALLEST = 2
"""The minimum page size: one item of the previous page, and one item that may be new."""


MAX_IDLE_PAGES = 1000
"""Maximum number of pages in a row without a new item. With a service that repeats a page, the walk would never end."""


@dataclass(frozen=True, slots=True)
class Page[T]:
    """One page of a list: its items, its maximum number of items, and the offset of its first item."""

    items: Sequence[T]
    limit: int
    offset: int


type Fetch[T] = Callable[[int, int], Awaitable[Page[T]]]
"""Requests the page for a limit and an offset."""


async def walk[T](fetch: Fetch[T], identify: Callable[[T], str], page_size: int) -> AsyncGenerator[T, None]:
    """Yield the items of a list in its order, each once.

    Every item that is in the list from the first request to the last is yielded. Items added at the front in the
    meantime are left out, unless all items yielded so far have disappeared from the list.

    Args:
        fetch: Requests a page.
        identify: Returns the id of an item.
        page_size: The number of items per request; values below `SMALLEST` count as `SMALLEST`.

    Raises:
        UnexpectedResponseError: the service returned a page with another offset than requested, or `MAX_IDLE_PAGES`
            pages in a row without a new item.
        OdysseyError: ``fetch`` raised this error.
    """
    size = max(page_size, SMALLEST)
    known: set[str] = set()
    offset = 0
    is_searching = False  # looking for a known item, from the front on
    is_anew = False  # no known item is left in the list: yield all items
    idle = 0
    while True:
        page = await fetch(size, offset)
        if page.offset != offset:
            # With a service that ignores the offset, the loop would never end.
            raise _endless(
                "offset", f"a page that starts at offset {offset}", f"one that starts at offset {page.offset}"
            )
        idle += 1
        if idle > MAX_IDLE_PAGES:
            raise _endless("", f"a new item in at most {MAX_IDLE_PAGES} pages", "none")
        names = [identify(item) for item in page.items]
        is_last = len(names) < max(SMALLEST, min(size, page.limit))
        unknown = next((index for index in range(len(names), 0, -1) if names[index - 1] in known), 0)
        is_lost = bool(known) and not unknown and not is_anew
        if is_lost and offset and not is_searching:
            offset = max(0, offset - (size - 1))
        elif is_lost and not is_last:
            is_searching = True
            offset += len(names) - 1
        elif is_lost and offset:
            offset, is_searching, is_anew = 0, False, True
        else:
            for item, name in zip(page.items[unknown:], names[unknown:], strict=True):
                if name not in known:
                    known.add(name)
                    idle = 0
                    yield item
            if is_last:
                return
            offset += len(names) - 1
            is_searching = is_anew = False


def _endless(path: str, expected: str, got: str) -> UnexpectedResponseError:
    return UnexpectedResponseError(
        f"Cannot read the whole list: expected {expected}, got {got}.", path=path, expected=expected, got=got
    )
