"""What people read when something went wrong: what happened, what is known of money and data, what to type next."""

import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from batchflow.cli.exits import Exit, exit_of
from batchflow.cli.figures import count
from batchflow.cli.output import BOLD, RED, remark, styled
from batchflow.cli.streams import ReaderGone
from batchflow.model.errors import BatchflowError, Bug, ConfigError, PluginError

if TYPE_CHECKING:
    from batchflow.extend.offers import Offer


def tell(error: BaseException) -> Exit:
    """Say an error on standard error, and give its exit code."""
    found = known(error)
    if found is None or isinstance(found, Bug):
        return _bug(error)
    if isinstance(found, ReaderGone):
        return Exit.DELIVERED
    say(found)
    return exit_of(found)


def say(error: BatchflowError) -> None:
    """Say a known error: its places in the job file, its sentence, and the next thing to type."""
    if isinstance(error, ConfigError) and error.problems:
        remark("\n".join([*error.problems, ""]))
    remark(f"{styled('error:', RED)} {error.message}")
    if error.hint:
        remark(f"{styled('next:', BOLD)}  {error.hint}")


def interrupted(flying: int = 0) -> Exit:
    """Say that a key was pressed before anything was begun, or twice; `flying` requests are at the provider, or may be."""
    remark("interrupted. What was committed is safe; the same command goes on from there")
    if flying:
        remark(
            f"{styled('next:', BOLD)}  {count(flying, 'request')} may be at the provider, and will then be paid for. The same command "
            "finds them before it sends any of them again"
        )
    return Exit.INTERRUPTED


def of_command(offer: "Offer", error: Exception) -> BaseException:
    """Lay what a plugin's command raised at its door, with the line it came from."""
    if known(error) is not None:
        return error
    last = traceback.extract_tb(error.__traceback__)[-1]
    at = "" if last.name in {"_code_of", "_done"} else f" ({last.filename}:{last.lineno})"
    return PluginError(
        f"command `{offer.name}` of plugin {offer.by} failed: {type(error).__name__}: {error}{at}",
        hint="this is a fault of that plugin",
    )


def known(error: BaseException) -> BatchflowError | None:
    """Find what was raised on purpose, inside whatever task groups have wrapped around it."""
    return next(_known(error), None)


def _known(error: BaseException) -> Iterator[BatchflowError]:
    if isinstance(error, BatchflowError):
        yield error
    elif isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        for inner in group.exceptions:
            yield from _known(inner)


def _bug(error: BaseException) -> Exit:
    remark("".join(traceback.format_exception(error)))
    remark(
        f"{styled('error:', RED)} this is a mistake of batchflow's own ({type(error).__name__}: {error}). What was committed "
        "is safe: the state folder says what was sent, and the same command goes on from there"
    )
    remark(f"{styled('next:', BOLD)}  please report it, with the lines above")
    return Exit.BUG
