"""`attach:`: a document or image block made from a record's base64 column, put before the text of the last user turn."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import msgspec

from batchflow.builtin.builders.layout import Layout
from batchflow.builtin.builders.shapes import Data
from batchflow.builtin.builders.splice import Splice
from batchflow.ports.builder import BuildError

PDF = "application/pdf"
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
        if content is None or content == "":
            return None
        media_type = self._media_type or str(data.get("media_type") or "")
        source = {"type": "base64", "media_type": media_type, "data": self._base64(content)}
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
        raise BuildError(
            f"attach: the API takes images and PDF, not {media_type or 'a file of unknown media type'!r}; the source or `attach: {{column, media_type}}` must say which it is"
        )


class Attached:
    """A turn's list of blocks with the record's file before the rest of them."""

    splice: Splice | None = None

    def __init__(self, attachment: Attachment, blocks: list[Any]) -> None:
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
