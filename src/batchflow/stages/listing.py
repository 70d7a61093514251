"""How the provider's two long answers are walked through: its listing, newest first, and a file of results."""

from collections.abc import AsyncGenerator, Collection, Sequence
from io import BytesIO

from batchflow.model.remote import RemoteBatch
from batchflow.stages.kit import Kit


async def list_until(kit: Kit, since: float, wanted: Collection[str] | None = None) -> list[RemoteBatch]:
    """List batches created at or after `since`; stop early once every wanted id was met."""
    found: list[RemoteBatch] = []
    missing = set(wanted) if wanted is not None else None
    pages = kit.provider.list()
    try:
        async for page in pages:
            found += page.batches
            if missing is not None:
                missing.difference_update(remote.id for remote in page.batches)
            if missing == set() or _passed(page.batches, since):
                break
    finally:
        await pages.aclose()
    return found


def _passed(page: Sequence[RemoteBatch], since: float) -> bool:
    """Tell whether all that comes after this page is older.

    A listing that begins with the oldest is read to its end: taken for one that begins with the newest, it would hide
    exactly the batch that is looked for.
    """
    return bool(page) and page[-1].created_at < since and page[0].created_at >= page[-1].created_at


async def result_lines(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[tuple[list[bytes], int]]:
    """Cut a stream of bytes behind newlines, and nowhere else: JSON text may hold every other line separator.

    Every line comes with its newline, the last one too, and those that are blank do not come at all.
    """
    rest: list[bytes] = []
    try:
        async for piece in pieces:
            cut = piece.rfind(b"\n") + 1
            if not cut:
                rest.append(piece)
                continue
            whole = BytesIO(b"".join([*rest, memoryview(piece)[:cut]]))
            lines = [line for line in whole.readlines() if not line.isspace()]
            rest = [piece[cut:]] if cut < len(piece) else []
            if lines:
                yield lines, sum(map(len, lines))
    finally:
        await pieces.aclose()
    last = b"".join(rest)
    if last.strip():
        yield [last + b"\n"], len(last) + 1
