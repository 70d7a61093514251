"""One walk down the provider's listing, newest first, as far as somebody needs it."""

from collections.abc import Collection

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
            if missing == set() or any(remote.created_at < since for remote in page.batches):
                break
    finally:
        await pages.aclose()
    return found
