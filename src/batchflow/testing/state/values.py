"""Entities and facts with anything in their fields that a store must be able to keep."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from batchflow.model.blob import Blob
from batchflow.model.change import Entity, Fact
from batchflow.model.record import Position
from batchflow.model.state import Binding
from batchflow.testing.samples import sparse


def anything() -> st.SearchStrategy[Entity | Fact]:
    """Draws any entity, in its first version, or any fact."""
    return st.one_of(*[_whole(type(one)) for one in sparse()])


def _whole(kind: type[Entity | Fact]) -> st.SearchStrategy[Entity | Fact]:
    fields = {field.name: _values(field.type) for field in msgspec.structs.fields(kind)}
    if "version" in fields:
        fields["version"] = st.just(1)
    return st.builds(kind, **fields)


def _values(annotation: Any) -> st.SearchStrategy[Any]:
    known = _known()
    parts = getattr(annotation, "__args__", ())
    if annotation in known:
        return known[annotation]
    if type(None) in parts:
        return st.none() | st.one_of(*[_values(part) for part in parts if part is not type(None)])
    return st.from_type(annotation)


def _known() -> dict[Any, st.SearchStrategy[Any]]:
    """Draws what hypothesis cannot guess, or would guess beyond what is promised: 64 bits, and JSON."""
    whole = st.integers(-(2**63), 2**63 - 1)
    real = st.floats(allow_nan=False, allow_infinity=False)
    plain = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | real | st.text()
    json = st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
    objects = st.dictionaries(st.text(), json, max_size=4)
    blob = st.builds(Blob, name=st.text(), size=whole, checksum=st.text())
    return {
        int: whole,
        float: real,
        dict[str, Any]: objects,
        Blob: blob,
        tuple[Blob, ...]: st.lists(blob, max_size=3).map(tuple),
        Position: st.builds(Position, cursor=st.none() | objects, skip=whole),
        Binding: st.builds(Binding, base_url=st.text(), key=st.text(), organization=st.text(), workspace=st.text()),
    }
