"""Partitions in paths, as Hive, Spark, DuckDB and pyarrow write and read them: `tenant=acme/year=2026/`.

Characters that paths or patterns give a meaning are written %XX; letters of other alphabets stay as they are, for Spark
reads %XX as one character and not as a byte of UTF-8. Null has a word of its own, and so has the empty text, since Spark
refuses a step that ends in an equals sign.
"""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote

NULL = "__HIVE_DEFAULT_PARTITION__"
_ESCAPED = re.compile(r"""[\x00-\x1f\x7f"#%'*/:=?\\{}\[\]^<>|]""")
_LONGEST = 255
"""Bytes that a file system allows a name."""


def step(column: str, value: object) -> str:
    """Writes one step of a path, or raises `ValueError`."""
    text = ("true" if value else "false") if isinstance(value, bool) else "" if value is None else str(value)
    written = f"{_spelled(column)}={_spelled(text) or NULL}"
    if len(written.encode()) > _LONGEST:
        raise ValueError(f"it is too long to name a folder: {text[:40]}...")
    return written


def partitions(steps: Iterable[str]) -> dict[str, str | None]:
    """Reads the partitions in a path."""
    found = (one.partition("=") for one in steps if "=" in one.lstrip("="))
    return {unquote(column): None if value == NULL else unquote(value) for column, _, value in found if column}


def path_of(columns: Sequence[str], values: Sequence[object]) -> str:
    """Writes the folder of some rows, with a slash behind each step."""
    return "".join(f"{step(column, value)}/" for column, value in zip(columns, values, strict=True))


def _spelled(text: str) -> str:
    return _ESCAPED.sub(lambda sign: f"%{ord(sign[0]):02X}", text)
