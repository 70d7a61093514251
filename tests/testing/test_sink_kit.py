"""The sink contract holds a sink to what it declares: it passes an honest one and finds a liar out."""

import hashlib
import json
import re
import time
from contextlib import nullcontext, suppress
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest

from batchflow.model.record import Record
from batchflow.testing.builder import BuilderContract
from batchflow.testing.sink import MISTAKABLE, PARTS, Check, SinkContract


class Naive:
    """Appends lines and remembers nothing."""

    promise = "at_least_once"

    def __init__(self, path):
        self.path = path

    async def open(self, context, last):
        self.path.touch()

    async def write(self, part):
        async for rows in part.rows:
            with self.path.open("a") as file:
                file.writelines(json.dumps([row.key, row.text]) + "\n" for row in rows)
        return {"part": part.name}

    async def close(self):
        pass


class Liar(Naive):
    """Promises more than it does."""

    promise = "receipt"


class Forgetful(Naive):
    """Loses the last row of each chunk."""

    async def write(self, part):
        async for rows in part.rows:
            with self.path.open("a") as file:
                file.writelines(json.dumps([row.key, row.text]) + "\n" for row in rows[:-1])
        return {"part": part.name}


class Hasty(Naive):
    """Gives its receipt while rows are still to come."""

    async def write(self, part):
        rows = await anext(part.rows)
        with self.path.open("a") as file:
            file.writelines(json.dumps([row.key, row.text]) + "\n" for row in rows)
        return {"part": part.name}


class Greedy(Naive):
    """Asks for the next chunk before it has the last one."""

    async def write(self, part):
        async def take():
            with suppress(StopAsyncIteration, RuntimeError):
                while True:
                    rows = await anext(part.rows)
                    with self.path.open("a") as file:
                        file.writelines(json.dumps([row.key, row.text]) + "\n" for row in rows)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take)
            tasks.start_soon(take)
        return {"part": part.name}


def reading(path):
    async def read():
        return [tuple(json.loads(line)) for line in path.read_text().split("\n")[:-1]]

    return read


class TestAnHonestSink(SinkContract):
    @pytest.fixture
    def make_sink(self, tmp_path):
        return lambda: Naive(tmp_path / "out")

    @pytest.fixture
    def read_back(self, tmp_path):
        return reading(tmp_path / "out")


LIES = [
    "test_a_part_whose_receipt_was_lost_is_written_again_as_promised",
    "test_a_first_part_whose_receipt_was_lost_is_written_again_as_promised",
    "test_a_receipt_can_be_lost_many_times",
    "test_a_crash_after_every_single_part_loses_and_doubles_nothing_that_was_promised",
    "test_a_redelivered_part_may_come_in_other_chunks",
    "test_a_redelivered_part_may_come_in_another_order",
    "test_a_part_written_twice_in_one_session_is_written_as_promised",
    "test_a_part_that_breaks_is_written_again_in_the_same_session",
    "test_a_part_that_breaks_is_written_again_after_a_restart",
    "test_a_first_part_that_breaks_is_written_again_after_a_restart",
    "test_a_canceled_write_is_done_again",
]


@pytest.mark.parametrize("name", LIES)
async def test_a_sink_that_doubles_rows_cannot_promise_receipts(tmp_path, name):
    check = Check(lambda: Liar(tmp_path / "out"), reading(tmp_path / "out"))
    with pytest.raises(AssertionError):
        await getattr(SinkContract(), name)(check)


LOSSES = [
    "test_parts_follow_each_other",
    "test_rows_keep_their_order",
    "test_it_goes_on_after_a_restart_with_the_last_receipt",
    "test_ten_thousand_rows_go_through_in_chunks",
    "test_a_part_whose_receipt_was_lost_is_written_again_as_promised",
]


@pytest.mark.parametrize("name", LOSSES)
async def test_a_sink_that_loses_rows_is_found_out_whatever_it_promises(tmp_path, name):
    check = Check(lambda: Forgetful(tmp_path / "out"), reading(tmp_path / "out"))
    with pytest.raises(AssertionError):
        await getattr(SinkContract(), name)(check)


PACES = {
    "test_a_part_that_comes_slowly_is_waited_for": Hasty,
    "test_chunks_are_asked_for_one_after_the_other_and_to_the_end": Greedy,
}


@pytest.mark.parametrize("name", PACES)
async def test_a_sink_that_does_not_keep_the_pace_of_its_rows_is_found_out(tmp_path, name):
    check = Check(lambda: PACES[name](tmp_path / "out"), reading(tmp_path / "out"))
    with pytest.raises((AssertionError, ExceptionGroup)):
        await getattr(SinkContract(), name)(check)


