"""What a record holds of a Parquet value: something that JSON can hold, for it is put into requests and kept with results.

    texts, booleans, whole numbers      as they are
    floats                              as they are; NaN and infinities, which JSON lacks, are null
    decimals                            their text, with every digit: "12.50"
    dates, times                        "2026-01-31", "10:00:00.25"
    timestamps                          "2026-01-31T10:00:00.25"; with a time zone, the moment in UTC: "2026-01-31T09:00:00.25Z"
    durations                           seconds
    binary                              base64
    lists; structs, maps                lists; objects (a map's keys become texts)
    dictionaries                        the value that is meant
    JSON, UUID                          the JSON; the UUID's text

Temporal values and decimals are cast by Arrow, a column at a time, since Python's own have no nanoseconds and no year 10000.
"""

import math
from base64 import b64encode
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from batchflow_parquet.arrow import Array, DataType, Kind, pa

Fix: TypeAlias = Callable[[Any], Any]

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_is = pa.types


class Formless(Exception):
    """A type that has no form in JSON."""


class Reading(msgspec.Struct, frozen=True):
    """How the values of one type are read: cast twice, then mended one by one. Null is null."""

    first: DataType
    """Time zones are gone, and dictionaries are what they stand for."""
    then: DataType
    """What Python has no good values for is text."""
    fix: Fix | None = None

    def values(self, array: Array) -> list[Any]:
        """Gives the values of a column."""
        given = array.cast(self.first).cast(self.then).to_pylist()
        return given if self.fix is None else [_mended(self.fix, one) for one in given]


def reading(type: DataType) -> Reading:
    """Finds out how a type is read; one that cannot be is `Formless`."""
    for kind, read in _KINDS:
        if kind(type):
            return read(type)
    extension = str(type)
    if extension == "extension<arrow.json>":
        return Reading(type, pa.string(), _decoded)
    if extension == "extension<arrow.uuid>":
        return Reading(type, type, str)
    raise Formless(extension)


def _mended(fix: Fix, value: Any) -> Any:
    return None if value is None else fix(value)


def _as_it_is(type: DataType) -> Reading:
    return Reading(type, type)


def _decimal(type: DataType) -> Reading:
    return Reading(type, pa.string())


def _float(type: DataType) -> Reading:
    return Reading(type, type, _finite)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _temporal(type: DataType) -> Reading:
    return Reading(type, pa.string(), _told)


def _timestamp(type: DataType) -> Reading:
    return Reading(type if type.tz is None else pa.timestamp(type.unit, tz="UTC"), pa.string(), _moment)


def _moment(text: str) -> str:
    told = _told(text.removesuffix("Z")).replace(" ", "T")
    return f"{told}Z" if text.endswith("Z") else told


def _told(text: str) -> str:
    """Takes zeros off the end of a fraction. Arrow writes an apology where it knows no date."""
    if text.startswith("<"):
        raise ValueError(f"it is no date: {text.strip('<>')}")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _duration(type: DataType) -> Reading:
    per_second = _PER_SECOND[type.unit]
    return Reading(type, pa.int64(), lambda count: count / per_second)


def _binary(type: DataType) -> Reading:
    return Reading(type, type, lambda value: b64encode(value).decode("ascii"))


def _dictionary(type: DataType) -> Reading:
    return reading(type.value_type)


def _list(type: DataType) -> Reading:
    item = reading(type.value_type)
    fix = item.fix
    return Reading(
        pa.list_(item.first),
        pa.list_(item.then),
        None if fix is None else lambda values: [_mended(fix, one) for one in values],
    )


def _struct(type: DataType) -> Reading:
    members = [(member.name, reading(member.type)) for member in map(type.field, range(type.num_fields))]
    fixes = {name: one.fix for name, one in members if one.fix}
    return Reading(
        pa.struct([(name, one.first) for name, one in members]),
        pa.struct([(name, one.then) for name, one in members]),
        (lambda value: value | {name: _mended(fix, value[name]) for name, fix in fixes.items()}) if fixes else None,
    )


def _map(type: DataType) -> Reading:
    key, item = reading(type.key_type), reading(type.item_type)
    return Reading(
        pa.map_(key.first, item.first),
        pa.map_(key.then, item.then),
        lambda pairs: {
            str(key.fix(name) if key.fix else name): _mended(item.fix, value) if item.fix else value
            for name, value in pairs
        },
    )


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


_KINDS: tuple[tuple[Kind, Callable[[DataType], Reading]], ...] = (
    (_is.is_string, _as_it_is),
    (_is.is_large_string, _as_it_is),
    (_is.is_string_view, _as_it_is),
    (_is.is_integer, _as_it_is),
    (_is.is_boolean, _as_it_is),
    (_is.is_null, _as_it_is),
    (_is.is_floating, _float),
    (_is.is_decimal, _decimal),
    (_is.is_timestamp, _timestamp),
    (_is.is_date, _temporal),
    (_is.is_time, _temporal),
    (_is.is_duration, _duration),
    (_is.is_binary, _binary),
    (_is.is_large_binary, _binary),
    (_is.is_binary_view, _binary),
    (_is.is_fixed_size_binary, _binary),
    (_is.is_dictionary, _dictionary),
    (_is.is_map, _map),
    (_is.is_list, _list),
    (_is.is_large_list, _list),
    (_is.is_fixed_size_list, _list),
    (_is.is_list_view, _list),
    (_is.is_large_list_view, _list),
    (_is.is_struct, _struct),
)
