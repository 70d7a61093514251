"""Reads whole files, one record each: text as text, PDF and images ready to become blocks of a message."""

import base64
from collections.abc import AsyncGenerator, Generator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import msgspec
from anyio import to_thread

from batchflow.builtin.sources.encoding import BOM, UTF8, excerpt, garbled, megabytes
from batchflow.builtin.sources.fingerprint import fingerprint
from batchflow.builtin.sources.mark import Mark, remaining
from batchflow.builtin.sources.paged import paged
from batchflow.builtin.sources.stream import BLOCK
from batchflow.builtin.sources.tree import Found, find
from batchflow.model.record import Cursor, Page, Record, Unreadable
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
        return await to_thread.run_sync(lambda: fingerprint(find(self._path)))

    async def columns(self) -> frozenset[str] | None:
        """The same for every file."""
        return COLUMNS

    def _pages(self, after: Cursor | None) -> Generator[Page]:
        waiting = remaining(self._path, after)
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
        try:
            content = self._content(file.path)
        except OSError as error:
            return Unreadable(file.name, f"cannot read it: {error.strerror}", key=file.name), 0
        if len(content) > self._max_record:
            return Unreadable(
                file.name, f"the file has more than max_record ({megabytes(self._max_record)})", key=file.name
            ), 0
        media = _media(PurePosixPath(file.name).suffix.lower())
        if media.kind == "text" and (reason := garbled(content, UTF8)):
            return Unreadable(
                file.name,
                f"{reason}, and by its name it is no PDF or image",
                key=file.name,
                excerpt=excerpt(content, UTF8),
            ), 0
        return Record(file.name, _data(file.name, media, content), file.name), len(content)

    def _content(self, path: str) -> bytes:
        with open(path, "rb") as raw:  # noqa: PTH123 -- a million Path objects are not free
            return raw.read(self._max_record + 1)


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
    path = PurePosixPath(name)
    is_text = media.kind == "text"
    return {
        "path": name,
        "name": path.name,
        "stem": path.stem,
        "suffix": path.suffix,
        "kind": media.kind,
        "media_type": media.type,
        "text": content.removeprefix(BOM).decode() if is_text else "",
        "base64": "" if is_text else base64.b64encode(content).decode("ascii"),
    }
