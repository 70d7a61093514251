"""Batches and listings as the API writes them, read into batchflow's own values.

Everything but the id may be absent, null or of an unexpected type: an odd field in the reply to a create must not make
a paid batch a lost one. A time that is not told must not look old, for a listing is how a lost batch is found again: a
batch without `created_at` counts as created when the reply was made, by the server's Date or else by this machine.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from batchflow.model.remote import ListPage, RemoteBatch


class _Counts(msgspec.Struct, frozen=True):
    processing: Any = 0
    succeeded: Any = 0
    errored: Any = 0
    canceled: Any = 0
    expired: Any = 0


class _Batch(msgspec.Struct, frozen=True):
    id: str | int
    processing_status: Any = None
    request_counts: Any = None
    created_at: Any = None
    expires_at: Any = None
    ended_at: Any = None
    archived_at: Any = None
    results_url: Any = None


class _Page(msgspec.Struct, frozen=True):
    data: list[_Batch] | None
    has_more: bool | None = None
    last_id: str | int | None = None


class Leaf(msgspec.Struct, frozen=True):
    """One page of a listing, and the id after which the next begins (None: there is none)."""

    page: ListPage
    next: str | None


_BATCH = msgspec.json.Decoder(_Batch)
_PAGE = msgspec.json.Decoder(_Page)
_NO_COUNTS = _Counts()
_ENDED, _CANCELING = "ended", "canceling"
_STATES = frozenset({"in_progress", _CANCELING, _ENDED})
_ABSURD = 1e11
"""No count of requests and no time in seconds is as large (milliseconds are)."""


def read_batch(body: bytes, headers: Mapping[str, str]) -> RemoteBatch:
    """Reads one batch; raises ValueError where there is none to read."""
    told = _BATCH.decode(body)
    if told.id == "":
        raise ValueError("a batch without an id")
    return _batch(told, _now(headers))


def results_path(body: bytes, base_url: str) -> str | None:
    """Reads where a batch's results are, as a path on the server that was asked; None where that is another server."""
    try:
        url = _BATCH.decode(body).results_url
        there, here = urlsplit(url if isinstance(url, str) else ""), urlsplit(base_url)
    except ValueError:
        return None
    path = there.path
    if there.scheme or there.netloc:
        if (there.scheme, there.netloc) != (here.scheme, here.netloc) or not path.startswith(here.path):
            return None
        path = path.removeprefix(here.path)
    return f"/{path.lstrip('/')}" + (f"?{there.query}" if there.query else "") if path else None


def read_page(body: bytes, headers: Mapping[str, str], *, asked: int) -> Leaf:
    """Reads one page of a listing that was `asked` for so many batches; raises ValueError where it cannot be read."""
    told = _PAGE.decode(body)
    now = _now(headers)
    batches = tuple([_batch(one, now) for one in told.data or ()])
    more = told.has_more if told.has_more is not None else len(batches) >= asked
    last = batches[-1].id if batches else None
    last = last if told.last_id is None else str(told.last_id)
    return Leaf(ListPage(batches, server_now(headers)), last if more and batches else None)


def server_now(headers: Mapping[str, str]) -> float:
    """The reply's Date in seconds since the epoch; 0.0 where the server does not tell the time."""
    try:
        return parsedate_to_datetime(headers.get("date", "")).timestamp()
    except ValueError:
        return 0.0


def _now(headers: Mapping[str, str]) -> float:
    return server_now(headers) or time.time()


def _batch(told: _Batch, now: float) -> RemoteBatch:
    counts = _counts(told.request_counts)
    succeeded, errored = _count(counts.succeeded), _count(counts.errored)
    canceled, expired = _count(counts.canceled), _count(counts.expired)
    created_at, status = _moment(told.created_at), _state(told)
    return RemoteBatch(
        id=str(told.id),
        ended=status == _ENDED,
        canceling=status == _CANCELING,
        count=_count(counts.processing) + succeeded + errored + canceled + expired,
        succeeded=succeeded,
        errored=errored,
        canceled=canceled,
        expired=expired,
        created_at=now if created_at is None else created_at,
        expires_at=_moment(told.expires_at),
        ended_at=_moment(told.ended_at),
        archived=bool(told.archived_at),
    )


def _state(told: _Batch) -> str:
    """Reads the state; where that is no word of the API's, what is told besides: an end, or where the results are."""
    status = told.processing_status.casefold() if isinstance(told.processing_status, str) else ""
    if status in _STATES:
        return status
    return _ENDED if told.ended_at or told.results_url else status


def _counts(told: Any) -> _Counts:
    try:
        return msgspec.convert(told, _Counts)
    except ValueError:
        return _NO_COUNTS


def _count(told: Any) -> int:
    return int(told) if isinstance(told, int | float) and 0 < told < _ABSURD else 0


def _moment(told: Any) -> float | None:
    """Reads RFC 3339, or a number of seconds since the epoch."""
    if isinstance(told, int | float):
        return float(told) if 0 < told < _ABSURD else None
    try:
        moment = datetime.fromisoformat(told) if isinstance(told, str) else None
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() if moment else None
