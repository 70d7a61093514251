"""Records out of a bucket: JSON Lines or CSV, plain or compressed, one object or many, and never a whole one in memory."""

from collections.abc import AsyncGenerator, Callable
from concurrent.futures import CancelledError
from contextlib import aclosing, asynccontextmanager
from typing import Annotated, Literal, TypeAlias

import anyio.lowlevel

from batchflow.lines import Csv, Jsonl, Shelf, csv_records, json_records
from batchflow.plugin import Cursor, Doc, Mendable, Page, Size, Target
from batchflow_s3.bucket import Bucket
from batchflow_s3.client import Server
from batchflow_s3.objects import Objects, Pattern
from batchflow_s3.place import Place, access, place_at

Read: TypeAlias = Callable[[Shelf], Jsonl | Csv]


def s3(
    *,
    url: Annotated[
        str,
        Doc(
            'The object, a pattern like "s3://lake/claims/**/*.jsonl.gz", or a folder (it ends in a slash) for all in it; .gz and .zst are unpacked on the way.'
        ),
    ],
    key: Annotated[
        str | None, Doc("The field that names a record. Without it, a record is named by its place: `claims.jsonl:17`.")
    ] = None,
    format: Annotated[
        Literal["jsonl", "csv"] | None,
        Doc("What the objects hold. By default as the address ends: csv for .csv, .csv.gz, .csv.zst, else jsonl."),
    ] = None,
    delimiter: Annotated[str, Doc(r"What stands between cells of CSV: one character, or `\t`.")] = ",",
    encoding: Annotated[str, Doc("The text encoding of the objects.")] = "utf-8",
    max_record: Annotated[Size, Doc("A larger record is passed over and becomes a dead letter.")] = 32_000_000,
    endpoint_url: Annotated[str | None, Mendable(), Doc("A server that speaks S3; by default AWS.")] = None,
    region: Annotated[str | None, Mendable(), Doc("The bucket's region; by default as the AWS tools find it.")] = None,
    path_style: Annotated[bool, Mendable(), Doc("Name the bucket in the path and not in the host.")] = False,
) -> "S3Source":
    """Records from the objects of a bucket: JSON Lines or CSV, resumable at any record."""
    place = place_at(url)
    told = format or ("csv" if place.prefix.removesuffix(".gz").removesuffix(".zst").endswith(".csv") else "jsonl")

    def read(shelf: Shelf) -> Jsonl | Csv:
        if told == "csv":
            return csv_records(shelf, key=key, delimiter=delimiter, encoding=encoding, max_record=max_record)
        return json_records(shelf, key=key, encoding=encoding, max_record=max_record)

    server = Server(access(endpoint_url=endpoint_url, region=region, path_style=path_style))
    read(Objects(Bucket(place, server)))  # a wrong delimiter or encoding is known now
    return S3Source(place, server, read, endpoint_url or "")


class S3Source:
    """A source over objects. Whoever reads has connections of its own, and gives them back."""

    def __init__(self, place: Place, server: Server, read: Read, address: str = "") -> None:
        self._place = place
        self._server = server
        self._read = read
        self._address = address

    async def read(self, after: Cursor | None) -> AsyncGenerator[Page]:
        """Yields pages as the sources of files do."""
        async with self._objects() as objects, aclosing(self._read(objects).read(after)) as pages:
            try:
                async for page in pages:
                    yield page
            except CancelledError:
                # What a thread was told when whoever reads was canceled while it waited for the server.
                await anyio.lowlevel.checkpoint()
                raise

    async def fingerprint(self) -> str | None:
        """Changes when an object does, or comes, or goes."""
        async with self._objects() as objects:
            return await objects.fingerprint()

    async def columns(self) -> frozenset[str] | None:
        """The names in the header of CSV; of JSON Lines only reading tells."""
        async with self._objects() as objects:
            lines = self._read(objects)
            return await lines.columns() if isinstance(lines, Csv) else None

    def covers(self, target: Target) -> bool:
        """Tells whether one of the objects would be what a sink of the same server puts there."""
        begin = f"s3://{self._place.bucket}/"
        is_here = target.server == self._address and target.file.startswith(begin)
        return is_here and Pattern(self._place).name(target.file.removeprefix(begin)) is not None

    @asynccontextmanager
    async def _objects(self) -> AsyncGenerator[Objects]:
        bucket = Bucket(self._place, self._server)
        try:
            yield Objects(bucket)
        finally:
            await bucket.close()
