"""One job in virtual time: processes that end where they are told to, a server with faults, and what must hold at every commit."""

import asyncio
import random
from collections import Counter
from contextlib import ExitStack, suppress
from functools import cache
from itertools import count
from types import SimpleNamespace
from unittest.mock import patch

import msgspec
from bench import KEY, ask, records
from judge import ENDS, UNSETTLED, Broken, Judge
from jumping import LoopClock
from virtual import VirtualLoop, Wire, WiredConnection

from batchflow import Batchflow, BatchRules, Job, Rules, SubmitRules, To, app
from batchflow.builtin.anthropic.provider import anthropic
from batchflow.builtin.retry import standard
from batchflow.builtin.stores.memory import memory_blobs, memory_state
from batchflow.engine import ids
from batchflow.engine.lease import DriverLease
from batchflow.extend.facade import Plugins
from batchflow.machine.ruling import Absent, GiveUp
from batchflow.model.change import Note, Put
from batchflow.model.errors import BatchflowError, Bug, RunRefused
from batchflow.model.rules import RetryRules
from batchflow.model.state import Batch, BatchState, Event, Outlet, Remote, Run, Wish
from batchflow.model.units import Secret
from batchflow.model.words import Word
from batchflow.ports.builder import BuildError
from batchflow.ports.sink import Refusal, Written
from batchflow.sim.clock import SimClock
from batchflow.sim.faults import FaultPlan
from batchflow.sim.http import Api
from batchflow.sim.validate import Context
from batchflow.sim.world import Settings, World
from batchflow.stages.renew import RULED
from batchflow.stages.rule import VERB as RULE

URL = "http://simulator"


class Killed(BaseException):
    """The process is gone. Nothing that it still does reaches anybody."""


class Life:
    """One process: it lives until it comes to where it is to die."""

    def __init__(self, death):
        self._death = death
        self.alive = True
        self.flow = None
        self.task = None

    def touch(self, what):
        if self.alive and what in self._death:
            self._death[what] -= 1
            self.alive = self._death[what] > 0
            if not self.alive:
                self._death.clear()
        if not self.alive:
            raise Killed


class Fenced:
    """Something outside of the process: out of reach once that is dead."""

    def __init__(self, real, life):
        self._real = real
        self._life = life

    def __getattr__(self, name):
        if not self._life.alive:
            raise Killed
        return getattr(self._real, name)


class FencedStore(Fenced):
    """A state store that looks at every commit, and may see the process die before or after it."""

    def __init__(self, real, life, judge, forget):
        super().__init__(real, life)
        self._judge = judge
        self._forget = forget

    async def commit(self, change):
        self._life.touch("before a commit")
        kept = tuple(step for step in change if not _is_news(step))
        before = await self._judge.before(kept)
        await self._real.commit(kept)
        for step in kept:
            if isinstance(step, Put) and isinstance(step.entity, Outlet) and step.entity.receipt is None:
                self._forget(step.entity.sink)
        await self._judge.after(before, kept)
        self._life.touch("after a commit")


def _is_news(step):
    """Tells whether a step is only for people; what a person has ruled is not."""
    return isinstance(step, Note) and isinstance(step.fact, Event) and step.fact.kind not in RULED


class FencedBlobs(Fenced):
    """An object store of a process that may die around an object."""

    def create(self, name):
        self._life.touch("before an object")
        return FencedObject(self._real.create(name), self._life)


class FencedObject:
    def __init__(self, made, life):
        self._made = made
        self._life = life

    async def __aenter__(self):
        self._writer = await self._made.__aenter__()
        return self

    async def __aexit__(self, *exc):
        await self._made.__aexit__(*exc)

    async def write(self, data):
        self._life.touch("amid an object")
        await self._writer.write(data)

    async def finish(self):
        blob = await self._writer.finish()
        self._life.touch("after an object")
        return blob


class Shelf:
    """A sink that keeps parts by name, with their receipts: exactly once. A part that comes again must be the same.

    It may refuse rows, and refuses the same whenever a part comes again.
    """

    promise = "receipt"

    def __init__(self, parts, life, refuses=lambda _: False):
        self._parts = parts
        self._life = life
        self._refuses = refuses

    async def open(self, context, last):
        if last is not None and last["part"] not in self._parts:
            raise Broken(f"part {last['part']} was confirmed, and is not here")

    async def write(self, part):
        rows = []
        async for chunk in part.rows:
            rows += chunk
            self._life.touch("amid a part")
        told = Counter((row.key, row.word) for row in rows)
        refused = tuple(row for row in rows if self._refuses(row.key))
        before, refused = self._parts.setdefault(part.name, (told, refused))
        if before != told:
            raise Broken(f"part {part.name} came again as another: {before}, then {told}")
        self._life.touch("after a part")
        receipt = {"part": part.name}
        if not refused:
            return receipt
        return Written(
            receipt=receipt, refused=[Refusal(row=row.row, key=row.key, why="not this one") for row in refused]
        )

    async def close(self):
        """Has nothing to let go."""


