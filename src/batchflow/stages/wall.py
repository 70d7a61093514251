"""The wall between batchflow and code it did not write: whatever a part raises or gives comes out named and understood."""

import reprlib
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from inspect import iscoroutine
from typing import Any, cast

from batchflow.model.errors import BatchflowError, PluginError

MEND = "mend it and run the same command again: what was committed is kept, and nothing is paid twice"


def named(part: object) -> str:
    """Name a part as whoever wrote it knows it: a function by its own name, anything else by its class."""
    inner: Any = getattr(part, "__wrapped__", part)
    while isinstance(inner, partial):
        inner = inner.func
    kind: Any = inner if hasattr(inner, "__qualname__") else cast("Any", type(inner))
    module = getattr(kind, "__module__", None)
    return f"{module}.{kind.__qualname__}" if module else kind.__qualname__


def blame(part: object, doing: str, error: Exception) -> PluginError:
    """Lay an unexpected error at the door of the part that raised it."""
    return PluginError(f"{named(part)} failed {doing}: {type(error).__name__}: {error}", hint=MEND)


def misgiven(part: object, doing: str, given: object, wanted: str) -> PluginError:
    """Lay a thing that nobody can use at the door of the part that gave it."""
    if iscoroutine(given):
        given.close()  # nobody will await it, and Python would say so somewhere else
    forgotten = "; is a `return` missing?" if given is None else ""
    shown = "None" if given is None else f"{reprlib.repr(given)} ({type(given).__qualname__})"
    return PluginError(f"{named(part)} gave {shown} {doing}, not {wanted}{forgotten}", hint=MEND)


def of_job(job: str, error: PluginError) -> PluginError:
    """Name the job, too: a command may run several, and a part may serve them all."""
    named = PluginError(f"job {job}: {error.message}", hint=error.hint)
    named.__cause__ = error.__cause__
    return named


@contextmanager
def wall(part: object, doing: str) -> Generator[None]:
    """Let our own errors pass, and name the part that raised any other. For calls per chunk, not per record."""
    try:
        yield
    except BatchflowError:
        raise
    except Exception as error:
        raise blame(part, doing, error) from error
