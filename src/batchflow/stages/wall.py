"""The wall between batchflow and code it did not write: whatever a part raises comes out named and understood."""

from collections.abc import Generator
from contextlib import contextmanager

from batchflow.model.errors import BatchflowError, PluginError


def blame(part: object, doing: str, error: Exception) -> PluginError:
    """Lay an unexpected error at the door of the part that raised it."""
    kind = type(part)
    return PluginError(
        f"{kind.__module__}.{kind.__qualname__} failed {doing}: {type(error).__name__}: {error}",
        hint="mend it and run the same command again: what was committed is kept, and nothing is paid twice",
    )


@contextmanager
def wall(part: object, doing: str) -> Generator[None]:
    """Let our own errors pass, and name the part that raised any other. For calls per chunk, not per record."""
    try:
        yield
    except BatchflowError:
        raise
    except Exception as error:
        raise blame(part, doing, error) from error
