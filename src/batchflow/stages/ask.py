"""What a builder gave for a record, as encoded requests; what nobody could send is laid at the builder's door."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from batchflow.model.record import Record, Skip
from batchflow.ports.builder import Builder
from batchflow.stages.wall import blame, misgiven

WANTED = "a request's parameters (a dict, or encoded JSON as bytes), a list of such, or a `Skip`"
_encode = msgspec.json.Encoder().encode


def requests_of(builder: Builder, record: Record, made: Any) -> list[bytes] | Skip:
    """Encode what was made of a record: one request, or several."""
    if isinstance(made, Skip):
        return made
    if isinstance(made, (bytes, dict)) or not _is_several(made):
        made = (made,)
    return [one if isinstance(one, bytes) else _encoded(builder, record, one) for one in made]


def _is_several(made: Any) -> bool:
    return isinstance(made, Sequence) and not isinstance(made, (str, bytearray, memoryview))


def _encoded(builder: Builder, record: Record, one: Any) -> bytes:
    if not isinstance(one, dict) and isinstance(one, Mapping):
        one = dict(cast("Any", one))
    if not isinstance(one, dict):
        raise misgiven(builder, _on(record), one, WANTED)
    try:
        return _encode(one)
    except Exception as error:
        raise blame(builder, _on(record), error) from error


def _on(record: Record) -> str:
    return f"on record {record.key!r} ({record.origin})"