@cache
def parts():
    """The built-in parts, which nothing changes: to ask who is installed takes longer than all else that a process begins with."""
    return Plugins(entry_points=False)


class Process(Batchflow):
    """A process. Whoever was killed before is known to be dead."""

    def __init__(self, world, life):
        self._world = world
        provider = anthropic(api_key=Secret(KEY), base_url=URL)
        wire = Wire(world.app, life.touch, world.is_down, world.heard)
        provider._connection = WiredConnection(provider._account, wire)
        super().__init__(
            world.folder,
            provider=Fenced(provider, life),
            store=FencedStore(world.store, life, world.judge, world.forget),
            blobs=FencedBlobs(world.blobs, life),
            retry=standard(attempts=6),
            plugins=parts(),
            clock=world.clock,
        )

    def _lease(self, name):
        world = self._world
        return DriverLease(self.store, world.clock, name=name, id=ids.uuid7(), host=world.host, pid=world.pid())


class Schedule:
    """One story: a server, a store, and processes that come and go."""

    def __init__(self, folder, *, seed, rows, most, flying, words, hold=False, refusing=False):
        self.loop = VirtualLoop()
        self.clock = LoopClock(self.loop)
        self.folder = folder
        self.host = "here"
        dice = random.Random(seed)
        self._patches = ExitStack()
        for where, name, put in (
            (ids, "time", SimpleNamespace(time_ns=lambda: int(self.clock.now() * 1e9))),
            (ids, "secrets", SimpleNamespace(randbits=dice.getrandbits, token_bytes=dice.randbytes)),
            (app, "random", dice),
        ):
            self._patches.enter_context(patch.object(where, name, put))
        self._pids = count(5_000_000)
        self._pid = 0
        self._rows = rows
        plan = FaultPlan.parse(words)
        settings = Settings(seed=seed, duration=DURATION, cancel_delay=5.0)
        self.server = World(settings, SimClock(speed=1.0, start=self.clock.ahead, real=self.loop.time), plan)
        self.app = Api(self.server).app()
        self.store = memory_state(clock=self.clock)
        self.blobs = memory_blobs()
        self.judge = Judge(self.store, self.blobs)
        self.good, self.dead = {}, {}
        self.rules = Rules(
            batch=BatchRules(max_requests=most),
            submit=SubmitRules(
                grace=GRACE, patience=120.0, timeout=60.0, in_flight=flying, on_absent="hold" if hold else "resubmit"
            ),
            retry=RetryRules(after=1.0),
        )
        self._posted = Counter()
        self._given_up = set()
        self._misruled = set()
        self._down_until = 0.0
        self._death = {}
        self._hold = hold
        self._looked_at = None
        self._refusing = refusing
        self._retry = ()
        self._replay = ""
        self._look = False
        self.broken = None
        self.life = None
        self.canceled = self.asked_again = False

    def pid(self):
        return self._pid

    def is_down(self):
        return self.loop.time() < self._down_until

    async def heard(self, method, path, body):
        """A call arrives at the server: whatever it is, it was allowed."""
        if method == "POST" and path.endswith("/batches"):
            token = token_of(msgspec.json.decode(body)["requests"][0]["custom_id"])
            self._posted[token] += 1
            if self._posted[token] > 1:
                raise Broken(f"token {token} was posted twice")
            await self.judge.sending(token)

    def fault(self, flag):
        """Makes some later call go wrong."""
        faults, more = self.server.faults, FaultPlan.parse(flag.split(" & "))
        faults.plan = faults.plan.plus(more)
        faults._seen += [0] * len(more.rules)
        faults._done += [0] * len(more.rules)

    def lookalike(self):
        """Somebody else makes a batch as large as the one of ours that is least known of."""
        batches = self.loop.run_until_complete(self.store.find(Batch, {}))
        for batch in sorted(batches, key=lambda batch: batch.state not in UNSETTLED)[:1]:
            self.server.plant(self.server.account(KEY, None), Context(version="2023-06-01"), batch.count)

    def die(self, where, nth):
        """Has this process, or the next one, end at the n-th of something."""
        self._death[where] = nth

    def down(self, seconds):
        self._down_until = self.loop.time() + seconds

    def wall(self, seconds):
        self.clock.ahead += seconds

    def sleep(self, seconds):
        """Lets time pass while whoever is at work is stopped."""
        self.loop.moment += seconds

    def stop(self):
        if self.life is not None and self.life.flow is not None:
            self.life.flow.stop()

    def wish(self, verb):
        self._wait(self._wish(verb))

    async def _wish(self, verb, data=None):
        runs = await self.store.find(Run, {}, limit=1, newest=True)
        if runs:
            wish = Wish(id=ids.uuid7(), run=runs[0].id, verb=verb, data=data or {}, at=self.clock.now())
            await self.store.commit((Put(wish),))
            self.canceled |= verb == "cancel" and runs[0].state not in ENDS

    def retry(self, words):
        """Has the next process ask dead letters again, if the run is over by then."""
        self._retry = words

    def replay(self, sink):
        """Has the next process bring everything to a sink again, whose target is lost as soon as that is committed."""
        self._replay = sink

    def forget(self, sink):
        {"good": self.good, "dead": self.dead}[sink].clear()

    def say_absent(self):
        """Somebody says of all that is held that it was never made, and may be wrong: that alone may be paid for twice."""
        self._wait(self._say_absent())

    async def _say_absent(self):
        held = await self.store.find(Batch, {"state": BatchState.HELD})
        rulings = [Absent(batch.id, batch.token) for batch in held if NOTHING_TOLD not in batch.why]
        self._misruled |= {ruling.token for ruling in rulings}
        if rulings:
            await self._wish(RULE, {"rulings": msgspec.to_builtins(rulings)})

    def look(self):
        """Has the next process look at what is in doubt, and at what may turn up."""
        self._look = True

    def mend(self):
        """Has the sink refuse nothing any more."""
        self._refusing = False

    def _refuses(self, key):
        return self._refusing and int(key[1:]) % 5 == 2

    def go(self, seconds):
        """Lets a process work for so long; one is started where there is none."""
        if self.life is None:
            self.life = Life(self._death)
            self._pid = next(self._pids)
            self.life.task = self.loop.create_task(self._live(self.life))
        self._wait(self._until(self.loop.time() + seconds))
        if self.life.task.done():
            self.life = None

    async def _until(self, moment):
        sleep = asyncio.sleep(max(0.0, moment - self.loop.time()))
        timer = asyncio.ensure_future(sleep)
        await asyncio.wait([timer, self.life.task], return_when=asyncio.FIRST_COMPLETED)
        timer.cancel()

    def _wait(self, work):
        self.loop.run_until_complete(work)
        if self.broken is not None:
            raise AssertionError(str(self.broken)) from self.broken

    async def _live(self, life):
        """A process, from its start to its end, whatever that is."""
        try:
            async with Process(self, life) as flow:
                life.flow = flow
                await self._work(flow, life)
        except BatchflowError as error:
            self.last_error = error
            self.broken = error if isinstance(error, Bug) else None
        except BaseException as error:  # noqa: BLE001 - a process may end in any way, and none may pass unseen
            told = [one for one in _all(error) if not isinstance(one, Killed | BaseExceptionGroup)]
            self.broken = told[0] if told else None
        life.alive = False

    async def _work(self, flow, life):
        job = self._job(life)
        last = await flow.last(job)
        if last is not None and self._look:
            self._look = False
            await flow.reconcile(job, last)
            last = await flow.last(job)
        if last is not None and self._replay:
            sink, self._replay = self._replay, ""
            with suppress(RunRefused):
                await flow.replay(job, last, sink)
        elif last is not None and last.state in ENDS and self._retry:
            words, self._retry = self._retry, ()
            with suppress(BatchflowError):
                self.asked_again = True
                await flow.retry(job, last, words)
        elif last is not None and last.by_operator:
            await flow.resume(job, last)  # whoever paused it has the last word
        else:
            await flow.run(job)

    def _job(self, life):
        given = records(self._rows)
        given += given
        return Job(
            name="job",
            source=lambda: iter(given),
            request=build,
            sinks=[
                To(sink=Shelf(self.good, life, self._refuses), name="good"),
                To(sink=Shelf(self.dead, life), on="dead", name="dead"),
            ],
            rules=self.rules,
        )

    def last_run(self):
        runs = self.loop.run_until_complete(self.store.find(Run, {}, limit=1, newest=True))
        return runs[0] if runs else None

    def finish(self):
        """Heals everything, lets processes work until the run is over, and looks at what came of it."""
        self._death.clear()
        self._down_until = 0.0
        self.server.replan(msgspec.structs.replace(self.server.faults.plan, rules=[]))
        for _ in range(12):
            self.go(LONG)
            run = self.last_run()
            if run is not None and run.state in ENDS and not self._late(run):
                break
            self._wait(self._give_up())
        assert run.state in ENDS, (run, getattr(self, "last_error", ""))
        self._wait(self._final(run))

    async def _give_up(self):
        """Says what only a person can of a batch that was found by its size and whose results are empty."""
        held = await self.store.find(Batch, {"state": BatchState.HELD})
        rulings = [GiveUp(batch.id, batch.token) for batch in held if NOTHING_TOLD in batch.why]
        self._given_up |= {ruling.token for ruling in rulings}
        if self._hold:
            await asyncio.sleep(LATEST)  # what is not seen after that was never made
            rulings += [Absent(batch.id, batch.token) for batch in held if NOTHING_TOLD not in batch.why]
        if rulings:
            await self._wish(RULE, {"rulings": msgspec.to_builtins(rulings)})

    def _late(self, run):
        """Lets somebody look whether anything has turned up of a run that is over, once for each end."""
        if not self._hold or run.ended_at == self._looked_at:
            return False
        self._looked_at = run.ended_at
        self._wait(asyncio.sleep(LATEST))
        self.look()
        return True

    async def _final(self, run):
        """Everything once, paid once."""
        await self.judge.audit(run)
        mine = [batch for batch in self.server.shelf if not batch.fate.foreign]
        mine = [batch for batch in mine if token_of(batch.requests[0].custom_id) not in self._given_up]
        facts = await self.store.find(Remote, {})
        assert {batch.id for batch in mine} == {fact.id for fact in facts}, "paid for what nobody knows of"
        certain = Counter(fact.batch for fact in facts if fact.token not in self._misruled)
        assert all(times == 1 for times in certain.values()), "paid twice"
        sent = Counter(fact.batch for fact in facts)
        batches = await self.store.find(Batch, {"run": run.id})
        assert sum(len(batch.requests) for batch in mine) == sum(b.count * sent[b.id] for b in batches)
        assert all(batch.cancel_at is None for batch in self.server.shelf if batch.fate.foreign), "canceled another's"
        self._check_delivered(await self.store.books(run.id))

    def _check_delivered(self, books):
        good = sum((told for told, _ in self.good.values()), Counter())
        good -= Counter((row.key, row.word) for _, refused in self.good.values() for row in refused)
        dead = sum((told for told, _ in self.dead.values()), Counter())
        # A batch may turn up after its run was canceled, and its rows with it, which dead letters had told of: good or dead.
        canceled = {key for key, word in dead if word == Word.CANCELED and self.canceled}
        good, dead = Counter(key for key, _ in good.elements()), Counter(key for key, _ in dead.elements())
        assert all(times == 1 for times in good.values()), good
        if not self.asked_again:
            assert all(times == 1 or (times == 2 and key in canceled) for key, times in dead.items()), dead
            assert good.keys() & dead.keys() <= canceled, (good, dead)
        keys = {f"k{n}" for n in range(self._rows)}
        if not self.canceled:
            assert good.keys() | dead.keys() == keys
            assert books["read"] == 2 * self._rows
        assert len(good.keys() | dead.keys()) == books["read"] - books["duplicate"]

    def close(self):
        """Lets the loop go, with whoever is still at work."""
        if self.life is not None:
            self.life.alive = False
            self.life.task.cancel()
            with suppress(BaseException):
                self.loop.run_until_complete(self.life.task)
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        self._patches.close()


NOTHING_TOLD = "no line tells whose batch it is"
DURATION = 20.0
GRACE = 200.0
"""Longer than any batch is kept out of sight here, all faults of one call together: what is later than that is paid twice."""
LATEST = 3000.0
"""What is out of sight for longer than the grace is in sight again after so long. Only where nothing is sent again unasked."""
LONG = 4 * 24 * 3600.0


def build(record):
    if record["n"] % 11 == 7:
        raise BuildError("nobody can ask this")
    return ask(record)


def token_of(custom_id):
    return custom_id.rpartition("-")[0]


def _all(error):
    yield error
    for one in getattr(error, "exceptions", ()):
        yield from _all(one)
