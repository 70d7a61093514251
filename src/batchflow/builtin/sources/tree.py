"""Finds the files of a path that may be a pattern, in one order, without holding their names.

`glob` answers in the order of the disk and as one list; a resumed run needs the same order again, and a folder may hold
ten million files. So folders are walked in sorted order, and only the folders on the way down are held.
"""

import os
from collections.abc import Iterator
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from batchflow.model.errors import SourceError
from batchflow.model.target import Target

Names = tuple[str, ...]


class Found(msgspec.Struct, frozen=True):
    """One file. `name` is relative to the pattern's fixed part, so that it is the same on every machine."""

    name: str
    path: str


def find(path: Path) -> Iterator[Found]:
    """Yields the files that a path or pattern names, sorted folder by folder; none at all is a `SourceError`."""
    try:
        fixed, pattern = _split(path)
        found = None if pattern else single(path)
    except PermissionError as error:
        raise SourceError(
            f"may not look into the folder of {path}", hint=f"check who may: ls -ld {path.parent}"
        ) from error
    if found:
        yield found
        return
    files = _walk(str(fixed), (), pattern)
    first = next(files, None)
    if first is None:
        raise SourceError(f"no file matches {path}", hint=_nothing_hint(fixed))
    yield first
    yield from files


def covers(path: Path, target: Target) -> bool:
    """Tells whether a path or pattern names what a sink writes, be it there already or not.

    A file that is there may have other names: then the files of the pattern are looked at, one by one.
    """
    if not target.is_local:
        return False
    fixed, pattern = _split(path)
    if not pattern:
        return target.leads_to(path)
    folder, name = os.path.split(target.file)
    root, below = Path(os.path.realpath(fixed)), Path(os.path.realpath(folder), name)
    for real in (below, Path(os.path.realpath(target.file))):
        if real.is_relative_to(root) and fits(real.relative_to(root).parts, pattern):
            return True
    if target.like and root.is_relative_to(os.path.realpath(target.place)) and fits((name,), pattern[-1:]):
        return True  # the folders that are made between the two are known only when there are results
    if not Path(target.place).is_file():
        return False
    own = Path(target.place).stat()
    return any(os.path.samestat(Path(found.path).stat(), own) for found in _walk(str(fixed), (), pattern))


def _split(path: Path) -> tuple[Path, Names]:
    """Parts a path into its fixed folder and its pattern; a file whose own name looks like a pattern is a file."""
    wild = next((index for index, part in enumerate(path.parts) if any(sign in part for sign in "*?[")), None)
    if wild is None or path.exists():
        return path, ()
    return Path(*path.parts[:wild]), path.parts[wild:]


def single(path: Path) -> Found:
    """Takes a path as one regular file, or says why it is none."""
    if path.is_file():
        return Found(_printable(path.name), str(path))
    if path.is_dir():
        raise SourceError(f"{path} is a folder, not a file", hint=f"name its files with a pattern: {path}/*")
    if path.exists():
        raise SourceError(
            f"{path} is not a regular file, so it cannot be read again after a stop",
            hint="pipe it into batchflow and use `type: stdin`, which keeps a copy",
        )
    if path.is_symlink():
        raise SourceError(f"{path} is a link that leads to no file", hint="mend the link, or name the file itself")
    raise SourceError(f"there is no file {path}", hint=_alike(path))


def _alike(path: Path) -> str:
    if not path.parent.is_dir():
        return f"the folder {path.parent} does not exist either: is the path relative to the job file?"
    near = get_close_matches(path.name, [entry.name for entry in path.parent.iterdir()], n=1)
    return f"did you mean {path.parent / near[0]}?" if near else "is the path relative to the job file?"


def _nothing_hint(fixed: Path) -> str:
    if not fixed.is_dir():
        return f"the folder {fixed} does not exist: is the path relative to the job file?"
    return f"look at what is there: ls {fixed}"


def _walk(folder: str, above: Names, pattern: Names) -> Iterator[Found]:
    for name in _names(folder, above, pattern):
        path = os.path.join(folder, name)  # noqa: PTH118 -- a million Path objects are not free
        if name.endswith("/"):
            yield from _walk(path, (*above, name[:-1]), pattern)
        else:
            yield Found(_printable("/".join((*above, name))), path)


def _names(folder: str, above: Names, pattern: Names) -> list[str]:
    """Gives what a folder holds for a pattern, sorted; folders end in a slash. Names alone: an entry is four times as large."""
    # A link to a folder above would be walked for ever under `**`; without `**` the depth is bounded anyway.
    follow = "**" not in pattern
    names: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                here = (*above, entry.name)
                if _leads(here, pattern) and entry.is_dir(follow_symlinks=follow):
                    names.append(f"{entry.name}/")
                elif fits(here, pattern) and entry.is_file():
                    names.append(entry.name)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SourceError(
            f"cannot look into the folder {folder}: {error.strerror}", hint=f"check who may read it: ls -ld {folder}"
        ) from error
    return sorted(names)


def fits(names: Names, pattern: Names) -> bool:
    """Tells whether a file's names, folder by folder, are what the pattern says; `**` stands for any folders."""
    if not pattern:
        return not names
    if pattern == ("**",):  # at the end it stands for the file too
        return bool(names) and not any(name.startswith(".") for name in names)
    if pattern[0] == "**":
        deeper = bool(names) and not names[0].startswith(".") and fits(names[1:], pattern)
        return deeper or fits(names, pattern[1:])
    return bool(names) and _named(names[0], pattern[0]) and fits(names[1:], pattern[1:])


def _leads(names: Names, pattern: Names) -> bool:
    """Tells whether a folder can hold files that fit."""
    if not names or not pattern:
        return bool(pattern)
    if pattern[0] == "**":
        deeper = not names[0].startswith(".") and _leads(names[1:], pattern)
        return deeper or _leads(names, pattern[1:])
    return _named(names[0], pattern[0]) and _leads(names[1:], pattern[1:])


def _named(name: str, pattern: str) -> bool:
    hidden = name.startswith(".") and not pattern.startswith(".")
    return not hidden and fnmatchcase(name, pattern)


def _printable(name: str) -> str:
    """Makes a name that JSON can hold: a file's name may be bytes that are no text."""
    return name.encode("utf-8", "backslashreplace").decode()
