"""Whether new files may lie beside old ones: readers take a folder for one table, and its columns must be of one kind."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from batchflow_parquet.arrow import Schema, pa, pq
from batchflow_parquet.hive import partitions


def visible(dataset: Path) -> Iterator[str]:
    """Finds the files that readers may see: no step of their way is hidden."""
    for folder, folders, files in os.walk(dataset):
        folders[:] = [name for name in sorted(folders) if not name.startswith(("_", "."))]
        for name in sorted(files):
            if not name.startswith(("_", ".")):
                yield os.path.join(folder, name)  # noqa: PTH118 -- a million Path objects are not free


def objection(dataset: Path, schema: Schema, by: Collection[str]) -> str:
    """Says why files of this schema cannot lie beside the first that is there; empty when they can."""
    first = next((name for name in visible(dataset) if name.endswith(".parquet")), None)
    if first is None:
        return ""
    where = Path(first).relative_to(dataset)
    parts = tuple(partitions(where.parent.parts))
    if parts != tuple(by):
        return f"{where} lies in partitions of {_listed(parts)}, and here `partition_by` names {_listed(by)}"
    try:
        there = pq.read_schema(first)
    except (OSError, pa.ArrowException) as error:
        return f"{where} cannot be read: {error}"
    return next((f"in {where} {one}" for one in _differences(there, schema)), "")


def _differences(there: Schema, here: Schema) -> Iterator[str]:
    old, new = ({field.name: field.type for field in schema} for schema in (there, here))
    for name in new.keys() - old.keys():
        yield f"there is no column {name!r}"
    for name, type in old.items():
        if name not in new:
            yield f"there is a column {name!r}, which is not among those here"
        elif type != new[name]:
            yield f"column {name!r} is {type}, and here it is {new[name]}"


def _listed(names: Collection[str]) -> str:
    return ", ".join(map(repr, names)) or "no column"
