"""What a run would send and cost, from reading the source as the run would. Nothing is sent and nothing is written.

An estimate, and an honest one: tokens in are bytes by three, which is more than most texts have; tokens out are all that
`max_tokens` allows, which answers seldom use. What is paid is less, unless answers have to be asked for again.
"""

from array import array
from collections.abc import AsyncGenerator, Sequence
from typing import Literal

import msgspec
from xxhash import xxh3_64_intdigest

from batchflow.machine.cost import BATCH_SHARE, reserve
from batchflow.machine.packing import target_rows
from batchflow.model.errors import PluginError, SourceError
from batchflow.model.money import DOLLAR
from batchflow.model.record import Page, Record, Skip, Unreadable
from batchflow.model.remote import Weight
from batchflow.ports.builder import BuildError
from batchflow.ports.prices import Prices
from batchflow.ports.provider import Provider
from batchflow.ports.source import OneShot
from batchflow.stages.ask import requests_of
from batchflow.stages.draft import TOKEN_LENGTH
from batchflow.stages.kit import Parts

EXAMPLES = 5
BUCKETS = 256
BUDGET = Literal["none", "fits", "may run out", "too small", "cannot be kept"]


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """What one model would be asked, and what that may cost in dollars."""

    model: str
    requests: int
    input_tokens: int
    max_output_tokens: int
    priced: bool
    at_most: float
    list_at_most: float


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What a run would do."""

    job: str
    records: int
    unreadable: int
    unbuildable: int
    skipped: int
    duplicates: int
    requests: int
    bytes: int
    batches: int
    examples: tuple[str, ...]
    """Records that would never become requests, each with its reason."""
    models: tuple[Outlook, ...]
    at_most: float
    list_at_most: float
    budget: float | None
    verdict: BUDGET
    sample: msgspec.Raw | None
    sample_key: str


class Census:
    """Counts keys that come twice, exactly up to a 64-bit hash, at eight bytes a key."""

    def __init__(self) -> None:
        self._buckets = [array("Q") for _ in range(BUCKETS)]

    def add(self, key: str) -> None:
        """Count one."""
        hashed = xxh3_64_intdigest(key.encode())
        self._buckets[hashed % BUCKETS].append(hashed)

    def doubles(self) -> int:
        """Say how many came again, one bucket in memory at a time."""
        return sum(len(bucket) - len(set(bucket)) for bucket in self._buckets)


class Forecaster:
    """Walks a source once, building and weighing what it gives."""

    def __init__(self, job: str, parts: Parts, provider: Provider, prices: Prices) -> None:
        self.records = self.unreadable = self.unbuildable = self.skipped = self.requests = self.bytes = 0
        self._job = job
        self._parts = parts
        self._provider = provider
        self._prices = prices
        self._keys = Census()
        self._examples: list[str] = []
        self._weights: dict[str, list[int]] = {}
        self._packs = Packs(parts, provider)
        self._sample: tuple[str, bytes] | None = None

    async def walk(self) -> AsyncGenerator[int]:
        """Read everything, yielding the number of records after each page."""
        source = self._parts.source
        if isinstance(source, OneShot) and source.one_shot:
            raise SourceError(
                f"job {self._job}: its source can be read only once, so `plan` does not walk it: what it took, a run would miss",
                hint="`batchflow validate` checks the job without reading; `budget:` keeps a run within a sum",
            )
        pages = source.read(None)
        try:
            async for page in pages:
                if not isinstance(page, Page):
                    break
                self._page(page)
                yield self.records
        finally:
            if isinstance(pages, AsyncGenerator):
                await pages.aclose()

    def forecast(self) -> Forecast:
        """Sum up what was seen."""
        models = tuple(self._outlook(model, *sums) for model, sums in self._weights.items())
        at_most = sum(model.at_most for model in models)
        budget = self._parts.rules.budget
        key, sample = self._sample or ("", b"")
        return Forecast(
            job=self._job,
            records=self.records,
            unreadable=self.unreadable,
            unbuildable=self.unbuildable,
            skipped=self.skipped,
            duplicates=self._keys.doubles(),
            requests=self.requests,
            bytes=self.bytes,
            batches=self._packs.count,
            examples=tuple(self._examples),
            models=models,
            at_most=at_most,
            list_at_most=sum(model.list_at_most for model in models),
            budget=None if budget is None else budget / DOLLAR,
            verdict=_verdict(
                budget, round(at_most * DOLLAR), self._packs.count, priced=all(one.priced for one in models)
            ),
            sample=msgspec.Raw(sample) if sample else None,
            sample_key=key,
        )

    def _page(self, page: Page) -> None:
        built: list[bytes] = []
        for item in page.items:
            self.records += 1
            if item.key:
                self._keys.add(item.key)
            built += self._built(item)
        if not built:
            return
        for weight in self._provider.weigh(built):
            sums = self._weights.setdefault(weight.model, [0, 0, 0])
            for place, number in enumerate((weight.requests, weight.input_tokens, weight.max_output_tokens)):
                sums[place] += number

    def _built(self, item: Record | Unreadable) -> Sequence[bytes]:
        if isinstance(item, Unreadable):
            self.unreadable += 1
            self._remember(item.origin, item.reason)
            return ()
        made = self._made(item)
        if isinstance(made, Skip):
            self.skipped += 1
            return ()
        if isinstance(made, str):
            self.unbuildable += 1
            self._remember(item.origin, made)
            return ()
        if self._sample is None and made:
            self._sample = (item.key, made[0])
        self.requests += len(made)
        self.bytes += sum(map(len, made))
        self._packs.add(made)
        return made

    def _made(self, record: Record) -> list[bytes] | Skip | str:
        """Build one record's requests; a text is the reason why it cannot be."""
        try:
            made = self._parts.builder.build(record)
        except BuildError as error:
            return str(error)
        except Exception as error:
            raise PluginError(
                f"the builder failed at record {record.key!r} ({record.origin}): {type(error).__name__}: {error}",
                hint="mend the builder; nothing was sent",
            ) from error
        encoded = requests_of(self._parts.builder, record, made)
        if isinstance(encoded, Skip):
            return encoded
        longest, most = max(map(len, encoded), default=0), self._provider.limits().record_bytes
        return encoded if longest <= most else f"the request is {longest:,} bytes; the most is {most:,}"

    def _remember(self, origin: str, reason: str) -> None:
        if len(self._examples) < EXAMPLES:
            self._examples.append(f"{origin}: {reason}")

    def _outlook(self, model: str, requests: int, input_tokens: int, max_output_tokens: int) -> Outlook:
        price = self._prices.price(model)
        weight = Weight(model=model, requests=requests, input_tokens=input_tokens, max_output_tokens=max_output_tokens)
        at_most = reserve(price, weight) / DOLLAR if price else 0.0
        return Outlook(
            model=model,
            requests=requests,
            input_tokens=input_tokens,
            max_output_tokens=max_output_tokens,
            priced=price is not None,
            at_most=at_most,
            list_at_most=at_most / BATCH_SHARE,
        )


class Packs:
    """Counts the batches that a run would cut."""

    def __init__(self, parts: Parts, provider: Provider) -> None:
        rules, limits = parts.rules.batch, provider.limits()
        most = min(rules.max_requests, limits.requests)
        around = provider.body_bytes(count=most, params_bytes=0, token_length=TOKEN_LENGTH)
        # A run draws each pack's size from a small range; half-way is what it draws on average.
        self._rows = target_rows(most, 0.5, ())
        self._bytes = max(1, min(rules.max_bytes, limits.bytes) - around)
        self._held = self._weight = 0
        self.count = 0

    def add(self, params: Sequence[bytes]) -> None:
        """Put one record's requests into the open pack, or the next."""
        size = sum(map(len, params)) + len(params)
        if not self.count or self._held + len(params) > self._rows or self._weight + size > self._bytes:
            self.count += 1
            self._held = self._weight = 0
        self._held += len(params)
        self._weight += size


def _verdict(budget: int | None, at_most: int, batches: int, *, priced: bool) -> BUDGET:
    if budget is None:
        return "none"
    if not priced:
        return "cannot be kept"
    if at_most <= budget:
        return "fits"
    return "too small" if at_most > budget * max(batches, 1) else "may run out"
