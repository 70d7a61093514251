"""Batches and listings as the API writes them, read into batchflow's own values.

Everything but the id may be absent or null. A time that is not told must not look old, for a listing is how a lost
batch is found again: a batch without `created_at` counts as created when the listing was made.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from batchflow.model.remote import ListPage, RemoteBatch


class _Counts(msgspec.Struct, frozen=True):
    processing: int | None = 0
    succeeded: int | None = 0
    errored: int | None = 0
    canceled: int | None = 0
    expired: int | None = 0


class _Batch(msgspec.Struct, frozen=True):
    id: str
    processing_status: str | None = None
    request_counts: _Counts | None = None
    created_at: str | None = None
    expires_at: str | None = None
    ended_at: str | None = None
    cancel_initiated_at: str | None = None
    archived_at: str | None = None


class _Page(msgspec.Struct, frozen=True):
    data: list[_Batch]
    has_more: bool | None = None
    last_id: str | None = None


class Leaf(msgspec.Struct, frozen=True):
    """One page of a listing, and the id after which the next begins (None: there is none)."""

    page: ListPage
    next: str | None


_BATCH = msgspec.json.Decoder(_Batch)
_PAGE = msgspec.json.Decoder(_Page)
_NO_COUNTS = _Counts()


def read_batch(body: bytes, headers: Mapping[str, str]) -> RemoteBatch:
    """Reads one batch; raises ValueError where there is none to read."""
    told = _BATCH.decode(body)
    if not told.id:
        raise ValueError("a batch without an id")
    return _batch(told, server_now(headers))


def read_page(body: bytes, headers: Mapping[str, str], *, asked: int) -> Leaf:
    """Reads one page of a listing that was `asked` for so many batches; raises ValueError where it cannot be read."""
    told = _PAGE.decode(body)
    now = server_now(headers)
    batches = tuple([_batch(one, now) for one in told.data])
    more = told.has_more if told.has_more is not None else len(batches) >= asked
    last = told.last_id or (batches[-1].id if batches else None)
    return Leaf(ListPage(batches, now), last if more and batches else None)


def server_now(headers: Mapping[str, str]) -> float:
    """The reply's Date in seconds since the epoch; 0.0 where the server does not tell the time."""
    try:
        return parsedate_to_datetime(headers.get("date", "")).timestamp()
    except ValueError:
        return 0.0


def _batch(told: _Batch, now: float) -> RemoteBatch:
    counts = told.request_counts or _NO_COUNTS
    succeeded, errored = counts.succeeded or 0, counts.errored or 0
    canceled, expired = counts.canceled or 0, counts.expired or 0
    created_at, status = _moment(told.created_at), told.processing_status
    return RemoteBatch(
        id=told.id,
        ended=status == "ended" if status else told.ended_at is not None,
        canceling=status == "canceling",
        count=(counts.processing or 0) + succeeded + errored + canceled + expired,
        succeeded=succeeded,
        errored=errored,
        canceled=canceled,
        expired=expired,
        created_at=now if created_at is None else created_at,
        expires_at=_moment(told.expires_at),
        ended_at=_moment(told.ended_at),
        archived=told.archived_at is not None,
    )


def _moment(text: str | None) -> float | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
