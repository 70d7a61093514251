"""Pages of a listing: limit, after_id and before_id over things that are sorted already.

What the API says to a cursor it does not know (anybody's invention, or a batch deleted since) is not documented. Here
nothing comes after or before what is not there: a page that is empty and the last, so that a walk ends. A whole page
would send it in circles, and an error would fail the SDKs' own tests, which list with `after_id="after_id"`.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from batchflow.sim import wire

Item = TypeVar("Item")


def page(query: Mapping[str, str], ids: list[str], items: list[Item]) -> tuple[list[Item], bool]:
    """The page that limit, after_id and before_id ask for, and whether there is more in that direction."""
    limit = _limit(query.get("limit"))
    after, before = query.get("after_id"), query.get("before_id")
    cursor = after if before is None else before
    if cursor is not None and cursor not in ids:
        return [], False
    if before is not None:
        end = ids.index(before)
        return items[max(0, end - limit) : end], end > limit
    start = 0 if after is None else ids.index(after) + 1
    return items[start : start + limit], len(items) > start + limit


def _limit(text: str | None) -> int:
    if text is None:
        return 20
    if not text.isdecimal():
        raise wire.ApiError(400, "limit: Input should be a valid integer")
    limit = int(text)
    if limit < 1:
        raise wire.ApiError(400, "limit: Input should be greater than or equal to 1")
    if limit > 1000:
        raise wire.ApiError(400, "limit: Input should be less than or equal to 1000")
    return limit


def page_shape(data: list[dict[str, Any]], *, more: bool) -> dict[str, Any]:
    """A page as the API sends it."""
    return {
        "data": data,
        "has_more": more,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }
