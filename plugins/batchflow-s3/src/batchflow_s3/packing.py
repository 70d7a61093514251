"""The formats of an object: which lines, and how they are compressed. Compressing is done a piece at a time, off the loop."""

import zlib
from typing import Literal, Protocol, TypeAlias

import msgspec

Format: TypeAlias = Literal["jsonl", "jsonl.gz", "jsonl.zst", "csv", "csv.gz", "csv.zst"]


class Packer(Protocol):
    """Takes bytes, and gives fewer."""

    def compress(self, data: bytes, /) -> bytes:
        """Takes some; gives what is ready, maybe nothing."""
        ...

    def flush(self) -> bytes:
        """Gives what is left."""
        ...


class Wrapping(msgspec.Struct, frozen=True):
    """What a format is called on the way, and what is done to its bytes."""

    lines: Literal["jsonl", "csv"]
    packed: Literal["", "gz", "zst"]

    @property
    def kind(self) -> str:
        """The media type that the server keeps with the object. A compressed one is a file: nobody unpacks it unasked."""
        packed = {"gz": "application/gzip", "zst": "application/zstd"}
        plain = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
        return packed.get(self.packed) or plain[self.lines]

    def packer(self) -> Packer | None:
        """Makes what compresses one object; None where nothing does."""
        match self.packed:
            case "":
                return None
            case "gz":
                # 31 is the header of gzip; it has no time in it, so the same rows make the same bytes.
                return zlib.compressobj(6, zlib.DEFLATED, 31)
            case "zst":
                import zstandard

                return zstandard.ZstdCompressor(level=3, write_checksum=True).compressobj()


def wrapping(format: Format) -> Wrapping:
    """Reads a format."""
    lines, _, packed = format.partition(".")
    return msgspec.convert({"lines": lines, "packed": packed}, Wrapping)
