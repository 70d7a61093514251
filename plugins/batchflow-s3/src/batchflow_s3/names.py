"""Keys of objects: a part's name gives its key, the same every time, and no two parts have the same.

    PREFIX RUN / SINK / BATCH.SINK.GENERATION.jsonl.gz

A run and a sink have a folder of their own: what lies in it is theirs, and what a dead process left there may be swept.
"""

import re
from hashlib import blake2b

MANIFEST = "_manifest.json"
SUCCESS = "_SUCCESS"
"""Names that begin with a low line: Spark, Hive, Athena and Trino pass over them."""

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST = 200


def folder_of(prefix: str, run: str) -> str:
    """Gives the folder of a run."""
    return f"{prefix}{_spelled([run])}/"


def folder_in(folder: str, sink: str) -> str:
    """Gives the folder of a sink in the folder of its run."""
    return f"{folder}{_spelled([sink])}/"


def key_of(folder: str, run: str, part: str, format: str) -> str:
    """Gives the key of a part. What the folder says already is not said again."""
    own = part.removeprefix(f"{run}/")
    # A part of another name must not meet one that was shortened; no step has an equals sign in it.
    mark = "part=" if own == part else ""
    return f"{folder}{mark}{_spelled(own.split('/'))}.{format}"


def _spelled(steps: list[str]) -> str:
    """Joins steps by dots if that can be read in one way only; else what can be read of them, and a hash of all."""
    joined = ".".join(steps)
    if len(joined) <= _LONGEST and not joined.startswith("_") and all(map(_PLAIN.fullmatch, steps)):
        return joined
    word = blake2b("/".join(steps).encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()
    readable = re.sub(r"[^A-Za-z0-9]+", "-", joined)[:40].strip("-")
    return f"{readable}.{word}" if readable else word