class Keyed(Naive):
    """Takes keys for one another, or forgets its `return`."""

    promise = "keyed"

    def __init__(self, path, *, fold=str, mute=False):
        super().__init__(path)
        self.fold, self.mute = fold, mute

    async def write(self, part):
        kept = dict(await reading(self.path)())
        async for rows in part.rows:
            for row in rows:
                kept[self.fold(row.key)] = row.text
        self.path.write_text("".join(json.dumps(pair) + "\n" for pair in kept.items()))
        return None if self.mute else {"part": part.name}


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("test_keys_that_look_alike_are_kept_apart", {"fold": str.lower}),
        ("test_keys_that_look_alike_are_kept_apart", {"fold": str.strip}),
        ("test_parts_follow_each_other", {"mute": True}),
    ],
)
async def test_a_sink_that_mistakes_keys_or_gives_no_receipt_is_found_out(tmp_path, name, fault):
    for faults in ({}, fault):
        folder = tmp_path / f"{bool(faults)}"
        folder.mkdir()
        make = partial(Keyed, folder / "out", **faults)
        with pytest.raises(AssertionError) if faults else nullcontext():
            await getattr(SinkContract(), name)(Check(make, reading(folder / "out")))


class Filed(Naive):
    """Makes a file of each part, under what is left of its name."""

    promise = "receipt"

    def __init__(self, path, *, named=str, end=None):
        super().__init__(path)
        self.named, self.end = named, end

    async def open(self, context, last):
        self.path.mkdir(exist_ok=True)

    async def write(self, part):
        rows = [[row.key, row.text] async for rows in part.rows for row in rows]
        (self.path / hashlib.sha256(self.named(part.name).encode()).hexdigest()).write_text(json.dumps(rows))
        return {"part": part.name}

    async def complete(self):
        if self.end:
            for file in self.path.iterdir():
                self.end(file)


def filed(path):
    async def read():
        return [tuple(row) for file in path.iterdir() for row in json.loads(file.read_text())]

    return read


def damage(file):
    file.write_text(json.dumps(json.loads(file.read_text())[:-1]))


WHOLE = "test_marking_the_target_as_whole_changes_no_row"


@pytest.mark.parametrize(
    ("name", "given", "fault"),
    [
        ("test_parts_whose_names_differ_in_little_are_kept_apart", [PARTS], {"named": lambda name: name[:70]}),
        ("test_parts_whose_names_differ_in_little_are_kept_apart", [PARTS], {"named": lambda name: name[-6:]}),
        *(
            ("test_parts_whose_names_differ_in_little_are_kept_apart", [MISTAKABLE], {"named": named})
            for named in (partial(re.sub, r"[^\w.-]", "_"), partial(re.sub, r"[^a-zA-Z0-9_/.-]", ""), str.lower)
        ),
        (WHOLE, [], {"end": Path.unlink}),
        (WHOLE, [], {"end": damage}),
        ("test_a_new_process_can_mark_the_target_as_whole_again", [], {"end": damage}),
        ("test_more_parts_may_follow_where_a_target_was_whole", [], {"end": damage}),
    ],
)
async def test_a_sink_that_takes_parts_for_one_another_or_spoils_what_is_whole_is_found_out(
    tmp_path, name, given, fault
):
    for faults in ({}, fault):
        folder = tmp_path / f"{bool(faults)}"
        with pytest.raises(AssertionError) if faults else nullcontext():
            await getattr(SinkContract(), name)(Check(partial(Filed, folder, **faults), filed(folder)), *given)


TODAY = {
    "date.today": lambda: date.today().isoformat(),  # noqa: DTZ011 - that is what is to be found
    "datetime.now": lambda: datetime.now().strftime("%Y-%m-%d"),  # noqa: DTZ005 - that is what is to be found
    "time.strftime": lambda: time.strftime("%Y", time.localtime()),
    "time.time": lambda: str(time.time() // 1e6),
}


class Dated:
    """Writes the day into its requests, and asks for what no batch may have."""

    def __init__(self, today=str, **more):
        self.today, self.more = today, more

    def build(self, record):
        said = f"{self.today()} {record.key} {isinstance(record.data['on'], date)}"
        return {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": said}], **self.more}


@pytest.mark.parametrize(
    ("test", "fault"),
    [
        *(("test_the_time_of_day_does_not_matter", {"today": today}) for today in TODAY.values()),
        ("test_no_request_asks_for_a_stream", {"stream": True}),
    ],
    ids=[*TODAY, "stream"],
)
def test_a_builder_that_looks_at_the_clock_or_streams_is_found_out(monkeypatch, test, fault):
    class Contract(BuilderContract):
        pass

    records = [Record("a", {"on": date(2026, 1, 1)}, "1"), Record("b", {"on": datetime(2026, 1, 1, tzinfo=UTC)}, "2")]
    more = [monkeypatch] if "day" in test else []
    for faults in ({}, fault):
        with pytest.raises(AssertionError) if faults else nullcontext():
            getattr(Contract(), test)(Dated(**faults), records, *more)
        monkeypatch.undo()


@pytest.mark.parametrize("steady", [True, False])
def test_a_builder_that_is_another_in_every_process_is_found_out(steady):
    """One that salts its requests: asked again after a restart, a row would not be what it was."""
    kind = type("Contract", (BuilderContract,), {})
    salts = iter("aa" if steady else "ab")

    def build(salt, record):
        return {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": salt + record.key}]}

    records = [Record("a", {}, "1"), Record("b", {}, "2")]
    with nullcontext() if steady else pytest.raises(AssertionError):
        for made in ("once", "again"):
            builder = SimpleNamespace(build=partial(build, next(salts)))
            kind().test_a_builder_made_anew_gives_the_same_requests(builder, records, made)
