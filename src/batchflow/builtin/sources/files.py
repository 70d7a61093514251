"""Reads whole files, one record each: text as text, PDF and images ready to become blocks of a message."""

import base64
import os
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from posixpath import basename, splitext
from typing import Annotated, Any, Literal

import msgspec

from batchflow.builtin.sources.encoding import BOM, UTF8, excerpt, garbled, megabytes
from batchflow.builtin.sources.fingerprint import fingerprint
from batchflow.builtin.sources.mark import Mark, remaining
from batchflow.builtin.sources.paged import paged
from batchflow.builtin.sources.shelf import Folder
from batchflow.builtin.sources.stream import BLOCK
from batchflow.builtin.sources.tree import Found, covers
from batchflow.model.record import Cursor, Page, Record, Unreadable
from batchflow.model.target import Target
from batchflow.model.units import Doc, Size

PAGE = 500
COLUMNS = frozenset({"path", "name", "stem", "suffix", "kind", "media_type", "text", "base64"})


class Media(msgspec.Struct, frozen=True):
    """What a file is to the API."""

    kind: Literal["text", "document", "image"]
    type: str


def files(
    *,
    path: Annotated[
        Path,
        Doc(
            "The file, or a pattern like `letters/**/*.pdf`, read in sorted order. A record's key is its file's path below the pattern's fixed part."
        ),
    ],
    max_record: Annotated[Size, Doc("A larger file is passed over and becomes a dead letter.")] = 32_000_000,
) -> "Files":
    """Reads one record per file, with the columns `path`, `name`, `stem`, `suffix`, `kind` (text, document, image), `media_type`, `text` and `base64`."""
    return Files(path, max_record=max_record)


class Files:
    """A source of files. `text` is empty for documents and images, `base64` for text; text that is not UTF-8 is `Unreadable`."""

    def __init__(self, path: Path, *, max_record: int) -> None:
        self._path = path
        self._max_record = max_record

    def read(self, after: Cursor | None) -> AsyncGenerator[Page]:
        """Yields pages of at most about 256 KiB or 500 files, or of one larger file."""
        return paged(self._pages(after))

    async def fingerprint(self) -> str | None:
        """Changes when a file does, or comes, or goes."""
        return await fingerprint(self._path)

    def covers(self, target: Target) -> bool:
        """Tells whether one of the files would be what a sink writes."""
        return covers(self._path, target)

    async def columns(self) -> frozenset[str] | None:
        """The same for every file."""
        return COLUMNS

    def _pages(self, after: Cursor | None) -> Generator[Page]:
        waiting = remaining(Folder(self._path), after)
        if after is not None:
            next(waiting)
        items: list[Record | Unreadable] = []
        size, last = 0, ""
        for file, _ in waiting:
            item, weight = self._item(file)
            if items and size + weight > BLOCK:
                yield Page(items, Mark(last).cursor())
                items, size = [], 0
            items.append(item)
            size, last = size + max(weight, BLOCK // PAGE), file.name
        if items:
            yield Page(items, Mark(last).cursor())

    def _item(self, file: Found) -> tuple[Record | Unreadable, int]:
        """Reads one file; tells how large it is too."""
        try:
            with open(file.path, "rb") as raw:  # noqa: PTH123 -- a million Path objects are not free
                size = os.fstat(raw.fileno()).st_size
                content = raw.read(size) if size <= self._max_record else None
        except OSError as error:
            return Unreadable(file.name, f"cannot read it: {error.strerror}", key=file.name), 0
        if content is None:
            reason = f"the file has {megabytes(size)}, more than max_record ({megabytes(self._max_record)})"
            return Unreadable(file.name, reason, key=file.name), 0
        media = _media(splitext(file.name)[1].lower())
        if media.kind == "text" and (reason := garbled(content, UTF8)):
            reason = f"{reason}, and by its name it is no PDF or image"
            return Unreadable(file.name, reason, key=file.name, excerpt=excerpt(content, UTF8)), 0
        return Record(file.name, _data(file.name, media, content), file.name), size


def _media(suffix: str) -> Media:
    """Tells by the suffix what the API takes a file for; everything it has no block for is text."""
    match suffix:
        case ".pdf":
            return Media("document", "application/pdf")
        case ".png" | ".gif" | ".webp":
            return Media("image", f"image/{suffix[1:]}")
        case ".jpg" | ".jpeg":
            return Media("image", "image/jpeg")
        case ".md" | ".markdown":
            return Media("text", "text/markdown")
        case _:
            return Media("text", "text/plain")


def _data(name: str, media: Media, content: bytes) -> dict[str, Any]:
    is_text = media.kind == "text"
    stem, suffix = splitext(basename(name))
    return {
        "path": name,
        "name": basename(name),
        "stem": stem,
        "suffix": suffix,
        "kind": media.kind,
        "media_type": media.type,
        "text": content.removeprefix(BOM).decode() if is_text else "",
        "base64": "" if is_text else base64.b64encode(content).decode("ascii"),
    }
