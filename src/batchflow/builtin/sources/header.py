"""The header of CSV files: which columns there are, and that all files agree."""

from collections.abc import Iterable
from difflib import get_close_matches

from batchflow.builtin.sources.lines import Lines
from batchflow.builtin.sources.mark import Mark
from batchflow.builtin.sources.rows import BadRow, Dialect, Rows
from batchflow.builtin.sources.shelf import Shelf
from batchflow.builtin.sources.stream import Stream
from batchflow.builtin.sources.tree import Found
from batchflow.model.errors import SourceError


def rows_of(stream: Stream, file: Found, dialect: Dialect) -> tuple[list[str], Rows]:
    """Reads the header of a stream that stands at its beginning; the rows stand behind it."""
    rows = Rows(Lines(stream, dialect.limit), Mark(file.name), dialect)
    header = next(iter(rows), list[str]())
    if isinstance(header, BadRow):
        raise SourceError(
            f"the header of {file.path} cannot be read: {header.reason}", hint=f"look at it: head -c 300 {file.path}"
        )
    if twice := sorted({repr(name) for name in header if header.count(name) > 1}):
        raise SourceError(
            f"{file.path} has more than one column {', '.join(twice)}", hint="give every column a name of its own"
        )
    return header, rows


def common_header(shelf: Shelf, key: str | None, dialect: Dialect) -> list[str]:
    """Reads the first header and checks that every other file has the same columns; an empty file has none to check.

    Done before the first record is read: a file that differs must not be met after half of the others was paid for.
    """
    first: tuple[Found, list[str]] | None = None
    for file in shelf.files():
        with shelf.opened(file) as stream:
            header, _ = rows_of(stream, file, dialect)
        if first is None and header:
            first = file, header
            _check_key(file, header, key)
        elif first and header:
            _compare(first, (file, header))
    return first[1] if first else []


def _check_key(file: Found, header: list[str], key: str | None) -> None:
    if key is None or key in header:
        return
    near = get_close_matches(key, header, n=1)
    guess = f"did you mean {near[0]!r}? " if near else ""
    raise SourceError(f"{file.path} has no column {key!r} to take keys from", hint=f"{guess}It has {_listed(header)}.")


def _compare(one: tuple[Found, list[str]], other: tuple[Found, list[str]]) -> None:
    missing, added = set(one[1]) - set(other[1]), set(other[1]) - set(one[1])
    if not missing and not added:
        return
    differences = [f"it lacks {_listed(sorted(missing))}"] if missing else []
    differences += [f"it adds {_listed(sorted(added))}"] if added else []
    raise SourceError(
        f"{other[0].path} has other columns than {one[0].path}: {' and '.join(differences)}",
        hint="read files that differ in jobs of their own, or give them the same header",
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
