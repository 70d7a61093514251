"""What a reply means, in batchflow's errors: a definite no, or doubt.

Only a create call can be in doubt. A 4xx to it is definite, except the three that say nothing about what was done: 408
and 499 come from machines that lost patience, 409 from a race. Every 5xx may follow a batch that was created.
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import msgspec

from batchflow.builtin.anthropic.problems import Problem, read_problem
from batchflow.builtin.anthropic.replies import server_now
from batchflow.model.errors import BadReply, Refused, ReplyLost
from batchflow.model.words import Word

_NOT_THERE = frozenset({404, 405, 501})
TELLS_NOTHING = frozenset({408, 409, 499})
LONGEST_WAIT = 3600.0
_ABOUT_SIZE = frozenset({400, 413, 422})
_ABOUT_COUNT = re.compile(r"\b(requests?|items?|batch(es)?|entries|rows)\b", re.IGNORECASE)
_ABOUT_ELSE = re.compile(
    r"token|byte|charact|custom_id|params|\b[KMG]i?B\b|per (second|minute|hour|day)", re.IGNORECASE
)
"""Other things that have limits, and are not mended by smaller batches."""
_TOO_MANY = re.compile(
    r"\btoo many (requests|items|entries|rows)\b|\bbatch( is)? too (large|big|long)\b", re.IGNORECASE
)
_LIMIT = re.compile(
    r"(?:at most|max(?:imum)?|limit(?:ed)?|up to|no more than|exceeds?|>)[^\d.;]{0,40}?(\d[\d,_]*)"
    r"|(\d[\d,_]*) (?:requests |items |entries |rows )?(?:is|are) (?:the (?:max|limit|most)|allowed)"
    r"|(\d[\d,_]*) (?:requests |items |entries |rows )?(?:per batch|allowed|max)",
    re.IGNORECASE,
)

_HINTS: Mapping[Word, str] = {
    Word.UNAUTHORIZED: "Check the provider's api_key (and workspace_id), then `batchflow resume`.",
    Word.NO_CREDIT: "Add credit or raise the spend limit in the Anthropic console, then `batchflow resume`.",
    Word.TOO_LARGE: "Lower `batch: max_bytes` in the job file.",
    Word.MISSING: "If every call says so, check the provider's base_url.",
}


class Reply(msgspec.Struct, frozen=True):
    """What came back over HTTP, whatever the status."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def good(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300

    @property
    def definite_no(self) -> bool:
        """Whether it says for certain that a create call created nothing."""
        return 400 <= self.status < 500 and self.status not in TELLS_NOTHING


class _Shape(msgspec.Struct, frozen=True):
    data: msgspec.Raw


def refused(what: str, reply: Reply) -> Refused | BadReply:
    """The error for a call that was answered with anything but a 2xx; `what` names the call."""
    if reply.status < 400:
        where = reply.headers.get("location", "nowhere")
        return BadReply(
            f"{what} was redirected to {where}, and not followed: the key must not go to another address.",
            status=reply.status,
            hint="Set the provider's base_url to the address that answers itself.",
        )
    problem = read_problem(reply.body)
    word = _word(reply, problem)
    return Refused(
        f"{what} was refused: {_said(reply, problem)}.",
        word=word,
        status=reply.status,
        retry_after=retry_after(reply.headers),
        max_requests=_max_requests(reply, problem),
        hint=_HINTS.get(word, ""),
    )


def lost(what: str, why: str, reply: Reply | None = None) -> ReplyLost:
    """The error for a create call after which a batch may or may not exist."""
    problem = read_problem(reply.body) if reply and not reply.good else Problem()
    why = f"{why}: {_said(reply, problem)}" if reply and not reply.good else why
    return ReplyLost(
        f"{what} is in doubt: {why}. It may or may not have created something that is billed, so it is not sent again "
        "until that is known.",
        word=problem.word(reply.status) if reply and not reply.good else Word.SERVER_ERROR,
        status=reply.status if reply else None,
        retry_after=retry_after(reply.headers) if reply else None,
        hint="nothing need be typed: the listing is searched for it first, and what was found is told",
    )


def no_listing(reply: Reply) -> bool:
    """Tells whether a server has no listing: it does not know the call, or answers with JSON of quite another shape.

    A page that is no JSON is not that: whatever stands in front of the server would answer a create likewise.
    """
    if reply.status in _NOT_THERE:
        return True
    if not reply.good:
        return False
    try:
        data = bytes(msgspec.json.decode(reply.body, type=_Shape).data)
    except msgspec.ValidationError:
        return True
    except ValueError:
        return False
    return data != b"null" and not data.startswith(b"[")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """How long the server asks us to stay away, as far as an hour; in seconds, a Date, or milliseconds."""
    told = _number(headers.get("retry-after-ms"), 0.001)
    if told is None:
        text = headers.get("retry-after")
        told = _number(text, 1.0)
        told = _until(text, headers) if told is None and text else told
    return None if told is None else min(max(told, 0.0), LONGEST_WAIT)


def _number(text: str | None, unit: float) -> float | None:
    try:
        seconds = float(text) * unit if text else None
    except ValueError:
        return None
    return seconds if seconds is None or seconds < float("inf") else LONGEST_WAIT


def _until(text: str, headers: Mapping[str, str]) -> float | None:
    try:
        moment = parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None
    now = server_now(headers)
    return moment - now if now else None


def _said(reply: Reply, problem: Problem) -> str:
    request = reply.headers.get("request-id")
    return f"HTTP {reply.status} {problem}".strip().rstrip(".") + (f" ({request})" if request else "")


def _max_requests(reply: Reply, problem: Problem) -> int | None:
    """Finds the limit on the requests of one batch in a refusal, in the API's words or somebody else's."""
    text = problem.message
    if reply.status not in _ABOUT_SIZE or not _ABOUT_COUNT.search(text) or _ABOUT_ELSE.search(text):
        return None
    found = _LIMIT.search(text)
    number = (found[1] or found[2] or found[3]) if found else ""
    return int(number.replace(",", "").replace("_", "")) or None if number else None


def _word(reply: Reply, problem: Problem) -> Word:
    """Reads the word; a refusal that says "too many" and no number is one of size: smaller batches will find the limit."""
    word = problem.word(reply.status)
    many = word is Word.INVALID and _TOO_MANY.search(problem.message) and not _ABOUT_ELSE.search(problem.message)
    return Word.TOO_LARGE if many else word
