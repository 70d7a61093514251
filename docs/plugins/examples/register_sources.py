"""A source that counts. In a job file: `source: {type: numbers, upto: 1000}`."""

from collections.abc import AsyncIterator
from typing import Annotated

import anyio

from batchflow import Plugins
from batchflow.plugin import Cursor, Doc, Page, Record, Register, hookimpl


class Numbers:
    """Yields a page of 100 at a time. The cursor is the last number that was given."""

    def __init__(self, upto: int) -> None:
        self._upto = upto

    async def read(self, after: Cursor | None) -> AsyncIterator[Page]:
        for first in range(after["last"] + 1 if after else 1, self._upto + 1, 100):
            page = range(first, min(first + 100, self._upto + 1))
            items = [Record(key=f"n-{n}", data={"text": str(n)}, origin=f"number {n}") for n in page]
            yield Page([*items], {"last": page[-1]})

    async def fingerprint(self) -> str | None:
        return str(self._upto)


def numbers(*, upto: Annotated[int, Doc("The last number.")]) -> Numbers:
    """Count from one."""
    return Numbers(upto)


class House:
    @hookimpl
    def register_sources(self, register: Register) -> None:
        register("numbers", numbers)


async def read_twice() -> None:
    source = Plugins([House()]).source("numbers")(upto=250)
    pages = [page async for page in source.read(None)]
    assert [len(page.items) for page in pages if isinstance(page, Page)] == [100, 100, 50]
    assert [page async for page in source.read({"last": 200})] == pages[2:]


anyio.run(read_twice)
