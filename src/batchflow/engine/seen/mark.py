"""The one file that says what of a scratch folder is true; and the journal it speaks of."""

from pathlib import Path

import msgspec
import xxhash

from batchflow.engine.seen.runs import Damaged, Facts

WIDTH = 16
"""Bytes of a hash."""

NAME = "mark"


class Mark(msgspec.Struct, frozen=True):
    """What is true: `committed` keys, of which those from `base` on are in a journal, and the others in runs."""

    seed: int
    label: str | None = None
    committed: int = 0
    base: int = 0
    checksum: str = ""
    runs: list[Facts] = []

    @property
    def tail(self) -> int:
        """How many bytes of the journal are committed."""
        return (self.committed - self.base) * WIDTH


def journal(base: int) -> str:
    """Names the journal whose first key is the one of this number."""
    return f"{base:015}.journal"


def read_mark(folder: Path) -> tuple[Mark, bytes]:
    """Reads a mark and the committed beginning of its journal, or finds them `Damaged`."""
    try:
        checksum, _, body = (folder / NAME).read_bytes().partition(b"\n")
        if checksum.decode("ascii", "replace") != _checksum(body):
            raise Damaged(NAME)
        mark = msgspec.json.decode(body, type=Mark)
        entries = _beginning(folder, mark)
    except (FileNotFoundError, msgspec.DecodeError) as error:
        raise Damaged(str(error)) from error
    if _checksum(entries) != mark.checksum:
        raise Damaged(journal(mark.base))
    return mark, entries


def write_mark(folder: Path, mark: Mark) -> Mark:
    """Writes a mark, with the checksum of its journal's committed beginning, all at once."""
    mark = msgspec.structs.replace(mark, checksum=_checksum(_beginning(folder, mark)))
    body = msgspec.json.encode(mark)
    new = folder / f"{NAME}.new"
    new.write_bytes(_checksum(body).encode() + b"\n" + body)
    new.replace(folder / NAME)
    return mark


def _beginning(folder: Path, mark: Mark) -> bytes:
    with (folder / journal(mark.base)).open("rb") as file:
        return file.read(mark.tail)


def _checksum(data: bytes) -> str:
    return xxhash.xxh3_128_hexdigest(data)
