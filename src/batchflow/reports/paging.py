"""All of something, a page at a time."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, TypeVar

from batchflow.model.state import Batch, Delivery, Entry, Event, Intent, Run, Setback
from batchflow.ports.state import StateStore

T = TypeVar("T", Run, Batch, Delivery, Setback, Event, Intent, Entry)


async def every(
    store: StateStore, kind: type[T], where: Mapping[str, Any], *, newest: bool = False
) -> AsyncGenerator[T]:
    """Yield all that match, by id; `newest` turns the order round."""
    after = ""
    while page := await store.find(kind, where, after=after, newest=newest):
        for one in page:
            yield one
        last = page[-1]
        after = last.token if isinstance(last, Intent) else last.id
