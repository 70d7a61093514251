"""A whole job against servers that are not like ours: every record delivered once and paid once, whatever they do."""

import json
from datetime import UTC, datetime

import pytest

from batchflow.model.state import RunState
from batchflow.reports.runs import balanced

RECORDS = 2500
GRACE = 1.0
"""Real seconds: the grace is counted on the clock that nobody sets."""
BATCHES = "/v1/messages/batches"


def shown(**changes):
    """A batch shown with some members changed: a value, None to leave it out, or a function of the old value."""

    def show(self, batch):
        told = type(self).show(self, batch)
        for name, change in changes.items():
            told[name] = change(told[name]) if callable(change) else change
        return {name: value for name, value in told.items() if value is not LEFT_OUT}

    return show


LEFT_OUT = object()


def without_nulls(self, batch):
    return {name: value for name, value in type(self).show(self, batch).items() if value is not None}


def relative(self, batch):
    url = f"{BATCHES}/{batch.id}/results" if batch.ended else None
    return type(self).show(self, batch) | {"results_url": url}


def first_looks_fail(status, body):
    """Every second call that reads something fails."""

    def last(self, method, path, answer):
        self.odd = not getattr(self, "odd", False)
        return self.reply(status, body) if method == "GET" and self.odd else answer

    return last


def results_late(self, batch):
    batch.asked = getattr(batch, "asked", 0) + 1
    if batch.asked <= 3:
        return self.nothing()
    return type(self).results(self, batch)


def no_more_than(limit, status, text, error="invalid_request_error"):
    """A smaller limit on the requests of a batch, in some words."""

    def create(self, body):
        count = len(json.loads(body)["requests"])
        if count <= limit:
            return type(self).create(self, body)
        return self.failure(status, error, text.format(limit=limit, count=count))

    return create


def no_listing(status, body=None):
    def listing(self, query):
        return self.reply(status, body if body is not None else {"error": "no such thing"})

    return listing


