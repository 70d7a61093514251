"""Results in a bucket: one object a part or one a run, a manifest, and `_SUCCESS` when the run has delivered everything.

Exactly once comes from two things. A part's name is the same whenever it is written again, and so is the key made of it;
and an object appears under its key whole or not at all, in place of the one that was there. So a part that is
redelivered after a crash replaces itself, in whatever order its rows come, and nothing has to be remembered.

What a killed process leaves is an upload that was never completed: nobody can see it, but it is stored and costs money.
The next process sweeps those of its own run and sink; no other process writes there, for a run has one driver.

One object a run is made of the same parts, when all of them are there: see `joining`.
"""

import io
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractContextManager
from typing import Annotated, Literal

import msgspec
from anyio.to_thread import run_sync

from batchflow.lines import SAFE, Lines, csv_lines, json_lines
from batchflow.plugin import Doc, Given, Mendable, Part, Promise, Receipt, SinkContext, SinkError, Target
from batchflow_s3.bucket import Bucket, Entry
from batchflow_s3.client import Server
from batchflow_s3.joining import OneObject
from batchflow_s3.names import MANIFEST, SUCCESS, folder_in, folder_of, key_of, whole_in
from batchflow_s3.packing import Format, Wrapping, wrapping
from batchflow_s3.place import Access, Encryption, Place, access, folder_at, sealing
from batchflow_s3.trouble import told_as
from batchflow_s3.upload import Upload

_UNSEEN = f"Nothing of this part can be seen there. {SAFE}"


def s3(
    *,
    url: Annotated[str, Doc('The folder in a bucket, "s3://lake/triage/"; a run\'s objects go to RUN/SINK/ in it.')],
    format: Annotated[Format, Doc("What an object holds, and how it is compressed.")] = "jsonl",
    fields: Annotated[
        dict[str, str] | None,
        Doc(
            "Name of each member or column -> what it gets: key, text, output.NAME, usage.input_tokens, a carried column, 'text'."
        ),
    ] = None,
    object_per: Annotated[
        Literal["part", "run"],
        Doc(
            "`run` puts the parts together into one object, results.FORMAT, when the run is done; until then they lie in _parts/."
        ),
    ] = "part",
    if_exists: Annotated[
        Literal["error", "append"],
        Doc(
            "What to do when a run begins and something lies in the folder; `append` leaves it and puts its own beside it."
        ),
    ] = "error",
    endpoint_url: Annotated[str | None, Mendable(), Doc("A server that speaks S3; by default AWS.")] = None,
    region: Annotated[str | None, Mendable(), Doc("The bucket's region; by default as the AWS tools find it.")] = None,
    path_style: Annotated[bool, Mendable(), Doc("Name the bucket in the path and not in the host.")] = False,
    sse: Annotated[Encryption | None, Doc("How the server is told to encrypt; by default as the bucket says.")] = None,
    kms_key: Annotated[str | None, Doc("The KMS key to encrypt with; `sse` is then aws:kms.")] = None,
    carry: Annotated[Sequence[str] | None, Given(), Doc("The job's carried columns, which `fields` may name.")] = None,
) -> "S3Sink":
    """Objects in a bucket, one a part or one a run: exactly once in effect, also through `kill -9`."""
    wrapped = wrapping(format)
    lines = json_lines(fields, carry) if wrapped.lines == "jsonl" else csv_lines(fields, carry)
    return S3Sink(
        folder_at(url),
        access(endpoint_url=endpoint_url, region=region, path_style=path_style),
        sealing(sse, kms_key),
        Style(lines, format, wrapped, one=object_per == "run"),
        append=if_exists == "append",
    )


class Style(msgspec.Struct, frozen=True):
    """How an object is written."""

    lines: Lines
    format: Format
    wrapped: Wrapping
    one: bool = False

    def head(self) -> bytes:
        """Gives what the one object begins with, packed by itself: parts that are to be joined have no header."""
        head, packer = self.lines.head, self.wrapped.packer()
        return packer.compress(head) + packer.flush() if packer and head else head


