"""Walking through a list that is given out page by page, while it changes.

The lists are ordered, newest first, and pages are cut by offset; meanwhile items are added in front, and some may
vanish (a job that ends is no longer ``active``). So each page is asked for with the last item of the one before at its
beginning. One and the same page shows the list as it is at one moment: what stands there after an item that is known
follows it, and nothing is missing between. Where a page has no item that is known, the walk goes back until it finds
one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from odyssey_client.errors import UnexpectedResponseError

SMALLEST = 2
"""The fewest items of a page: one that is known, and one that may be new."""


@dataclass(frozen=True, slots=True)
class Page[T]:
    """What the service gave out, from which place on; ``limit`` is how many items there could have been."""

    items: Sequence[T]
    limit: int
    offset: int


type Fetch[T] = Callable[[int, int], Awaitable[Page[T]]]
"""Gets a page, from limit and offset."""


async def walk[T](fetch: Fetch[T], identify: Callable[[T], str], page_size: int) -> AsyncGenerator[T, None]:
    """Yield the items of a list in its order, each once.

    Every item that is in the list from the first page to the last is among them. Items added in front meanwhile are
    not, unless all that stood behind them has vanished.

    Args:
        fetch: Gets a page.
        identify: Gives what an item is known by.
        page_size: How many items to ask for at a time; `SMALLEST` at least.

    Raises:
        UnexpectedResponseError: the service gave out another page than it was asked for.
        OdysseyError: what ``fetch`` raised.
    """
    size = max(page_size, SMALLEST)
    known: set[str] = set()
    offset = 0
    is_searching = False  # for an item that is known, from the front on
    is_anew = False  # nothing is left of what was known: all that is there is taken
    while True:
        page = await fetch(size, offset)
        if page.offset != offset:
            # It would go on for ever with a service that begins at the front each time.
            expected, got = f"the page from {offset} on", f"that from {page.offset} on"
            raise UnexpectedResponseError(
                f"The service was asked for {expected} of a list and gave {got}: the list cannot be read to its end.",
                path="offset",
                expected=expected,
                got=got,
            )
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
                    yield item
            if is_last:
                return
            offset += len(names) - 1
            is_searching = is_anew = False
