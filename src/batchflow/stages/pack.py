"""A pack in the making: two objects that grow together."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from batchflow.machine.cost import reserve
from batchflow.model.errors import Unpriced
from batchflow.model.money import Nano, dollars
from batchflow.model.remote import Weight
from batchflow.model.state import Batch
from batchflow.stages.context import Row, encode_rows
from batchflow.stages.kit import Kit
from batchflow.stages.objects import LinesWriter


class Pack:
    """Collects rows for one batch. Use it as a context: leaving without `seal` leaves nothing behind."""

    def __init__(self, kit: Kit, *, retry: bool = False) -> None:
        self.id = kit.fresh()
        self.rows = 0
        self.params_bytes = 0
        """What the params take as lines, newlines and all: so they are stored, and so they are sent."""
        self._kit = kit
        self._retry = retry
        self._reserved: Nano = 0
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Pack":
        """Begin both objects."""
        blobs, prefix = self._kit.blobs, f"{self._kit.run}/{self.id}"
        requests = await self._stack.enter_async_context(blobs.create(f"{prefix}/requests"))
        context = await self._stack.enter_async_context(blobs.create(f"{prefix}/context"))
        self._requests, self._context = LinesWriter(requests, summed=False), LinesWriter(context)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Drop what was not sealed."""
        await self._stack.aclose()

    async def add(self, params: Sequence[bytes], rows: Sequence[Row]) -> None:
        """Append requests and what is known of each."""
        context = encode_rows(rows, self._kit.parts.source)
        for weight in self._kit.provider.weigh(params):
            self._reserved += self._reservation(weight)
        self.rows += len(rows)
        self.params_bytes += sum(map(len, params)) + len(params)
        await self._requests.write_values(params)
        await self._context.write([context], lines=len(rows), size=len(context))

    def _reservation(self, weight: Weight) -> Nano:
        price, budget = self._kit.prices.price(weight.model), self._kit.parts.rules.budget
        if price is None and budget is not None:
            raise Unpriced(
                f"no price is known for model `{weight.model}`, so the budget of {dollars(budget)} cannot be kept. Nothing of "
                "the batch that asks it was sent; what was sent before has come home",
                hint="check the model's spelling, take `budget` out, or install a plugin that brings its price "
                "(`register_prices`); then run it again",
            )
        return reserve(price, weight) if price else 0

    async def seal(self) -> Batch:
        """Make the objects durable and describe the batch that they are."""
        requests = await self._requests.finish()
        context = await self._context.finish()
        return Batch(
            id=self.id,
            run=self._kit.run,
            wake_at=self._kit.now(),
            count=self.rows,
            bytes=self.params_bytes,
            retry=self._retry,
            reserved=self._reserved,
            requests=requests,
            context=context,
        )
