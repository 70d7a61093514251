"""`attach:`: a document or image block made from a record's base64 column, put before the text of the last user turn."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

import msgspec

from batchflow.builtin.builders.layout import Layout
from batchflow.builtin.builders.shapes import Data
from batchflow.builtin.builders.splice import Splice
from batchflow.ports.builder import BuildError

PDF = "application/pdf"
BEGINNINGS = {
    b"%PDF": PDF,
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"\xff\xd8\xff": "image/jpeg",
}
"""What the files that the API takes begin with; WEBP is one more, and says so a little later."""
_encode = msgspec.json.Encoder().encode


class Attachment:
    """Where a record keeps its file: a column of base64 (or bytes), and its media type, fixed or in another column."""

    def __init__(self, *, column: str, media_type: str = "") -> None:
        self.column = column
        self._media_type = media_type

    def block(self, data: Data) -> bytes | None:
        """Makes the block; None where this record has no file."""
        if self.column not in data:
            raise BuildError(f"attach: the record has no column {self.column!r}")
        content = data[self.column]
        if content is None or (content == "" and data.get("kind") == "text"):  # the source `files` has text elsewhere
            return None
        if content in ("", b""):
            raise BuildError(
                f"attach: column {self.column!r} is empty, so the request would be paid for without its file; null says that a record has none"
            )
        text = self._base64(content)
        media_type = self._media_type or str(data.get("media_type") or "") or media_type_of(text)
        source = {"type": "base64", "media_type": media_type, "data": text}
        try:
            return _encode({"type": self._kind(media_type), "source": source})
        except UnicodeEncodeError as error:
            raise BuildError(f"attach: column {self.column!r} is not base64") from error

    def _base64(self, content: Any) -> str:
        if isinstance(content, bytes):
            return b64encode(content).decode()
        if isinstance(content, str):
            return content
        raise BuildError(f"attach: column {self.column!r} holds {type(content).__name__}, not base64 text")

    def _kind(self, media_type: str) -> str:
        if media_type.startswith("image/"):
            return "image"
        if media_type == PDF:
            return "document"
        if media_type:
            raise BuildError(f"attach: the API takes images and PDF, not {media_type!r}")
        raise BuildError(
            f"attach: column {self.column!r} does not begin like base64 of a PDF, PNG, GIF, JPEG or WEBP, so its media type is unknown; write `attach: {{column: {self.column}, media_type: application/pdf}}`, or whichever it is"
        )


def media_type_of(text: str) -> str:
    """Tells from its first bytes what a base64 file is; "" where they are not those of anything the API takes."""
    try:
        begins = b64decode(text[:16], validate=True)
    except ValueError:
        return ""
    if begins.startswith(b"RIFF") and begins[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for mark, kind in BEGINNINGS.items() if begins.startswith(mark)), "")


class Attached:
    """A turn's list of blocks with the record's file before the rest of them."""

    splice: Splice | None = None

    def __init__(self, attachment: Attachment, blocks: list[Any]) -> None:
        self.blocks = blocks
        self._attachment = attachment
        self._blocks = Layout(blocks)

    def fill(self, data: Data) -> bytes:
        """Makes the JSON list of one record."""
        rest = self._blocks.fill(data)
        block = self._attachment.block(data)
        return rest if block is None else b"[" + block + b"," + rest[1:]


def attachment(attach: str | Mapping[str, str] | None) -> Attachment | None:
    """Reads the `attach:` setting."""
    if attach is None:
        return None
    settings = {"column": attach} if isinstance(attach, str) else dict(attach)
    if "column" not in settings or settings.keys() - {"column", "media_type"}:
        raise ValueError("attach is a column's name, or {column: NAME, media_type: application/pdf}")
    return Attachment(**settings)
