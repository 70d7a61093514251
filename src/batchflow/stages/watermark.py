"""How far down a listing a lost batch can be: the newest batch seen before it was sent."""

from batchflow.stages.kit import Kit


class Watermark:
    """The newest `created_at` that this process has seen, by the server's clock. A cache: a restart lists again."""

    def __init__(self) -> None:
        self._newest: float | None = None

    def seen(self, created_at: float) -> None:
        """Move the mark up."""
        if self._newest is None or created_at > self._newest:
            self._newest = created_at

    async def get(self, kit: Kit) -> float:
        """Give the mark; the first time, list once. An empty workspace gives the server's time of that reply."""
        if self._newest is None:
            pages = kit.provider.list()
            try:
                async for page in pages:
                    self.seen(page.batches[0].created_at if page.batches else page.server_now)
                    break
            finally:
                await pages.aclose()
        return self._newest or 0.0
