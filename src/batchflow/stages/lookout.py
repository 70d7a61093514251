"""What this process has seen of the provider's side. A cache: a restart looks again."""

import contextlib
from collections import Counter

import anyio

from batchflow.model.errors import NoListing
from batchflow.stages.kit import Kit

DIRECT = 4
"""Every so many looks a batch is asked for by its id: a listing may lag behind, or leave one out."""


class Lookout:
    """The newest creation time seen, by the server's clock, and how often each batch was looked at."""

    def __init__(self) -> None:
        self._newest: float | None = None
        self._looks = Counter[str]()
        self.turn = anyio.Lock()
        """Held while an intent is prepared."""

    def seen(self, created_at: float) -> None:
        """Move the mark up."""
        if self._newest is None or created_at > self._newest:
            self._newest = created_at

    async def watermark(self, kit: Kit) -> float:
        """Give the mark; the first time, list once. An empty workspace gives the server's time of that reply.

        Where there is no listing there is no mark until the first create is answered: 0.0, before which nothing is. That
        is safe: it leaves out no candidate, should a listing be there when one is looked for.
        """
        if self._newest is None:
            with contextlib.suppress(NoListing):
                await self._look(kit)
        return self._newest or 0.0

    async def _look(self, kit: Kit) -> None:
        pages = kit.provider.list()
        try:
            async for page in pages:
                self.seen(max((remote.created_at for remote in page.batches), default=page.server_now))
                break
        finally:
            await pages.aclose()

    def direct(self, batch: str) -> bool:
        """Tell whether this look at a batch should go to the batch itself: the first one, and some later ones."""
        self._looks[batch] += 1
        return self._looks[batch] % DIRECT == 1
