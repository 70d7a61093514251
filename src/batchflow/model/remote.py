"""What a provider says about its side, in words that are nobody's wire format."""

import msgspec


class RemoteBatch(msgspec.Struct, frozen=True, kw_only=True):
    """One batch as its provider shows it. Times are seconds since the epoch by the provider's clock."""

    id: str
    ended: bool
    canceling: bool = False
    count: int
    """Requests in it: the sum of all its counters; 0 where the provider does not say, so it may be any batch's."""
    succeeded: int = 0
    errored: int = 0
    canceled: int = 0
    expired: int = 0
    created_at: float
    """A provider that does not tell gives the time of its reply: such a batch must not pass for an old one."""
    expires_at: float | None = None
    ended_at: float | None = None
    archived: bool = False


class ListPage(msgspec.Struct, frozen=True):
    """One page of a listing, newest first. `server_now` is the reply's Date, 0.0 where there is none."""

    batches: tuple[RemoteBatch, ...]
    server_now: float


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one batch may hold."""

    requests: int
    bytes: int
    record_bytes: int


class Weight(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate for some requests to one model: tokens in, and the most that may come out."""

    model: str
    requests: int
    input_tokens: int
    max_output_tokens: int
