"""Keys of objects: a part's name gives its key, the same every time, and no two parts have the same.

    PREFIX RUN / SINK / BATCH.SINK.GENERATION.jsonl.gz
    PREFIX RUN / SINK / results.jsonl.gz               where a run has one object, whose parts wait as
    PREFIX RUN / SINK / _parts / ROUND / _BATCH.SINK.GENERATION.jsonl.gz

A run and a sink have a folder of their own: what lies in it is theirs, and what a dead process left there may be swept.
"""

from batchflow.lines import spelled

MANIFEST = "_manifest.json"
SUCCESS = "_SUCCESS"
PARTS = "_parts"
"""Names that begin with a low line: Spark, Hive, Athena and Trino pass over them."""


def folder_of(prefix: str, run: str) -> str:
    """Gives the folder of a run."""
    return f"{prefix}{spelled([run])}/"


def folder_in(folder: str, sink: str) -> str:
    """Gives the folder of a sink in the folder of its run."""
    return f"{folder}{spelled([sink])}/"


def whole_in(folder: str, format: str) -> str:
    """Gives the key of the one object of a run, in a sink's folder."""
    return f"{folder}results.{format}"


def key_of(folder: str, run: str, part: str, format: str) -> str:
    """Gives the key of a part. What the folder says already is not said again."""
    own = part.removeprefix(f"{run}/")
    # A part of another name must not meet one that was shortened; no step has an equals sign in it.
    mark = "part=" if own == part else ""
    return f"{folder}{mark}{spelled(own.split('/'))}.{format}"
