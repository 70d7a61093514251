"""Where records come from."""

from collections.abc import AsyncIterator, Iterator
from typing import Protocol, runtime_checkable

from batchflow.model.record import Cursor, Idle, Page
from batchflow.model.target import Target


@runtime_checkable
class Source(Protocol):
    """Yields records in one order, from any cursor it ever gave out.

    `read` may be called again with an older cursor after a crash and must yield the same items in the same order (page
    boundaries may differ). It never holds the whole source in memory. A place that holds no usable record is an
    `Unreadable` item; an error that concerns the source as a whole is a `SourceError`.
    """

    def read(self, after: Cursor | None) -> AsyncIterator[Page | Idle]:
        """Yields what comes after the cursor; None is the beginning."""
        ...

    async def fingerprint(self) -> str | None:
        """Changes whenever the items would; None where that cannot be told (a query, a queue)."""
        ...


@runtime_checkable
class PlainSource(Protocol):
    """A source written without `async`. It has a thread of its own, in which every page is read: it may block there."""

    def read(self, after: Cursor | None) -> Iterator[Page | Idle]:
        """Yields what comes after the cursor; see `Source`."""
        ...

    def fingerprint(self) -> str | None:
        """Changes whenever the items would; see `Source`."""
        ...


@runtime_checkable
class Described(Protocol):
    """A source that knows its columns before a run: a header, a declared query."""

    async def columns(self) -> frozenset[str] | None:
        """Names the columns that every record has, or None where only reading can tell."""
        ...


@runtime_checkable
class Acknowledging(Protocol):
    """A source that wants to know what is safe: queues acknowledge here, `on_submit` statements run here."""

    async def committed(self, keys: list[str]) -> None:
        """Told after the commit that drafted these keys; it may be told twice.

        A process may die before it tells: the next one tells the newest keys again before it reads on, but for records that a
        builder skipped. Everything before the cursor that is read from is safe, too. No keys: the
        source has ended, and everything that it gave is safe. Only after that is its end committed.
        """
        ...


@runtime_checkable
class Covering(Protocol):
    """A source of files, which knows whether it would read what a sink writes: its job is refused then."""

    def covers(self, target: Target) -> bool:
        """Tells by names whether it would read that file, also one that is not there yet. It may block."""
        ...


@runtime_checkable
class OneShot(Protocol):
    """A source that cannot be read a second time (a queue): `on_duplicate: last | error` is refused for it."""

    one_shot: bool
