"""Entries of a stream into records. Nothing is asked of Redis here."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, cast

import msgspec

from batchflow.lines import key_of, no_key
from batchflow.plugin import Record, Unreadable

Entry: TypeAlias = tuple[bytes, list[bytes] | None]
"""An id, and names and values in turn; none where the entry is not in the stream any more."""

EXCERPT = 200
_decode = msgspec.json.Decoder().decode


class Entries:
    """How the entries of one stream are read. An entry that is no record is `Unreadable`, under its id."""

    def __init__(self, stream: str, *, key: str | None, payload: str | None) -> None:
        self._stream = stream
        self._key = key
        self._payload = payload

    def items(self, entries: Iterable[Entry]) -> list[Record | Unreadable]:
        """Read some."""
        return [self._item(id.decode(), cells) for id, cells in entries]

    def lost(self, id: str) -> Unreadable:
        """Stand for an entry that this run had taken, and that somebody else took from it. It has no key: it is not ours."""
        return Unreadable(
            self._origin(id),
            "another consumer of the group took this entry over while this run was down for longer than `visibility`: it is asked there",
        )

    def _item(self, id: str, cells: list[bytes] | None) -> Record | Unreadable:
        if cells is None:
            why = "the entry was trimmed or deleted from the stream before it was read"
            return Unreadable(self._origin(id), why, key=id)
        try:
            data = self._data(cells)
        except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
            said = f"invalid UTF-8 ({error.reason})" if isinstance(error, UnicodeDecodeError) else f"bad JSON: {error}"
            return self._unreadable(id, said, cells)
        if isinstance(data, str):
            return self._unreadable(id, data, cells)
        if self._key is None:
            return Record(id, data, self._origin(id))
        if key := key_of(data.get(self._key)):
            return Record(key, data, self._origin(id))
        return self._unreadable(id, no_key(self._key, data.get(self._key), data), cells, tuple(data))

    def _data(self, cells: list[bytes]) -> Mapping[str, Any] | str:
        """Give the columns, or say why there are none."""
        names, values = cells[::2], cells[1::2]
        if self._payload is None:
            return {name.decode(): value.decode() for name, value in zip(names, values, strict=True)}
        found = dict(zip(names, values, strict=True)).get(self._payload.encode())
        if found is None:
            there = ", ".join(name.decode("utf-8", "replace") for name in names)
            return f"there is no field {self._payload!r}, which is the payload; there is {there}"
        data = _decode(found)
        return (
            cast("dict[str, Any]", data) if isinstance(data, dict) else f"the field {self._payload!r} is no JSON object"
        )

    def _unreadable(self, id: str, why: str, cells: list[bytes], columns: tuple[str, ...] = ()) -> Unreadable:
        excerpt = b" ".join(cells)[:EXCERPT].decode("utf-8", "replace")
        return Unreadable(self._origin(id), why, key=id, excerpt=excerpt, columns=columns)

    def _origin(self, id: str) -> str:
        return f"{self._stream}:{id}"