def seconds(text):
    return text and datetime.fromisoformat(text).replace(microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")


def offset(text):
    return text and datetime.fromisoformat(text).astimezone(UTC).isoformat()


def epoch(text):
    return text and int(datetime.fromisoformat(text).timestamp())


def advances_on_retrieve(self, query):
    looks = {batch.id: batch.looks for batch in self.batches.values()}
    answer = type(self).listing(self, query)
    for batch in self.batches.values():
        batch.looks = looks[batch.id]
    return answer


def integer_id(self):
    return next(self._ids)


def two_at_a_time(self, query):
    """Pages of its own size, and no word on whether there are more."""
    return type(self).listing(self, query | {"limit": ["2"]})


def empty_as_null(self, query):
    if self.batches:
        return type(self).listing(self, query)
    return self.reply(200, {"data": None, "has_more": False, "first_id": None, "last_id": None})


def flat(self, row):
    return {"type": "overloaded_error", "message": "Overloaded"}


def first_time_unlucky(self, row):
    """Every fiftieth record fails until it is asked a second time."""
    text, id = row["params"]["messages"][0]["content"], row["custom_id"]
    unlucky = self.__dict__.setdefault("unlucky", {})
    return not text.endswith("00") or unlucky.setdefault(text, id) != id


SERVERS = {
    "is plain": {},
    "leaves null fields out": {"show": without_nulls},
    "sends relative results_urls": {"show": relative},
    "says null for an empty listing": {"listing": empty_as_null},
    "adds fields of its own": {"show": shown(type=LEFT_OUT, expires_at={"days": 1}, archived_at=None)},
    "tells no counters": {"show": shown(request_counts=LEFT_OUT)},
    "tells counters as null": {"show": shown(request_counts=None)},
    "tells times without fractions": {"show": shown(created_at=seconds, expires_at=seconds, ended_at=seconds)},
    "tells times with an offset": {"show": shown(created_at=offset, expires_at=offset, ended_at=offset)},
    "tells times as numbers": {"show": shown(created_at=epoch, expires_at=epoch, ended_at=epoch)},
    "tells no times, not even a Date": {
        "show": shown(created_at=LEFT_OUT, expires_at=LEFT_OUT, ended_at=LEFT_OUT), "date": False,
    },
    "shouts its states": {"show": shown(processing_status=str.upper)},
    "has states of its own": {"show": shown(processing_status={"in_progress": "validating", "ended": "completed"}.get)},
    "numbers its batches": {"new_id": integer_id},
    "lists the oldest first": {"listed_first": "oldest", "listing": two_at_a_time},
    "lists two at a time": {"listing": two_at_a_time},
    "lists nothing, ever": {"lists": lambda self, batch: False},
    "lists only what is in progress": {"lists": lambda self, batch: not batch.ended},
    "moves on only when asked for one batch": {"listing": advances_on_retrieve},
    "has no listing (404)": {"listing": no_listing(404)},
    "has no listing (405)": {"listing": no_listing(405)},
    "has no listing (501)": {"listing": no_listing(501, "not implemented")},
    "lists in a shape of its own": {"listing": no_listing(200, {"batches": []})},
    "has results only after more 404s": {"results": results_late},
    "speaks HTTP/1.0 and closes": {"http": "1.0"},
    "sends CRLF": {"file": lambda self, lines: "".join(f"{line}\r\n" for line in lines).encode()},
    "sends blank lines": {"file": lambda self, lines: "".join(f"\n{line}\n \n" for line in lines).encode()},
    "ends without a newline": {"file": lambda self, lines: "\n".join(lines).encode()},
    "sends results backwards": {"file": lambda self, lines: "\n".join(lines[::-1]).encode()},
    "answers a create with 201": {"last": lambda self, method, path, answer: answer.as_created(method)},
    "allows 1,000 requests, in the API's words": {
        "create": no_more_than(1000, 400, "requests: List should have at most {limit} items after validation, not {count}")
    },
    "allows 1,000 requests, in words of its own": {
        "create": no_more_than(1000, 400, "Batch size {count} exceeds the maximum of {limit} requests per batch")
    },
    "allows 1,000 requests, tersely": {"create": no_more_than(1000, 422, "too many requests in batch")},
    "allows 1,000 requests, as too large": {"create": no_more_than(1000, 413, "no", "request_too_large")},
    "fails some rows once": {"good": first_time_unlucky},
    "fails some rows once, in flat error rows": {"good": first_time_unlucky, "error": flat},
    "fails every second look": {"last": first_looks_fail(503, "<html>busy</html>")},
}  # fmt: skip


@pytest.mark.parametrize("habits", SERVERS.values(), ids=SERVERS)
async def test_a_job_comes_home_from_a_server_that(foreign, run, everything_arrived, habits):
    server = await foreign(**habits)
    everything_arrived(await run(server), server)


async def test_the_key_never_goes_where_a_results_url_points(foreign, run, everything_arrived):
    thief = await foreign()
    server = await foreign(show=shown(results_url=f"{thief.url}/v1/messages/batches/b1/results"))
    everything_arrived(await run(server), server)
    assert thief.heard == []


async def test_results_at_a_path_of_the_servers_own_are_found_by_their_url(foreign, run, everything_arrived):
    def elsewhere(self, batch):
        return type(self).show(self, batch) | {"results_url": f"/files/{batch.id}.jsonl" if batch.ended else None}

    def first(self, method, path):
        if path.startswith("/files/"):
            return type(self).results(self, self.batches[path.removeprefix("/files/").removesuffix(".jsonl")])
        return self.nothing() if path.endswith("/results") else None

    server = await foreign(show=elsewhere, first=first)
    everything_arrived(await run(server), server)


def drops_the_reply_to_create(number):
    """The server takes the n-th create, and the caller never hears of it."""

    def last(self, method, path, answer):
        if method == "POST" and path == BATCHES:
            self.creates = getattr(self, "creates", 0) + 1
            return None if self.creates == number else answer
        return answer

    return last


LISTINGS = {
    "is plain": {},
    "lists the oldest first": {"listed_first": "oldest"},
    "lists the oldest first, two at a time": {"listed_first": "oldest", "listing": two_at_a_time},
    "tells no times, not even a Date": SERVERS["tells no times, not even a Date"],
    "tells no counters": SERVERS["tells no counters"],
    "numbers its batches": SERVERS["numbers its batches"],
    "leaves null fields out": SERVERS["leaves null fields out"],
}


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("habits", LISTINGS.values(), ids=LISTINGS)
async def test_a_lost_reply_is_found_again_at_a_server_that(foreign, run, everything_arrived, habits, number):
    server = await foreign(**habits, last=drops_the_reply_to_create(number))
    for _ in range(4):  # what was there before, and is none of ours
        server.create('{"requests": [{"custom_id": "theirs", "params": {"messages": [{"content": "theirs"}]}}]}')
    old = dict(server.batches)
    report = await run(server, grace=GRACE)
    for id in old:
        del server.batches[id]
    everything_arrived(report, server)


BLIND = {
    "has no listing": {"listing": no_listing(404)},
    "lists in a shape of its own": {"listing": no_listing(200, [])},
    "lists nothing, ever": {"lists": lambda self, batch: False},
}


@pytest.mark.parametrize("habits", BLIND.values(), ids=BLIND)
async def test_a_lost_reply_is_held_and_never_paid_twice_at_a_server_that(foreign, run, tmp_path, habits):
    server = await foreign(**habits, last=drops_the_reply_to_create(1))
    report = await run(server, grace=GRACE)
    assert report.run.state is RunState.PAUSED
    for words in ("was not sent again", "at most one batch of", server.url):
        assert words in report.run.why
    assert server.asked == RECORDS
    books = report.books
    assert balanced(books)
    assert books["delivered"] + books["in_flight"] == RECORDS
    assert books["delivered"] == len((tmp_path / "out.jsonl").read_bytes().splitlines()) > 0

    again = await run(server, grace=GRACE)  # a second look changes nothing, as long as nothing new is known
    assert again.run.state is RunState.PAUSED
    assert server.asked == RECORDS
    assert again.books["delivered"] == books["delivered"]


async def test_the_only_batch_is_never_paid_twice_where_the_listing_is_an_empty_stub(foreign, run):
    """Nothing else was ever created that it could leave out: that it is empty proves nothing."""
    server = await foreign(lists=lambda self, batch: False, last=drops_the_reply_to_create(1))
    report = await run(server, grace=GRACE, max_requests=2 * RECORDS)
    assert report.run.state is RunState.PAUSED
    for words in ("the listing shows nothing", "was not sent again", "batchflow reconcile"):
        assert words in report.run.why
    assert server.asked == RECORDS
    assert (await run(server, grace=GRACE, max_requests=2 * RECORDS)).run.state is RunState.PAUSED
    assert server.asked == RECORDS


async def test_an_empty_listing_that_refuses_nonsense_is_believed(foreign, run, everything_arrived):
    def listing(self, query):
        if query["limit"] == ["0"]:
            return self.failure(400, "invalid_request_error", "limit: Input should be greater than or equal to 1")
        return type(self).listing(self, query)

    def create(self, body):
        self.creates = getattr(self, "creates", 0) + 1
        return self.reply(599, {}) if self.creates == 1 else type(self).create(self, body)

    server = await foreign(
        listing=listing,
        create=create,
        last=lambda self, method, path, answer: None if answer.status == 599 else answer,  # it never took that one
    )
    everything_arrived(await run(server, grace=GRACE, max_requests=2 * RECORDS), server)


async def test_a_lost_reply_that_was_held_comes_home_once_the_listing_works(foreign, run, everything_arrived):
    server = await foreign(listing=no_listing(501), last=drops_the_reply_to_create(1))
    assert (await run(server, grace=GRACE)).run.state is RunState.PAUSED
    del server.__dict__["listing"]
    everything_arrived(await run(server, grace=GRACE), server)


async def test_a_listing_is_believed_though_somebody_deletes_what_was_collected(foreign, run, everything_arrived):
    def create(self, body):
        self.creates = getattr(self, "creates", 0) + 1
        return self.reply(599, {}) if self.creates == 2 else type(self).create(self, body)

    def results(self, batch):
        answer = type(self).results(self, batch)
        batch.gone = batch.ended
        return answer

    server = await foreign(
        create=create,
        results=results,
        last=lambda self, method, path, answer: None if answer.status == 599 else answer,  # it never took that one
        lists=lambda self, batch: not getattr(batch, "gone", False),
        retrieve=lambda self, batch: (
            self.nothing() if getattr(batch, "gone", False) else type(self).retrieve(self, batch)
        ),
    )
    everything_arrived(await run(server, grace=GRACE), server)
