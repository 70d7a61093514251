"""Which run is meant, and whether books balance."""

import pytest

from batchflow.builtin.stores.memory import memory_state
from batchflow.model.change import Put
from batchflow.model.errors import RunRefused
from batchflow.model.state import COUNTERS, Run
from batchflow.reports.runs import balanced, find_run
from batchflow.reports.shown import shown


@pytest.fixture
async def store():
    store = memory_state()
    await store.open()
    for id, job in (("01aa11", "triage"), ("01aa22", "other"), ("01bb33", "triage")):
        await store.commit((Put(Run(id=id, job=job)),))
    yield store
    await store.close()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("", "01bb33"),
        ("triage", "01bb33"),
        ("triage@last", "01bb33"),
        ("other", "01aa22"),
        ("01aa1", "01aa11"),
        ("01b", "01bb33"),
    ],
)
async def test_a_run_is_found(store, wanted, found):
    assert (await find_run(store, wanted)).id == found


async def test_an_id_that_begins_several_runs_is_refused_with_all_of_them(store):
    with pytest.raises(RunRefused, match=r"2 runs begin with `01aa`.*01aa11.*01aa22"):
        await find_run(store, "01aa")


async def test_a_job_called_like_an_id_wins(store):
    await store.commit((Put(Run(id="02", job="01aa11")),))
    assert (await find_run(store, "01aa11")).id == "02"


async def test_what_is_no_run_is_refused_with_the_jobs_there_are(store):
    with pytest.raises(RunRefused) as refused:
        await find_run(store, "triagge")
    assert "other, triage" in refused.value.hint


def test_books_balance_when_everything_is_in_one_place():
    books = dict.fromkeys(COUNTERS, 0) | {"read": 5, "built": 3, "duplicate": 1, "unbuildable": 1, "rows": 4}
    assert balanced(books | {"waiting": 1, "delivered": 2, "canceled": 1})
    assert not balanced(books | {"waiting": 1, "delivered": 2})
    assert not balanced(books | {"read": 6, "waiting": 4})


def test_sinks_are_named_as_deliveries_name_them():
    sinks = [
        {"type": "jsonl", "path": "a"},
        {"type": "jsonl", "path": "b", "on": "dead"},
        {"type": "csv", "name": "mine"},
        {"type": "s3", "url": "s3://lake/out/", "on": "all"},
        {"type": "redis", "url": "***"},
        {"type": "redis", "url": "***", "name": "hashes"},
    ]
    named = shown({"sinks": sinks}).named()
    assert {name: one.where for name, one in named.items()} == {
        "jsonl": "a",
        "jsonl-2": "b (dead rows)",
        "mine": "csv (mine)",
        "s3": "s3://lake/out/ (all rows)",
        "redis": "redis",
        "hashes": "redis (hashes)",
    }


def test_a_summary_of_another_shape_tells_nothing():
    assert shown({"sinks": 7}).sinks == ()
    assert shown({}).limit is None
    assert shown({"budget": {"run": 20.5}}).limit == 20_500_000_000
