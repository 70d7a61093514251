"""What all our blob stores have in common: pieces, and how damage is told."""

from batchflow.model.blob import Blob
from batchflow.model.errors import ObjectDamaged

PIECE = 256 * 1024
"""Bytes that go to a disk or come from it at once: enough to make a thread's hop cheap, little enough for the budget."""

_HINT = (
    "Put it back from a copy of the state folder, then run the same command again. `batchflow doctor` says what can be done "
    "without a copy."
)


def missing(blob: Blob, place: str) -> ObjectDamaged:
    """There is nothing under that name."""
    return ObjectDamaged(
        f"The object {blob.name} is missing: there is nothing at {place}. "
        f"The state says that it was written whole ({blob.size} bytes), so somebody has removed it since.",
        hint=_HINT,
    )


def wrong_size(blob: Blob, place: str, size: int) -> ObjectDamaged:
    """There is more or less than was written."""
    return ObjectDamaged(
        f"The object {blob.name} is damaged: {place} has {size} bytes, and {blob.size} were written. "
        "Nothing of it was used.",
        hint=_HINT,
    )


def wrong_bytes(blob: Blob, place: str) -> ObjectDamaged:
    """The bytes are not those that were written."""
    return ObjectDamaged(
        f"The object {blob.name} is damaged: the {blob.size} bytes at {place} are not those that were written "
        "(their checksum differs): a failing disk, or somebody has changed them.",
        hint=_HINT,
    )
