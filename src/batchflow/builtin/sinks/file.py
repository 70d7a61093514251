"""The sink that writes lines to a file: the asynchronous shell around `Output`, which explains how it survives."""

from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from anyio.to_thread import run_sync

from batchflow.builtin.sinks.diagnosis import cannot_write
from batchflow.builtin.sinks.lines import Lines
from batchflow.builtin.sinks.output import FileReceipt, IfExists, Output
from batchflow.builtin.sinks.receipt import known
from batchflow.builtin.sinks.redo import Redo
from batchflow.model.target import Target
from batchflow.ports.sink import Part, Promise, Receipt, SinkContext

T = TypeVar("T")

PIECE = 1024 * 1024
"""Bytes that a thread is given to write at once."""


class FileSink:
    """Writes lines to one file, exactly once."""

    promise: Promise = "receipt"

    def __init__(self, path: Path, lines: Lines, if_exists: IfExists) -> None:
        self._path = path
        self._lines = lines
        self._if_exists: IfExists = if_exists
        self._output: Output | None = None
        self._last: FileReceipt | None = None

    def targets(self) -> Sequence[Target]:
        """The file, and the hidden one beside it."""
        return Target(str(self._path)), Target(str(Redo(self._path.resolve()).path))

    async def open(self, context: SinkContext, last: Receipt | None) -> None:
        self._last = known(last, FileReceipt)
        self._output = output = Output(self._path, self._lines, self._if_exists, context)
        try:
            await run_sync(self._blocking, lambda: output.open(self._last))
        except BaseException:
            self._close()
            raise

    async def write(self, part: Part) -> Receipt:
        assert self._output is not None, "write comes after open"
        if self._last is None or self._last.part != part.name:
            self._last = await self._put(self._output, part)
        return msgspec.to_builtins(self._last)

    async def committed(self, receipt: Receipt) -> None:
        """Hears that a receipt has been kept: nothing needs to be redone any more."""
        if self._output and receipt == msgspec.to_builtins(self._last):
            self._output.settle()

    async def close(self) -> None:
        # Not in a thread: a canceled task must give the lock back too, and cannot wait for one.
        self._close()

    async def _put(self, output: Output, part: Part) -> FileReceipt:
        await run_sync(self._blocking, lambda: output.begin(part.name))
        async for data in self._pieces(part):
            await run_sync(self._blocking, lambda data=data: output.add(data))
        return await run_sync(self._blocking, lambda: output.finish(part.name))

    async def _pieces(self, part: Part) -> AsyncGenerator[bytes]:
        """Encodes here, in the loop, so that a thread has only writing to do, and enough of it."""
        waiting: list[bytes] = []
        size = 0
        async for rows in part.rows:
            waiting.append(self._lines.encode(rows))
            size += len(waiting[-1])
            if size >= PIECE:
                yield b"".join(waiting)
                waiting, size = [], 0
        if waiting:
            yield b"".join(waiting)

    def _blocking(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def _close(self) -> None:
        if self._output:
            self._output.close()
        self._output = None
