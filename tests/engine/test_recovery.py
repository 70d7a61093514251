"""After a kill the next process goes on where the books stand: what was packed is not read again, neither from the source nor from objects."""

import pytest
from bench import rules

from batchflow.builtin.stores.folder import folder
from batchflow.model.record import Page, Record
from batchflow.model.state import Batch, Run

PAGE = 5
RECORDS = 200


class Killed(BaseException):
    """Stands for SIGKILL."""


class Numbers:
    """A source that remembers from where it was read, and what it gave."""

    def __init__(self):
        self.after = []
        self.given = 0

    async def read(self, after):
        self.after.append(after)
        for at in range((after or {"at": 0})["at"], RECORDS, PAGE):
            self.given += PAGE
            data = [{"id": f"k{n}", "text": "a claim"} for n in range(at, at + PAGE)]
            yield Page([Record(row["id"], row, f"row {n}") for n, row in enumerate(data, at)], {"at": at + PAGE})

    async def fingerprint(self):
        return "numbers"


class Watched:
    """An object store that remembers what was read."""

    def __init__(self, real):
        self._real = real
        self.read_names = []

    def __getattr__(self, name):
        return getattr(self._real, name)

    def read(self, blob, **how):
        self.read_names.append(blob.name)
        return self._real.read(blob, **how)


async def killed_at(bench, kind, n):
    """Runs a process until the n-th event of a kind has been committed; gives what it read."""
    left = n

    def listen(event):
        nonlocal left
        left -= event.kind == kind
        if left == 0:
            raise Killed

    source, blobs = Numbers(), Watched(folder(path=bench.folder / "state" / "objects"))
    job = bench.job(source=source, rules=rules(max_requests=10, in_flight=4))
    with pytest.raises(BaseExceptionGroup) as caught:
        await bench.run(job, on_event=listen, blobs=blobs)
    assert caught.group_contains(Killed)
    return source, [name for name in blobs.read_names if name.endswith("/context")]


async def state(bench):
    async with bench.flow() as flow:
        (run,) = await flow.store.find(Run, {})
        return run, await flow.store.find(Batch, {})


async def test_what_was_packed_is_not_read_again(bench):
    """Killed between a batch's commit and the checkpoint of its keys: that one batch's keys are learnt again, no more."""
    bench.simulate("create::duration,seconds=100000000")
    await killed_at(bench, "batch.drafted", 5)
    run, packed = await state(bench)
    source, contexts = await killed_at(bench, "batch.drafted", 1)
    assert len(packed) == 5
    assert source.after == [run.position.cursor]
    assert source.given <= 10 + 2 * PAGE
    assert set(contexts) == {packed[-1].context.name}
