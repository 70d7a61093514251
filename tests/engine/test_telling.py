"""Notifiers beside a run: told in time, each for itself, in the way of nobody."""

import anyio
import pytest
from bench import rules

from batchflow import Listener
from batchflow.model.errors import NotifyError, NotifyRefused
from batchflow.model.notification import Threshold
from batchflow.model.state import Event, RunState


class Ear:
    """Hears, after as many failures as it is told to have."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.heard = []
        self.tried = []
        self.closed = 0

    async def notify(self, notification):
        self.tried.append(notification.id)
        if self.failures:
            raise self.failures.pop(0)
        self.heard.append(notification)

    async def close(self):
        self.closed += 1


class Deaf:
    """Never comes back."""

    async def notify(self, notification):
        await anyio.sleep_forever()

    async def close(self):
        """Nothing to let go of."""


def listeners(**named):
    return [Listener(name=name, notifier=notifier) for name, notifier in named.items()]


@pytest.fixture
def ear():
    return Ear()


async def test_each_pause_is_told_and_then_the_end(bench, ear):
    bench.simulate()
    for budget, state in ((1000, RunState.PAUSED), (1001, RunState.PAUSED), (10**10, RunState.DONE)):
        job = bench.job(60, rules=rules(budget=budget), notify=listeners(ear=ear))
        assert (await bench.run(job)).run.state is state
    assert [told.kind for told in ear.heard] == ["paused", "paused", "finished"]
    assert len({told.id for told in ear.heard}) == 3
    assert ear.heard[-1].counts["delivered"] == 60


async def test_a_failure_that_may_pass_is_tried_again_under_the_same_id(bench):
    bench.simulate()
    ear = Ear(NotifyError("busy", after=7.0), NotifyError("busy"))
    report = await bench.run(bench.job(5, notify=listeners(ear=ear)))
    assert ([told.kind for told in ear.heard], report.untold) == (["finished"], [])
    assert len(ear.tried) == 3
    assert len(set(ear.tried)) == 1


async def test_one_that_hangs_holds_nobody_up_and_is_given_up(bench, ear):
    bench.simulate()
    both = [Listener(name="deaf", notifier=Deaf(), patience=20.0), *listeners(ear=ear)]
    report = await bench.run(bench.job(5, notify=both))
    bench.check(report, asked=5, good=5)
    assert [told.kind for told in ear.heard] == ["finished"]
    assert report.untold == ["deaf was not told that the run is finished: it did not answer (given up after 20 s)"]


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (NotifyRefused("it says no"), "it says no"),
        (ZeroDivisionError("oops"), "Ear failed while it told of job job: ZeroDivisionError: oops"),
    ],
)
async def test_one_that_fails_for_good_is_tried_once_and_fails_no_run(bench, failure, said):
    bench.simulate()
    ear = Ear(failure)
    report = await bench.run(bench.job(5, notify=listeners(ear=ear)))
    bench.check(report, asked=5, good=5)
    assert len(ear.tried) == 1
    assert said in report.untold[0]
    again = await bench.run(bench.job(5, notify=listeners(ear=ear)))
    assert (again.driven, len(ear.tried)) == (False, 1)


async def test_what_broke_a_run_is_told_and_raised_as_it_was(bench, ear):
    bench.simulate()

    def broken(record):
        raise ValueError(record["id"])

    with pytest.raises(Exception, match="k0") as raised:
        await bench.run(bench.job(5, request=broken, notify=listeners(ear=ear)))
    assert not isinstance(raised.value, ExceptionGroup)
    assert [(told.kind, told.status) for told in ear.heard] == [("failed", "failed")]
    assert "k0" in ear.heard[0].reason


async def test_dead_letters_are_told_when_there_are_so_many_and_never_twice_in_a_run(bench):
    bench.simulate("row:claim number:refusal,times=null")
    few, many, none = Ear(), Ear(), Ear()
    told = [
        Listener(name="few", notifier=few, on=["dead"], dead=Threshold(rows=3)),
        Listener(name="many", notifier=many, on=["dead"], dead=Threshold(rows=31)),
        Listener(name="none", notifier=none, on=["finished"]),
    ]
    job = bench.job(30, rules=rules(max_requests=10), notify=told)
    report = await bench.run(job)
    assert [(one.kind, one.status in {"running", "draining", "done"}) for one in few.heard] == [("dead", True)]
    assert many.heard == []
    assert [one.kind for one in none.heard] == ["finished"]
    async with bench.flow() as flow:
        await flow.retry(job, report.run, ["refused"])
    assert len(few.heard) == 1
    assert len(none.heard) == 2


async def test_every_notifier_is_closed(bench, ear):
    bench.simulate()
    await bench.run(bench.job(5, notify=listeners(ear=ear)))
    assert ear.closed == 1


async def test_what_is_told_is_marked_beside_the_run(bench, ear):
    bench.simulate()
    await bench.run(bench.job(5, notify=listeners(ear=ear)))
    async with bench.flow() as flow:
        (mark,) = await flow.store.find(Event, {"kind": "notify.told"})
        (done,) = await flow.store.find(Event, {"kind": "run.done"})
    assert mark.subject == f"ear/{done.id}"
    assert ear.heard[0].id == f"msg_{done.id}"
