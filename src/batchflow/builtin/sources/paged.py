"""Carries what blocks to a thread, page by page or block by block."""

from collections.abc import AsyncGenerator, Generator
from typing import TypeVar

from anyio import to_thread

T = TypeVar("T")


async def paged(pages: Generator[T]) -> AsyncGenerator[T]:
    """Yields what a blocking generator yields. One hop for each; closing it early closes the generator's files."""
    try:
        while (page := await to_thread.run_sync(next, pages, None)) is not None:
            yield page
    finally:
        pages.close()
