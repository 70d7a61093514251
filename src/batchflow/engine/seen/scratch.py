"""What to say when the scratch folder cannot be used."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from batchflow.model.errors import StoreUnavailable


@contextmanager
def scratch(folder: Path) -> Generator[None]:
    """Turns an `OSError` inside of the block into one that says what was being done, and that nothing is lost."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(
            f"cannot keep track of keys in {folder}: {error.strerror}",
            hint="nothing is lost: make room there and run again",
        ) from error


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for their owner's eyes only: keys may be names of people."""
    for one in reversed((folder, *folder.parents)):
        if not one.exists():
            one.mkdir(mode=0o700, exist_ok=True)