class S3Sink:
    """Writes each part to an object of its own, and makes one of all of them if it was told to."""

    promise: Promise = "keyed"

    def __init__(self, place: Place, access: Access, sealed: dict[str, str], style: Style, *, append: bool) -> None:
        self._place = place
        self._style = style
        self._append = append
        self._bucket = Bucket(place, Server(access), sealed)
        self._server = access.endpoint_url or ""
        self._folder = ""
        self._context: SinkContext | None = None
        self._one: OneObject | None = None
        self._anew = False
        self._maybe_whole = True

    def targets(self) -> Sequence[Target]:
        """The folder, and an object as it would lie in it."""
        folder, format = folder_in(folder_of(self._place.prefix, "RUN"), "SINK"), self._style.format
        key = whole_in(folder, format) if self._style.one else key_of(folder, "RUN", "PART", format)
        return (Target(str(self._place), like=self._place.url(key), server=self._server),)

    async def open(self, context: SinkContext, last: Receipt | None) -> None:  # noqa: ARG002 - the bucket says more
        self._context = context
        self._folder = folder_in(folder_of(self._place.prefix, context.run), context.sink)
        self._anew = context.fresh
        self._maybe_whole = True
        if self._style.one:
            self._one = OneObject(self._bucket, self._folder, self._style.format, self._style.wrapped.kind)
        try:
            with self._told("cannot open", f"Nothing was touched. {SAFE}"):
                await self._look(context)
        except BaseException:
            await self.close()
            raise

    async def write(self, part: Part) -> Receipt:
        assert self._context is not None, "write comes after open"
        with self._told("cannot write", _UNSEEN):
            await self._no_longer_whole()
        folder = self._one.folder if self._one else self._folder
        key = key_of(folder, self._context.run, part.name, self._style.format)
        rows, size = await self._put(part, key)
        return {"part": part.name, "key": key, "rows": rows, "bytes": size}

    async def complete(self) -> None:
        """Makes the one object, if there is to be one; leaves a manifest of every object, and then `_SUCCESS`."""
        if self._one:
            with self._told("cannot put together", "Every result is there, in its part.", self._one.key):
                await self._one.join(self._style.head())
        with self._told("cannot complete", f"Every result is there; only {MANIFEST} and {SUCCESS} are missing."):
            async with Upload(self._bucket, self._folder + MANIFEST, "application/json") as upload:
                async for piece in self._manifest():
                    await upload.write(piece)
                await upload.finish()
            await self._bucket.put(self._folder + SUCCESS, io.BytesIO(), "text/plain")
        self._maybe_whole = True
        if self._one:
            with self._told("cannot remove the parts of", "It is whole.", self._one.key):
                await self._one.clear()

    async def close(self) -> None:
        await self._bucket.close()

    async def _look(self, context: SinkContext) -> None:
        """Sees whether the folder may be used, and sweeps what a dead process of this run left in it."""
        if context.fresh and not self._append and (other := await self._foreign(context.run)):
            raise SinkError(
                f"{self._place} holds something already: {self._place.url(other.key)}. Nothing was touched.",
                hint="choose another folder, such as one of this day, empty it, or set `if_exists: append`: each run has a folder of its own in there",
            )
        await self._bucket.sweep(self._folder)
        if self._one:
            await self._one.look()

    async def _foreign(self, run: str) -> Entry | None:
        """Finds an object that is not this run's. One that bears the folder's own name is how consoles draw a folder."""
        ours = folder_of(self._place.prefix, run)
        async for entry in self._bucket.entries(self._place.prefix):
            if not entry.key.startswith(ours) and entry.key != self._place.prefix:
                return entry
        return None

    async def _no_longer_whole(self) -> None:
        """Takes `_SUCCESS` away before a run that goes on, or is replayed, writes more: whoever waits for it must not read half.

        It is looked for, and not by the last receipt: a replay has none. What is not there is not deleted either, which a
        bucket with versions would write down. Where nothing was ever confirmed, every part is to come: in the one object
        of an earlier time they would be twice.
        """
        if self._maybe_whole:
            page, _ = await self._bucket.page(self._folder + SUCCESS, "")
            if page:
                await self._bucket.delete(self._folder + SUCCESS)
            self._maybe_whole = False
        if self._one and self._anew:
            await self._one.forget()
        self._anew = False

    async def _put(self, part: Part, key: str) -> tuple[int, int]:
        """Streams a part into its object; a part without rows has none, and takes one away that was there."""
        rows, packer = 0, self._style.wrapped.packer()
        async with Upload(self._bucket, key, self._style.wrapped.kind) as upload:
            async for chunk in part.rows:
                head = b"" if rows or self._style.one or not chunk else self._style.lines.head
                data = head + self._style.lines.encode(chunk)
                rows += len(chunk)
                if packer:
                    data = await run_sync(packer.compress, data)
                with self._told("cannot write", _UNSEEN, key):
                    await upload.write(data)
            with self._told("cannot write", _UNSEEN, key):
                await self._finish(upload, packer.flush() if packer else b"", key, rows)
        return rows, upload.size

    async def _finish(self, upload: Upload, rest: bytes, key: str, rows: int) -> None:
        if rows:
            await upload.write(rest)
            await upload.finish()
        else:
            await self._bucket.delete(key)

    async def _manifest(self) -> AsyncGenerator[bytes]:
        """Writes down every object, as the bucket lists them: nobody needs to have remembered them."""
        assert self._context is not None
        about = {"run": self._context.run, "job": self._context.job, "sink": self._context.sink}
        encode = msgspec.json.encode
        yield encode({**about, "format": self._style.format})[:-1] + b',"objects":['
        objects, size, comma = 0, 0, b"\n"
        async for entry in self._bucket.entries(self._folder):
            if not entry.key.startswith(f"{self._folder}_"):
                named = {"url": self._place.url(entry.key), "bytes": entry.size, "etag": entry.etag.strip('"')}
                yield comma + encode(named)
                objects, size, comma = objects + 1, size + entry.size, b",\n"
        yield b'\n],"count":%d,"bytes":%d}\n' % (objects, size)

    def _told(self, doing: str, known: str, key: str = "") -> AbstractContextManager[None]:
        return told_as(SinkError, f"{doing} {self._place.url(key) if key else self._place}", known)
