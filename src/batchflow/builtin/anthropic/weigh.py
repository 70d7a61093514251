"""Estimates tokens from bytes: for reservations and plans, where a call of the counting endpoint per row is not to be had."""

from collections.abc import Sequence
from typing import Any

import msgspec

from batchflow.model.remote import Weight

BYTES_PER_TOKEN = 3.0
"""English prose is nearer to four; newer tokenizers and code are nearer to three, and a reservation must not be too low."""


class _Head(msgspec.Struct, gc=False):
    model: str = ""
    max_tokens: int = 0


class _OddHead(msgspec.Struct):
    model: Any = ""


_decode = msgspec.json.Decoder(_Head).decode


def weigh(params: Sequence[bytes]) -> list[Weight]:
    """Sums up some requests by model."""
    sums: dict[str, list[int]] = {}
    for one in params:
        head = _head(one)
        total = sums.get(head.model)
        if total is None:
            sums[head.model] = [1, len(one), head.max_tokens]
        else:
            total[0] += 1
            total[1] += len(one)
            total[2] += head.max_tokens
    return [
        Weight(model=model, requests=n, input_tokens=int(size / BYTES_PER_TOKEN), max_output_tokens=most)
        for model, (n, size, most) in sums.items()
    ]


def _head(params: bytes) -> _Head:
    try:
        return _decode(params)
    except ValueError:  # what the API will refuse for this row must not stop the others
        model = msgspec.json.decode(params, type=_OddHead).model
        return _Head(model if isinstance(model, str) else "")
