"""The prompt cache as usage shows it: a hash of the prefix up to each breakpoint, with a time to live and misses.

Rows of a batch run side by side, so a hit is never certain; a seeded share of them misses.
"""

from hashlib import blake2b

import msgspec

from batchflow.sim.answers import block_size, tokens_in
from batchflow.sim.draw import digest
from batchflow.sim.models import Model
from batchflow.sim.shapes import Object, canonical, mapping, objects
from batchflow.sim.validate import prompt_blocks

_TTL = {"5m": 300.0, "1h": 3600.0}


class Traffic(msgspec.Struct, frozen=True):
    """Tokens written to the cache for five minutes and for an hour, and read from it."""

    written_5m: int = 0
    written_1h: int = 0
    read: int = 0

    @property
    def total(self) -> int:
        """All tokens that went through the cache instead of being plain input."""
        return self.written_5m + self.written_1h + self.read


NOTHING = Traffic()


class PromptCache:
    """What is cached per workspace and model, until when."""

    def __init__(self, seed: int, miss_rate: float) -> None:
        self._seed = seed
        self._miss_rate = miss_rate
        self._until: dict[bytes, float] = {}

    def serve(self, params: Object, model: Model, workspace: str, now: float) -> Traffic:
        """Runs one request through the cache."""
        marks = _breakpoints(params, model, workspace)
        if not marks:
            return NOTHING
        lucky = self._lucky(params)
        hit = max((size for key, size, _ in marks if lucky and self._until.get(key, 0.0) > now), default=0)
        written = {"5m": 0, "1h": 0}
        edge = hit
        for key, size, ttl in marks:
            if size > edge:
                written[ttl] += size - edge
                edge = size
            self._until[key] = max(self._until.get(key, 0.0), now + _TTL[ttl])
        return Traffic(written["5m"], written["1h"], hit)

    def _lucky(self, params: Object) -> bool:
        return (digest(self._seed, "cache", canonical(params)) >> 11) / (1 << 53) >= self._miss_rate


def _breakpoints(params: Object, model: Model, workspace: str) -> list[tuple[bytes, int, str]]:
    """(prefix hash, tokens in the prefix, ttl) at every breakpoint that is long enough to be cached."""
    marks: list[tuple[bytes, int, str]] = []
    hasher = blake2b(f"{workspace}\n{model.id}\n".encode(), digest_size=16)
    size = 0
    blocks = list(_with_strings(params))
    automatic = mapping(params.get("cache_control"))
    for index, block in enumerate(blocks):
        control = mapping(block.get("cache_control"))
        if control is None and automatic is not None and index == len(blocks) - 1:
            control = automatic
        hasher.update(canonical({key: value for key, value in block.items() if key != "cache_control"}))
        size += block_size(block)
        if control is not None and tokens_in(size) >= model.cache_minimum:
            ttl = control.get("ttl", "5m")
            marks.append((hasher.digest(), tokens_in(size), ttl if ttl in _TTL else "5m"))
    return marks


def _with_strings(params: Object) -> list[Object]:
    """The prompt's blocks, a plain string counting as one text block."""
    plain = not isinstance(params.get("system"), str) and not any(
        isinstance(message.get("content"), str) for message in objects(params.get("messages"))
    )
    if plain:
        return list(prompt_blocks(params))
    blocks = objects(params.get("tools")) + _blocks_of(params.get("system"))
    for message in objects(params.get("messages")):
        blocks += _blocks_of(message.get("content"))
    return blocks


def _blocks_of(content: object) -> list[Object]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else objects(content)
