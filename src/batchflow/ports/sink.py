"""Where results go."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import msgspec

from batchflow.model.result import Result
from batchflow.model.target import Target

Receipt: TypeAlias = dict[str, Any]
"""What a sink knows about its last part: any JSON object. Only the sink that made it can read it."""

Promise: TypeAlias = Literal["receipt", "keyed", "at_least_once"]


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """One row that a target will not have, by a rule of its own: its place in the batch (`Result.row`), its key, and why."""

    row: int
    key: str
    why: str


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A part that is safe but for some rows. Those become dead letters (`sink_error`); asked for again, they come alone."""

    receipt: Receipt
    refused: Sequence[Refusal] = ()

    def __post_init__(self) -> None:
        """Refuse what is no `Refusal`, where it is made."""
        if not all(isinstance(one, Refusal) for one in self.refused):  # pyright: ignore[reportUnnecessaryIsInstance] - a plugin's, whatever its type says
            raise TypeError(f"`refused` lists a `Refusal` for each row that was refused, and this is {self.refused!r}")


class SinkContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a sink is told when it is opened."""

    run: str
    job: str
    sink: str
    fresh: bool
    """No part of this run was ever confirmed by this sink: `if_exists` is judged now and only now."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Some results to be written together. `name` is the same whenever this part is written again."""

    name: str
    rows: AsyncIterator[Sequence[Result]]


@runtime_checkable
class Sink(Protocol):
    """Takes parts, one at a time, and gives a receipt for each once it is safe on disk (or wherever it goes).

    `promise` says what happens when a part comes twice, which it does after a crash between `write` and the commit:
    `receipt`: it is recognised by its name or cut off again by the last receipt, so exactly once; `keyed`: what
    comes again takes the place of what was there, rows by their keys or a part by its name, so exactly once in effect; `at_least_once`: rows may double.
    A sink that cannot write raises `SinkError`; its deliveries wait and the other sinks go on. One whose target refuses
    single rows writes the others and gives `Written`, with the same refusals whenever it recognises that part again.
    """

    promise: Promise

    async def open(self, context: SinkContext, last: Receipt | None) -> None:
        """Makes ready; `last` is the receipt of the last part that was committed in this run."""
        ...

    async def write(self, part: Part) -> Receipt | Written:
        """Writes one part and makes it durable; says so of which rows it did not."""
        ...

    async def close(self) -> None:
        """Lets go of everything; it may be called twice, and after a failed `open`."""
        ...


class PlainPart(msgspec.Struct, frozen=True, kw_only=True):
    """Some results to be written together, for a sink without `async`."""

    name: str
    rows: Iterator[Sequence[Result]]


@runtime_checkable
class PlainSink(Protocol):
    """A sink written without `async`. It has a thread of its own, in which every call comes: it may block there."""

    promise: Promise

    def open(self, context: SinkContext, last: Receipt | None) -> None:
        """Makes ready; see `Sink`."""
        ...

    def write(self, part: PlainPart) -> Receipt | Written:
        """Writes one part and makes it durable; see `Sink`."""
        ...

    def close(self) -> None:
        """Lets go of everything; see `Sink`."""
        ...


@runtime_checkable
class Releasing(Protocol):
    """A sink that keeps something beside its target until its receipt is safe: a file's redo log goes here."""

    async def committed(self, receipt: Receipt) -> None:
        """Told after the commit that kept this receipt; it may be told twice, or never."""
        ...


@runtime_checkable
class Completing(Protocol):
    """A sink that marks its target as whole at the run's end: a manifest, a `_SUCCESS` beside its objects."""

    async def complete(self) -> None:
        """Told when every part is confirmed, before the run is called done; told again where that commit was lost.

        A run may go on after it: `batchflow retry` asks dead letters again, and writes more parts. One that was canceled is not whole.
        A `SinkError` pauses the run with its words, and the next process tells the sink again.
        """
        ...


@runtime_checkable
class Placed(Protocol):
    """A sink that knows before a run what it will write: one that would write over what is needed is refused."""

    def targets(self) -> Sequence[Target]:
        """Names each file and folder, hidden ones too."""
        ...
