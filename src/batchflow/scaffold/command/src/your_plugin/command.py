"""A verb: `batchflow your_part answers.jsonl --by tenant`. Its signature is its options, in the style of cyclopts."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

FINE, WRONG = 0, 2
"""Exit codes, as batchflow has them: 2 is for what was asked for wrongly."""


def count(
    file: Annotated[Path, Parameter(help="A file of JSON lines: rows, or the answers that a job wrote.")],
    /,
    *,
    by: Annotated[str, Parameter(help="The column whose values are counted.")],
    top: Annotated[int, Parameter(help="How many values to show, those of most rows first.")] = 10,
) -> int:
    """Count the rows of a file by what stands in one of their columns."""
    try:
        rows = list(_rows(file))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return WRONG
    counted = Counter(_shown(row[by]) for row in rows if by in row)
    for value, number in sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:top]:
        sys.stdout.write(f"{number}\t{value}\n")
    if missing := len(rows) - counted.total():
        sys.stderr.write(f"{missing} of {len(rows)} rows have no column `{by}`\n")
    return FINE


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.startswith("{"):
                raise ValueError(f"line {number} of {file} is no JSON object")
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ValueError(f"line {number} of {file} is no JSON object") from error


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
