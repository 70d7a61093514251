"""One bucket, as few words as we need: put, begin, list, delete. Errors pass as they are; who asks knows what they mean."""

import io
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import msgspec

from batchflow_s3.client import Body, Client, Line, Reply, Server
from batchflow_s3.place import Place


class Entry(msgspec.Struct, frozen=True):
    """An object as a listing shows it."""

    key: str
    size: int
    etag: str


class Bucket:
    """A bucket behind a line. `sealed` goes with every object that is written."""

    def __init__(self, place: Place, server: Server, sealed: Mapping[str, str] | None = None) -> None:
        self.place = place
        self._line = Line(server)
        self._sealed = dict(sealed or {})

    async def put(self, key: str, body: io.BytesIO, kind: str, marked: Mapping[str, str] | None = None) -> None:
        """Writes an object in one go: it is there whole, or as it was. What it is marked with is kept beside it."""
        client = await self._line.client()
        await client.put_object(
            **self._at(key), **self._sealed, Body=body, ContentType=kind, Metadata=dict(marked or {})
        )

    async def begin(self, key: str, kind: str, marked: Mapping[str, str] | None = None) -> "Parts":
        """Begins an object that comes in parts."""
        client = await self._line.client()
        asked = {**self._at(key), **self._sealed, "ContentType": kind, "Metadata": dict(marked or {})}
        begun = await client.create_multipart_upload(**asked)
        return Parts(client, {**self._at(key), "UploadId": begun["UploadId"]})

    async def get(self, key: str, *, start: int = 0, end: int | None = None, etag: str = "") -> tuple[Body, Reply]:
        """Opens an object at a byte; with an ETag only if it is still the one that was listed."""
        client = await self._line.client()
        asked: dict[str, Any] = self._at(key)
        if start or end is not None:
            asked["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        if etag:
            asked["IfMatch"] = etag
        reply = await client.get_object(**asked)
        return reply["Body"], reply

    async def entry(self, key: str) -> Entry:
        """Looks at one object."""
        reply = await self.about(key)
        return Entry(key, reply["ContentLength"], reply["ETag"])

    async def about(self, key: str) -> Reply:
        """Asks everything that is kept beside one object."""
        client = await self._line.client()
        return await client.head_object(**self._at(key))

    async def entries(self, prefix: str) -> AsyncGenerator[Entry]:
        """Lists the objects whose keys begin like this, in the order of their keys."""
        after: str | None = ""
        while after is not None:
            page, after = await self.page(prefix, after)
            for entry in page:
                yield entry

    async def page(self, prefix: str, after: str) -> tuple[list[Entry], str | None]:
        """Lists some of them behind a key, and tells from where to go on; None at the end."""
        client = await self._line.client()
        asked = {"Bucket": self.place.bucket, "Prefix": prefix} | ({"StartAfter": after} if after else {})
        reply = await client.list_objects_v2(**asked)
        page = [Entry(found["Key"], found["Size"], found["ETag"]) for found in reply.get("Contents", ())]
        return page, page[-1].key if page and reply.get("IsTruncated") else None

    async def delete(self, key: str) -> None:
        """Removes an object; one that is not there is no error."""
        client = await self._line.client()
        await client.delete_object(**self._at(key))

    async def sweep(self, prefix: str) -> int:
        """Ends every upload that was begun under a prefix and never completed; tells how many."""
        client = await self._line.client()
        dead: list[Parts] = []
        pages = client.get_paginator("list_multipart_uploads")
        async for page in pages.paginate(Bucket=self.place.bucket, Prefix=prefix):
            for found in page.get("Uploads", ()):
                dead.append(Parts(client, {**self._at(found["Key"]), "UploadId": found["UploadId"]}))  # noqa: PERF401 - not beside the pages that are still listed
        for one in dead:
            await one.abort()
        return len(dead)

    async def close(self) -> None:
        """Lets go of every connection."""
        await self._line.close()

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self.place.bucket, "Key": key}


class Parts:
    """An object that comes in parts, and is nowhere to be seen before it is completed."""

    def __init__(self, client: Client, upload: dict[str, str]) -> None:
        self._client = client
        self._upload = upload
        self._etags: dict[int, str] = {}

    @property
    def next(self) -> int:
        """The number of the next part."""
        return len(self._etags) + 1

    async def add(self, body: io.BytesIO, number: int = 0) -> None:
        """Sends the next part, or the one of a number."""
        number = number or self.next
        reply = await self._client.upload_part(**self._upload, PartNumber=number, Body=body)
        self._etags[number] = reply["ETag"]

    async def copy(self, number: int, source: Entry, start: int, end: int) -> None:
        """Has the server make a part of bytes of another object in this bucket, if that is still the one that was listed."""
        asked = {"CopySource": {"Bucket": self._upload["Bucket"], "Key": source.key}, "CopySourceIfMatch": source.etag}
        # A range is refused of an object of 5 MB, and what is whole needs none.
        part = {} if end - start == source.size else {"CopySourceRange": f"bytes={start}-{end - 1}"}
        reply = await self._client.upload_part_copy(**self._upload, **asked, **part, PartNumber=number)
        self._etags[number] = reply["CopyPartResult"]["ETag"]

    async def complete(self) -> None:
        """Makes the object visible, all at once, in place of one of that name."""
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(self._etags.items())]
        await self._client.complete_multipart_upload(**self._upload, MultipartUpload={"Parts": parts})

    async def abort(self) -> None:
        """Gives back what was sent; an upload that is not there any more is no error."""
        try:
            await self._client.abort_multipart_upload(**self._upload)
        except Exception as error:
            from batchflow_s3.trouble import code

            if code(error) != "NoSuchUpload":
                raise
