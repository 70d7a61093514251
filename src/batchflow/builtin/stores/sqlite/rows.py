"""Turns the structs of the model into rows and back: a column for each field, nested values as JSON text.

What a kind needs is worked out once, when a store is opened; per row there is one `attrgetter` and the few fields that
SQLite cannot hold as they are.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Generic, TypeVar, cast

import msgspec
from msgspec import inspect

from batchflow.model.change import Entity, Fact
from batchflow.model.state import Batch, Delivery, Entry, Event, Intent, Outlet, Remote, Run, Setback, Wish

T = TypeVar("T", bound=Entity | Fact)

TABLE_NAMES: tuple[tuple[type[Entity | Fact], str], ...] = (
    (Run, "runs"),
    (Batch, "batches"),
    (Intent, "intents"),
    (Delivery, "deliveries"),
    (Outlet, "outlets"),
    (Setback, "setbacks"),
    (Wish, "wishes"),
    (Remote, "remotes"),
    (Entry, "entries"),
    (Event, "events"),
)

_Coder = Callable[[Any], Any]
_AS_THEY_ARE = (inspect.StrType, inspect.IntType, inspect.FloatType, inspect.BytesType)


class Table(Generic[T]):
    """One kind of struct and the statements that move it. `key` is the column that names a row."""

    def __init__(self, kind: type[T], name: str) -> None:
        fields = msgspec.structs.fields(kind)
        self.kind = kind
        self.name = name
        self.columns = tuple(field.name for field in fields)
        self.key = self.columns[0]
        self._values: Callable[[T], Sequence[Any]] = attrgetter(*self.columns)
        coders = [(at, field.name, *_coders(field.type)) for at, field in enumerate(fields)]
        self._encoders = tuple((at, encode) for at, _, encode, _ in coders if encode)
        self._decoders = tuple((at, decode) for at, _, _, decode in coders if decode)
        self._scalars = {column: encode for _, column, encode, _ in coders if encode is not _to_json}
        self.insert = self._insert()
        self.insert_once = f"{self.insert} ON CONFLICT ({self.key}) DO NOTHING"
        self.update = self._update()
        self.select = f"SELECT {_listed(self.columns)} FROM {self.name}"  # noqa: S608 - names are our own

    def row(self, struct: T) -> Sequence[Any]:
        """Gives the values of a struct in the order of the columns."""
        values = list(self._values(struct))
        for at, encode in self._encoders:
            if values[at] is not None:
                values[at] = encode(values[at])
        return values

    def struct(self, row: Sequence[Any]) -> T:
        """Gives back the struct that a row was made from."""
        values = list(row)
        for at, decode in self._decoders:
            if values[at] is not None:
                values[at] = decode(values[at])
        return self.kind(**dict(zip(self.columns, values, strict=True)))

    def condition(self, where: Mapping[str, Any]) -> tuple[list[str], list[Any]]:
        """Spells field values as SQL: None is IS NULL, a list or tuple is any of its members."""
        tests: list[str] = []
        values: list[Any] = []
        for column, wanted in where.items():
            members = cast("Sequence[Any]", wanted if isinstance(wanted, list | tuple) else (wanted,))
            tests.append(_test(column, members))
            values.extend(self._scalar(column, member) for member in members if member is not None)
        return tests, values

    def _scalar(self, column: str, value: Any) -> Any:
        if column not in self._scalars:
            raise ValueError(f"{self.kind.__name__} has no scalar field {column!r} to look rows up by")
        encode = self._scalars[column]
        return encode(value) if encode else value

    def _insert(self) -> str:
        marks = ", ".join("?" * len(self.columns))
        return f"INSERT INTO {self.name} ({_listed(self.columns)}) VALUES ({marks})"  # noqa: S608 - names are our own

    def _update(self) -> str:
        """The compare-and-swap: it touches no row unless the stored version is the one before."""
        changes = ", ".join(f'"{column}" = ?' for column in self.columns)
        return f"UPDATE {self.name} SET {changes} WHERE {self.key} = ? AND version = ?"  # noqa: S608 - names are our own


def tables() -> dict[type[Any], Table[Any]]:
    """Makes the tables of all kinds."""
    return {kind: Table(kind, name) for kind, name in TABLE_NAMES}


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _test(column: str, members: Sequence[Any]) -> str:
    known = sum(member is not None for member in members)
    tests = [f'"{column}" IN ({", ".join("?" * known)})'] if known else []
    if known < len(members):
        tests.append(f'"{column}" IS NULL')
    return f"({' OR '.join(tests)})" if tests else "FALSE"


def _coders(annotation: Any) -> tuple[_Coder | None, _Coder | None]:
    """Chooses how a field's values travel; None stays NULL and never meets a coder."""
    shape = inspect.type_info(annotation)
    if isinstance(shape, inspect.UnionType):
        shape = next(part for part in shape.types if not isinstance(part, inspect.NoneType))
    if isinstance(shape, _AS_THEY_ARE):
        return None, None
    if isinstance(shape, inspect.BoolType):
        return int, bool
    if isinstance(shape, inspect.EnumType):
        return str, shape.cls
    return _to_json, msgspec.json.Decoder(annotation).decode


def _to_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
