"""The wall between batchflow and code it did not write: whatever a part raises or gives comes out named and understood."""

import os
import reprlib
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from functools import partial
from importlib.metadata import entry_points
from inspect import iscoroutine
from pathlib import Path
from traceback import walk_tb
from typing import Any, cast

from batchflow.model.errors import BatchflowError, PluginError, PluginRaised, spoken

FILES = "batchflow_files_"
"""How the names of modules begin that are plugin files (`extend.files`): nobody wrote that name, and nobody knows it."""
MEND = "mend it and run the same command again: what was committed is kept, and nothing is paid twice"


def named(part: object) -> str:
    """Name a part as whoever wrote it knows it: a function by its own name, anything else by its class."""
    kind = _maker(part)
    module = str(getattr(kind, "__module__", None) or "")
    whence = _whence(module) if is_foreign(part) else ""
    module = module.rpartition(".")[2] if module.startswith(FILES) else module
    return f"{module}.{kind.__qualname__}{whence}" if module else kind.__qualname__


def is_foreign(part: object) -> bool:
    """Tell whether a part is code of others. What Python itself brings, such as a list of records, is nobody's."""
    module = str(getattr(_maker(part), "__module__", None) or "")
    return module.partition(".")[0] not in {"batchflow", "builtins", ""}


def _maker(part: object) -> Any:
    """Find the function or the class that a part is made of."""
    inner: Any = getattr(part, "__wrapped__", part)
    while isinstance(inner, partial):
        inner = inner.func
    return inner if hasattr(inner, "__qualname__") else cast("Any", type(inner))


def _whence(module: str) -> str:
    """Say which distribution a plugin's module came with, or which file it is."""
    if module.startswith(FILES):
        return f" ({shown(getattr(sys.modules.get(module), '__file__', None))})"
    root = module.partition(".")[0]
    for point in entry_points(group="batchflow"):
        if point.module.partition(".")[0] == root and point.dist:
            return f" ({point.dist.name} {point.dist.version})"
    return ""


def shown(file: str | None) -> str:
    """Write a file's name as a person would from here."""
    return os.path.relpath(file) if file and Path(file).is_relative_to(Path.cwd()) else str(file)


def blame(part: object, doing: str, error: BaseException) -> PluginRaised:
    """Lay an unexpected error at the door of the part that raised it."""
    return PluginRaised(f"{named(part)} failed {doing}: {spoken(error)}", hint=MEND)


def misgiven(part: object, doing: str, given: object, wanted: str) -> PluginError:
    """Lay a thing that nobody can use at the door of the part that gave it."""
    if iscoroutine(given):
        given.close()  # nobody will await it, and Python would say so somewhere else
    forgotten = "; is a `return` missing?" if given is None else ""
    shown = "None" if given is None else f"{reprlib.repr(given)} ({type(given).__qualname__})"
    return PluginError(f"{named(part)} gave {shown} {doing}, not {wanted}{forgotten}", hint=MEND)


def of_job(job: str, error: PluginError) -> PluginError:
    """Name the job, too: a command may run several, and a part may serve them all."""
    named = type(error)(f"job {job}: {error.message}", hint=error.hint)
    named.__cause__ = error.__cause__
    return named


def raised_in(error: BaseException, parts: Iterable[object]) -> object | None:
    """Find the part, of code of others, that an error has come out of."""
    modules = {str(frame.f_globals.get("__name__")) for frame, _ in walk_tb(error.__traceback__)}
    return next((part for part in parts if is_foreign(part) and _maker(part).__module__ in modules), None)


@contextmanager
def wall(part: object, doing: str) -> Generator[None]:
    """Let our own errors pass, and name the part that raised any other. For calls per chunk, not per record.

    Code of others that wants to end the process has failed, too: it would end the other jobs with it.
    """
    try:
        yield
    except BatchflowError:
        raise
    except (Exception, SystemExit) as error:
        raise blame(part, doing, error) from error
