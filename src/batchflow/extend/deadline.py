"""Plain code of plugins, called with a deadline: what never comes back holds up nobody for ever.

It is called in a thread of its own, for nothing else can be waited for no longer than is decent. The thread is a daemon, so
that code which never comes back keeps no process from ending.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, TypeVar

from batchflow.extend.quantities import seconds
from batchflow.model.errors import spoken
from batchflow.model.stack import top_frame

T = TypeVar("T")
_log = logging.getLogger("batchflow")
VARIABLE = "BATCHFLOW_PLUGINS_TIMEOUT"
USUAL = 60.0
"""Seconds for an import, a `register_*` hook, a loader or a secret store."""
_IMPORTING = "<frozen importlib._bootstrap>"


class Hung(Exception):
    """It did not come back in time; the text says so, and at which line it is."""


class Quit(Exception):
    """It raised what ends a thread or a process and is no `Exception`; the text names it."""


def patience() -> float:
    """Say how long plain code of a plugin may take."""
    written = os.environ.get(VARIABLE, "")
    try:
        return seconds(written) if written else USUAL
    except ValueError:
        return USUAL


def within(limit: float, work: Callable[[], T]) -> T:
    """Do it and give what it gives; raise what it raises, `Quit` for what is no `Exception`, and `Hung` where it stays away.

    In the middle of an import it is done at once, without a deadline: a thread would wait for that import.
    """
    if _is_importing():
        return _done(work)
    given: list[T] = []
    raised: list[Exception] = []
    over = threading.Event()

    def run() -> None:
        try:
            given.append(_done(work))
        except Exception as error:  # noqa: BLE001 - it is raised again, where it was asked for
            raised.append(error)
        finally:
            over.set()

    thread = threading.Thread(target=copy_context().run, args=(run,), name="batchflow plugin", daemon=True)
    thread.start()
    if not over.wait(limit):
        at = _line(thread)
        raise Hung(f"it did not come back within {limit:g} s{f' (it is at {at})' if at else ''}")
    if raised:
        raise raised[0]
    return given[0]


@contextmanager
def missed(who: str) -> Generator[None]:
    """Names whoever keeps everybody waiting: what is made here belongs to this thread, so it cannot be given up."""
    here, limit = threading.current_thread(), patience()

    def tell() -> None:
        _log.warning("nothing goes on: %s has not been made within %g s (it is at %s)", who, limit, _line(here))

    timer = threading.Timer(limit, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def told(error: BaseException) -> str:
    """Say an error of a plugin; `Hung` and `Quit` are ours, and their text says all."""
    return str(error) if isinstance(error, Hung | Quit) else spoken(error)


def _done(work: Callable[[], T]) -> T:
    try:
        return work()
    except Exception:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            raise  # that is a person
        quit_ = Quit(told(error))
        raise quit_.with_traceback(error.__traceback__) from error


def _is_importing() -> bool:
    frame = sys._getframe()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the one way to see who called
    while frame := frame.f_back:
        if frame.f_code.co_filename == _IMPORTING:
            return True
    return False


def _line(thread: threading.Thread) -> str:
    """Name the line that ours has called, and not what that waits in."""
    frame = top_frame(thread.ident or 0)
    found = ""
    while frame is not None and not _is_ours(frame.f_globals):
        if "importlib" not in str(frame.f_globals.get("__name__")):
            found = f"{_shown(frame.f_code.co_filename)}:{frame.f_lineno}"
        frame = frame.f_back
    return found


def _is_ours(names: dict[str, Any]) -> bool:
    return str(names.get("__name__")).partition(".")[0] == "batchflow"


def _shown(file: str) -> str:
    here = os.path.relpath(file)
    return file if here.startswith("..") else here
