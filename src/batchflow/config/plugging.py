"""The plugins of a job file: which files are loaded beside the installed ones, and who is allowed or denied.

They must be there before the rest of the file can be read, so `plugins_for` looks at that one section only, and passes over
whatever is wrong: `survey` reads it again and tells it, with everything else. The environment is read here, too:
`BATCHFLOW_PLUGINS_ALLOW` and `BATCHFLOW_PLUGINS_DENY` are the word of whoever runs the machine.
"""

import os
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from glob import glob, has_magic
from pathlib import Path

from batchflow.config import sections
from batchflow.config.components import Reader
from batchflow.config.faults import Faults, Page
from batchflow.config.reading import read
from batchflow.config.tree import Tree
from batchflow.extend.admission import Admission
from batchflow.extend.facade import Plugins
from batchflow.extend.near import near
from batchflow.model.errors import ConfigError
from batchflow.model.problem import Problem

ALLOW, DENY = "BATCHFLOW_PLUGINS_ALLOW", "BATCHFLOW_PLUGINS_DENY"
NOBODY = Admission(allow=frozenset(), said="`--no-plugins`")
KEY = "plugins"
_OFF: ContextVar[bool] = ContextVar("batchflow_no_plugins", default=False)
"""A command that comes upon runs of several files says once, in one place, that it wants no plugins."""


@contextmanager
def none_loaded(*, off: bool) -> Generator[None]:
    """Let no plugins be loaded in here if they are to be off, whichever file they are asked for."""
    before = _OFF.set(off)
    try:
        yield
    finally:
        _OFF.reset(before)


def plugins_for(file: Path, env: Mapping[str, str] = os.environ, *, off: bool = False) -> Plugins:
    """Load the plugins that jobs of this file may use; `off` loads none of them, and knows which it left out.

    What they print meanwhile goes to standard error: standard output is the command's, and somebody may read it as JSON.
    """
    off = off or _OFF.get()
    listed = _listed(file)
    files = {shown: path for pattern in listed.files for shown, path in matches(file.absolute().parent, pattern)}
    own = listed.allow if listed.allow is None else listed.allow | {path.stem for path in files.values()}
    said = [Admission(allow=own, deny=listed.deny, said=file.name), _machine(env)]
    with redirect_stdout(sys.stderr):
        return Plugins(files=files, admissions=[*said, *([NOBODY] if off else [])])


def remarks(plugins: Plugins) -> list[str]:
    """List what a person should hear of the plugins; files that could not be loaded are told at their lines."""
    return [one.text for one in plugins.notices] + [f"warning: {one}" for one in plugins.broken if not one.by.file]


def with_files(tree: Tree) -> Tree:
    """Read the short form, a plain list of files, as the long one."""
    short = tree.child(KEY)
    if short is None or not isinstance(short.value, list):
        return tree
    return Tree({**tree.items, KEY: Tree({"files": short}, short.at, {"files": short.at})}, tree.at, tree.keys)


def look_at(reader: Reader, plugins: Plugins) -> None:
    """Tell what is wrong with the section, and which of its plugins could not be loaded."""
    options = reader.map_at((KEY,))
    listed = reader.section(sections.plugins, options) if options else None
    for found in _wrong(reader.base, listed or sections.Listed(), plugins):
        reader.wrong(found)


def matches(base: Path, pattern: str) -> Sequence[tuple[str, Path]]:
    """List the files that are meant, each with its name for people. A star means no file that begins with `_`."""
    if not has_magic(pattern):
        found = [pattern] if (base / pattern).is_file() else []
    else:
        every = sorted(glob(pattern, root_dir=base, recursive=True))  # noqa: PTH207 - `Path.glob` takes no absolute ones
        found = [one for one in every if not Path(one).name.startswith("_")]
    return [(os.path.normpath(one), (base / one).resolve()) for one in found if one.endswith(".py")]


def _listed(file: Path) -> sections.Listed:
    try:
        faults = Faults(Page(file.name, file.read_text(encoding="utf-8-sig")))
        tree = read(faults.page.text, faults)
    except (OSError, UnicodeDecodeError, ConfigError):
        return sections.Listed()
    if tree is None or tree.child(KEY) is None:
        return sections.Listed()
    reader = Reader(job=with_files(tree), faults=faults, plugins=Plugins(entry_points=False), env={}, base=file.parent)
    options = reader.map_at((KEY,))
    return (reader.section(sections.plugins, options) if options else None) or sections.Listed()


def _machine(env: Mapping[str, str]) -> Admission:
    allow = env.get(ALLOW)
    said = " and ".join(name for name in (ALLOW, DENY) if name in env)
    return Admission(allow=None if allow is None else _names(allow), deny=_names(env.get(DENY, "")), said=said)


def _names(written: str) -> frozenset[str]:
    return frozenset(written.replace(",", " ").split())


def _wrong(base: Path, listed: sections.Listed, plugins: Plugins) -> Iterator[Problem]:
    for position, pattern in enumerate(listed.files):
        at = (KEY, "files", position)
        found = matches(base, pattern)
        if not found:
            yield Problem(*_missing(base, pattern, at))
        for shown, _ in found:
            for broken in plugins.broken:
                if broken.by.file == shown:
                    yield Problem(str(broken), at, "jobs that need nothing of it can run", warning=True)
    yield from _slips(listed, plugins)


def _missing(base: Path, pattern: str, at: tuple[str | int, ...]) -> tuple[str, tuple[str | int, ...], str]:
    if (base / pattern).is_dir():
        return f"{pattern} is a folder", at, f"write `{pattern.rstrip('/')}/*.py` for all plugins in it"
    if has_magic(pattern):
        return f"no plugin file matches {pattern}", at, "a plugin is a file `*.py` whose name does not begin with `_`"
    if (base / pattern).exists():
        return f"{pattern} is no plugin: its name should end in .py", at, ""
    return f"plugin file {pattern} does not exist", at, "paths are relative to the job file"


def _slips(listed: sections.Listed, plugins: Plugins) -> Iterator[Problem]:
    """Names that are nearly those of plugins: a list that keeps out, or lets in, nobody is worth a word."""
    origins = [one.by for one in (*plugins.taken, *plugins.broken, *plugins.denied)]
    known = {name for origin in origins for name in (origin.plugin, origin.distribution) if name}
    for key, names in (("allow", listed.allow or ()), ("deny", listed.deny)):
        for name in sorted(names):
            if name not in known and (nearest := near(name, sorted(known))):
                yield Problem(f"there is no plugin `{name}`: did you mean `{nearest[0]}`?", (KEY, key), warning=True)
