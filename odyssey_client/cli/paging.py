"""Options and text for commands that list one page of items, or all items."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Sequence

import click

PAGE = click.IntRange(1, 100)


def paging_options[**P, T](function: Callable[P, T]) -> Callable[P, T]:
    """Add the options ``--limit``, ``--offset`` and ``--all`` to a command; ``--all`` is passed as ``everything``."""
    for option in (
        click.option("--all", "everything", is_flag=True, help="List all items."),
        click.option("--offset", type=click.IntRange(min=0), help="Number of newest items to skip."),
        click.option("--limit", type=PAGE, help="Maximum number of items to list.  [default: set by the service]"),
    ):
        function = option(function)
    return function


def check_paging(*, limit: int | None, offset: int | None, everything: bool) -> None:
    if everything and (limit is not None or offset is not None):
        raise click.UsageError("--all cannot be used with --limit or --offset.")


async def gather[T](items: AsyncIterable[T]) -> list[T]:
    return [item async for item in items]


def footer(shown: Sequence[object], total: int, offset: int, what: str) -> str:
    """Return a line that states which of the ``total`` items a list shows; an empty string if it shows all of them."""
    if len(shown) >= total:
        return ""
    if not shown:
        return f"There are {total} {what}; --offset {offset} skips all of them."
    return f"{offset + 1} to {offset + len(shown)} of {total} {what}; --all lists all."
