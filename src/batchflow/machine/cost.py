"""What a row cost, from its token counts.

    geo * [ input*P + write_5m*W5 + write_1h*W1 + read*R + output*O ] + searches * fee

with list prices per million tokens; a batch pays half of the bracket. No endpoint tells the price of a batch, so this
is the only way to know it.
"""

from collections.abc import Sequence

from batchflow.model.money import DOLLAR, Nano, Price
from batchflow.model.remote import Weight
from batchflow.model.result import Usage

BATCH_SHARE = 0.5
US_ONLY = 1.1
"""The surcharge for `inference_geo: us`; it stacks with everything else."""
SEARCH: Nano = DOLLAR // 100
"""One web search. Nobody says that batches get it cheaper, so they do not."""
_PER_TOKEN = DOLLAR / 1_000_000


def cost(price: Price, usage: Usage, *, batch: bool) -> tuple[Nano, Nano]:
    """Says what was paid, and what the same answer costs at list price."""
    written = usage.cache_creation_input_tokens or 0
    read = usage.cache_read_input_tokens or 0
    fresh = usage.input_tokens or 0
    if price.above is not None and price.long is not None and fresh + read + written > price.above:
        price = price.long
    tokens = fresh * price.input + (usage.output_tokens or 0) * price.output
    tokens += read * price.read + _writes(price, usage, written)
    tokens *= _PER_TOKEN
    if usage.inference_geo == "us":
        tokens *= US_ONLY
    fees = _fees(usage)
    return round(tokens * BATCH_SHARE if batch else tokens) + fees, round(tokens) + fees


def costs(price: Price, usages: Sequence[Usage], *, batch: bool) -> list[tuple[Nano, Nano]]:
    """Says of each answer what `cost` says, in a fraction of the time where all of them are plain."""
    fresh, output = price.input * _PER_TOKEN, price.output * _PER_TOKEN
    if price.above is not None or not batch or fresh % 2 or output % 2 or _with_extras(usages):
        return [cost(price, usage, batch=batch) for usage in usages]
    # Whole and even, as prices are: half of any sum of them is whole too, and nothing needs to be rounded.
    fresh, output = int(fresh), int(output)
    listed = [(usage.input_tokens or 0) * fresh + (usage.output_tokens or 0) * output for usage in usages]
    return [(tokens // 2, tokens) for tokens in listed]


def total(price: Price, usages: Sequence[Usage], *, batch: bool) -> tuple[Nano, Nano]:
    """Says the same of several answers of one model: those without cache, tools or bands by the sum of their tokens."""
    apart = usages if price.above is not None else _with_extras(usages)
    summed = [cost(price, usage, batch=batch) for usage in apart]
    fresh = sum([usage.input_tokens or 0 for usage in usages]) - sum([usage.input_tokens or 0 for usage in apart])
    output = sum([usage.output_tokens or 0 for usage in usages]) - sum([usage.output_tokens or 0 for usage in apart])
    summed.append(cost(price, Usage(input_tokens=fresh, output_tokens=output), batch=batch))
    return sum([paid for paid, _ in summed]), sum([listed for _, listed in summed])


def _with_extras(usages: Sequence[Usage]) -> list[Usage]:
    """Picks those for which more than fresh input and output was billed: written out, since it looks at every answer."""
    return [
        usage
        for usage in usages
        if usage.cache_read_input_tokens
        or usage.cache_creation_input_tokens
        or usage.inference_geo == "us"
        or ((tools := usage.server_tool_use) is not None and tools.web_search_requests)
        or (
            (split := usage.cache_creation) is not None
            and (split.ephemeral_5m_input_tokens or split.ephemeral_1h_input_tokens)
        )
    ]


def token_counts(usages: Sequence[Usage]) -> tuple[int, int]:
    """Counts what the model read (fresh, from the cache, or on its way into the cache), and what it wrote."""
    read = [
        (usage.input_tokens or 0) + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
        for usage in usages
    ]
    return sum(read), sum([usage.output_tokens or 0 for usage in usages])


def _writes(price: Price, usage: Usage, written: int) -> float:
    """Prices cache writes by how long they stay; what is not split was written for five minutes, the default."""
    split = usage.cache_creation
    hour = (split.ephemeral_1h_input_tokens or 0) if split else 0
    short = (split.ephemeral_5m_input_tokens or 0) if split else 0
    return max(written - hour, short) * price.write_5m + hour * price.write_1h


def _fees(usage: Usage) -> Nano:
    tools = usage.server_tool_use
    return ((tools.web_search_requests or 0) if tools else 0) * SEARCH


def unpriced(reserved: Nano, count: int) -> tuple[Nano, Nano]:
    """Says what is booked for an answer that names no model of a known price: the most that its request may have cost."""
    most = reserved // max(count, 1)
    return most, round(most / BATCH_SHARE)


def reserve(price: Price, weight: Weight) -> Nano:
    """Say what some requests may cost in a batch: their estimated input, and all the output they are allowed."""
    tokens = weight.input_tokens * price.input + weight.max_output_tokens * price.output
    return round(tokens * _PER_TOKEN * BATCH_SHARE)
