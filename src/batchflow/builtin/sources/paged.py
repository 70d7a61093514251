"""Carries a source that blocks to a thread, page by page."""

from collections.abc import AsyncGenerator, Generator

from anyio import to_thread

from batchflow.model.record import Page


async def paged(pages: Generator[Page]) -> AsyncGenerator[Page]:
    """Yields what a blocking generator yields. One hop per page; closing it early closes the generator's files."""
    try:
        while (page := await to_thread.run_sync(next, pages, None)) is not None:
            yield page
    finally:
        pages.close()
