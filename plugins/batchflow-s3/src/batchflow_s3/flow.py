"""The bytes of one object, from a place on: a body that breaks off is gone on with where it broke."""

from batchflow_s3.bucket import Bucket
from batchflow_s3.client import Body, Reply
from batchflow_s3.trouble import FOREIGN, code

TRIES = 5
"""Times in a row that a body may break off without having given a byte."""


class OtherSize(Exception):
    """There is more or less under a key than was expected."""

    def __init__(self, size: int) -> None:
        super().__init__(f"it has {size} bytes")
        self.size = size


class Flow:
    """Reads from `at` to `end` of an object of so many bytes. Bytes of two versions of it are never put together.

    Errors are those of the library, and `OtherSize`.
    """

    def __init__(
        self, bucket: Bucket, key: str, size: int, *, at: int = 0, end: int | None = None, etag: str = ""
    ) -> None:
        self._bucket = bucket
        self._key = key
        self._size = size
        self._at = at
        self._end = size if end is None else end
        self._etag = etag
        self._body: Body | None = None

    async def take(self, wanted: int) -> bytes:
        """Gives as many bytes as wanted, or all that are left."""
        pieces: list[bytes] = []
        wanted = min(wanted, self._end - self._at)
        tries = 0
        while wanted > 0:
            piece = await self._piece(wanted, last=tries == TRIES)
            tries = 0 if piece else tries + 1
            pieces.append(piece)
            wanted -= len(piece)
            self._at += len(piece)
        return b"".join(pieces)

    async def open(self) -> None:
        """Asks for the bytes, if that is not done yet."""
        if self._body is None:
            self._body, reply = await self._bucket.get(
                self._key, start=self._at, end=self._end_asked(), etag=self._etag
            )
            self._etag = reply["ETag"]
            if (size := _whole(reply)) != self._size:
                raise OtherSize(size)

    def close(self) -> None:
        """Breaks the connection off. It asks for nothing, so it may be called anywhere."""
        if self._body is not None:
            self._body.close()
        self._body = None

    def _end_asked(self) -> int | None:
        return None if self._end == self._size else self._end

    async def _piece(self, wanted: int, *, last: bool) -> bytes:
        try:
            await self.open()
            assert self._body is not None
            if piece := await self._body.read(wanted):
                return piece
            raise ConnectionError(f"it broke off at byte {self._at} of {self._size}")
        except FOREIGN as error:
            self.close()
            if last or code(error):
                raise
            return b""


def _whole(reply: Reply) -> int:
    """Tells how large an object is of which a part came."""
    total = str(reply.get("ContentRange", "")).rpartition("/")[2]
    return int(total) if total.isdecimal() else int(reply["ContentLength"])
