r"""What every sink must do, as tests: subclass `SinkContract`, give two fixtures, and a list turns green.

    class TestJsonl(SinkContract):
        @pytest.fixture
        def make_sink(self, tmp_path):
            return lambda: jsonl(path=tmp_path / "out.jsonl")

        @pytest.fixture
        def read_back(self, tmp_path):
            async def read():
                lines = (tmp_path / "out.jsonl").read_text().split("\n")
                return [(row["key"], row["text"]) for row in map(json.loads, filter(None, lines))]
            return read

`make_sink` gives a new sink object on the same target each time it is called: a restart. `read_back` gives what a
reader of the target sees, as tuples of key and text. What a part that comes twice may leave behind depends on the
sink's own `promise`, and it is held to exactly that.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import TypeAlias

import anyio
import anyio.lowlevel
import msgspec
import pytest

from batchflow.model.errors import SinkError
from batchflow.model.result import Result, Usage
from batchflow.model.words import Word
from batchflow.ports.sink import Completing, Part, PlainSink, Receipt, Releasing, Sink, SinkContext, Written
from batchflow.stages.plain import awaited_sink

Row: TypeAlias = tuple[str, str]
MakeSink: TypeAlias = Callable[[], Sink | PlainSink]
ReadBack: TypeAlias = Callable[[], Awaitable[Sequence[Row]]]

HARD_TEXTS = (
    "", " ", "plain", "two\nlines", "carriage\r\nreturn", "lone\rreturn", 'a "quoted" word', "semi;colon, comma\ttab",
    "nul \0 inside", "line\u2028separator\u2029paragraph\x85next", "e\u0301 \U0001f600 \U00010348 \ufeff", "=1+1", "'; DROP TABLE x; --",
    "\\n \\u2028 \\\\", '{"json": [1, 2]}', "null", "\x1b[31mred\x1b[0m", "\x7f\x01\x1f",
)  # fmt: skip
"""Texts that have broken writers and readers before."""
ALIKE = (
    "key",
    "Key",
    "KEY",
    "1",
    "01",
    "1.0",
    "1e0",
    "a",
    "a ",
    " a",
    "\u00e9",
    "e\u0301",
    "true",
    "null",
    "a/b",
    "a_b",
)
"""Keys that a column, a file system or a reader might take for one another."""
_RUN, _BATCH = "0199f2e07c3a7000a1b2c3d4e5f60718", "0199f2e07d0b7000b7c6d5e4f3a2910"
PARTS = tuple(f"{_RUN}/{_BATCH}{batch}/out/{again}" for batch, again in (("8", 0), ("8", 1), ("8", 10), ("9", 0)))
"""Part names as batchflow makes them: run, batch, sink and how often it was redelivered; long, and alike but for the end."""
MISTAKABLE = (
    "run-1/batch-1/a_b/0", "run-1/batch-1/a/b/0", "run-1/batch-1/a-b/0", "run-1/batch-1/a.b/0", "run-1/batch-1/A-B/0",
    "run-1/batch-1/ab/0", "run-1/batch-1/a b/0", "run-1/batch-1/a:b/0", "run-1/batch-1/\u00e4b/0", "run-1/batch-1/ab0",
)  # fmt: skip
"""Part names that are one and the same to whoever drops or replaces what a file system or an address does not like."""


def result(key: str, text: str = "answer", *, word: Word = Word.OK, error: str = "") -> Result:
    """Makes a finished row."""
    return Result(
        key=key,
        word=word,
        attempt=1,
        batch="batch-1",
        row=0,
        origin=f"in.jsonl:{key}",
        carried={"tenant": "north"},
        text=text,
        line=b'{"custom_id":"t-0","result":{"type":"succeeded","message":{"id":"msg_1"}}}',
        usage=Usage(input_tokens=10, output_tokens=5),
        model="claude-haiku-4-5",
        error=error,
        cost=20_500,
        list_cost=41_000,
    )


def results(first: int, count: int) -> list[Result]:
    """Makes rows with running keys."""
    return [result(f"k{n:06d}", f"answer {n}") for n in range(first, first + count)]


def part(name: str, rows: Sequence[Result], *, chunk: int = 500) -> Part:
    """Makes a part that gives its rows in chunks."""
    return Part(name=name, rows=_chunks(rows, chunk))


def part_that_breaks(name: str, rows: Sequence[Result], error: BaseException) -> Part:
    """Makes a part that gives these rows one by one and then fails, as a damaged object would."""
    return Part(name=name, rows=_breaking(rows, error))


def told(rows: Iterable[Result]) -> list[Row]:
    """Gives what `read_back` should say of some rows."""
    return [(row.key, row.text) for row in rows]


async def _chunks(rows: Sequence[Result], size: int) -> AsyncIterator[Sequence[Result]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


async def _breaking(rows: Sequence[Result], error: BaseException) -> AsyncIterator[Sequence[Result]]:
    for row in rows:
        yield [row]
    raise error


class Damage(Exception):
    """Stands for anything that goes wrong while a part is being read."""


class SinkContract:
    """The promises of `ports.sink`, one test each."""

    @pytest.fixture
    def make_sink(self) -> MakeSink:
        """Gives a new sink object on the same target, each time it is called."""
        raise NotImplementedError

    @pytest.fixture
    def read_back(self) -> ReadBack:
        """Gives what a reader of the target sees, as (key, text)."""
        raise NotImplementedError

    @pytest.fixture
    def unwanted(self) -> str | None:
        """Gives a text that the target refuses by a rule of its own; None where it has no such rules."""
        return None

    @pytest.fixture
    def check(self, make_sink: MakeSink, read_back: ReadBack) -> "Check":
        return Check(make_sink, read_back)

    async def test_it_declares_a_known_promise(self, make_sink: MakeSink) -> None:
        assert make_sink().promise in {"receipt", "keyed", "at_least_once"}

    async def test_it_is_a_sink_and_making_it_touches_nothing(self, make_sink: MakeSink, read_back: ReadBack) -> None:
        assert isinstance(awaited_sink(make_sink()), Sink)
        assert isinstance(awaited_sink(make_sink()), Sink)
        await _opened_and_closed(awaited_sink(make_sink()))
        assert list(await read_back()) == []

    async def test_a_part_is_there_once_its_receipt_is_given(self, make_sink: MakeSink, read_back: ReadBack) -> None:
        sink = awaited_sink(make_sink())
        await sink.open(context(), None)
        await sink.write(part("p1", results(0, 3)))
        seen = list(await read_back())
        await sink.close()
        assert sorted(seen) == told(results(0, 3))

    async def test_an_empty_part_leaves_no_row_and_gives_a_receipt(self, check: "Check") -> None:
        receipt = await check.session(None, part("p1", []))
        await check.session(receipt, part("p2", results(0, 2)))
        await check.sees_exactly(results(0, 2))

    async def test_a_part_of_empty_chunks_is_an_empty_part(self, check: "Check") -> None:
        await check.session(None, Part(name="p1", rows=_empty_chunks()))
        await check.sees_exactly([])

    async def test_parts_follow_each_other(self, check: "Check") -> None:
        await check.session(None, *(part(f"p{n}", results(n * 10, 10)) for n in range(5)))
        await check.sees_exactly(results(0, 50))

    async def test_rows_keep_their_order(self, check: "Check") -> None:
        await check.session(None, part("p1", results(0, 40), chunk=7), part("p2", results(40, 40), chunk=7))
        seen = await check.seen()
        assert seen == told(results(0, 80))

    async def test_it_goes_on_after_a_restart_with_the_last_receipt(self, check: "Check") -> None:
        receipt = await check.session(None, part("p1", results(0, 5)))
        receipt = await check.session(receipt, part("p2", results(5, 5)))
        await check.session(receipt, part("p3", results(10, 5)))
        await check.sees_exactly(results(0, 15))

    async def test_a_restart_without_work_changes_nothing(self, check: "Check") -> None:
        receipt = await check.session(None, part("p1", results(0, 5)))
        await check.session(receipt)
        await check.session(receipt)
        await check.session(receipt, part("p2", results(5, 5)))
        await check.sees_exactly(results(0, 10))

    async def test_a_part_whose_receipt_was_lost_is_written_again_as_promised(self, check: "Check") -> None:
        receipt = await check.session(None, part("p1", results(0, 5)))
        await check.session(receipt, part("p2", results(5, 5)))
        await check.session(receipt, part("p2", results(5, 5)), part("p3", results(10, 5)))
        await check.sees_as_promised(results(0, 15))

    async def test_a_first_part_whose_receipt_was_lost_is_written_again_as_promised(self, check: "Check") -> None:
        await check.session(None, part("p1", results(0, 5)))
        await check.session(None, part("p1", results(0, 5)))
        await check.sees_as_promised(results(0, 5))

    async def test_a_receipt_can_be_lost_many_times(self, check: "Check") -> None:
        receipt = await check.session(None, part("p1", results(0, 5)))
        for _ in range(4):
            await check.session(receipt, part("p2", results(5, 5)))
        await check.sees_as_promised(results(0, 10))

    async def test_a_crash_after_every_single_part_loses_and_doubles_nothing_that_was_promised(
        self, check: "Check"
    ) -> None:
        receipt: Receipt | None = None
        for n in range(4):
            await check.session(receipt, part(f"p{n}", results(n * 5, 5)))
            receipt = await check.session(receipt, part(f"p{n}", results(n * 5, 5)))
        await check.sees_as_promised(results(0, 20))

    async def test_a_redelivered_part_may_come_in_other_chunks(self, check: "Check") -> None:
        receipt = await check.session(None, part("p1", results(0, 5)))
        for size in (1, 7, 500):
            await check.session(receipt, part("p2", results(5, 20), chunk=size))
        await check.sees_as_promised(results(0, 25))

    async def test_a_redelivered_part_may_come_in_another_order(self, check: "Check") -> None:
        receipt = await check.session(None, part("p1", results(0, 5)))
        await check.session(receipt, part("p2", results(5, 20)))
        await check.session(receipt, part("p2", results(5, 20)[::-1], chunk=3))
        await check.sees_as_promised(results(0, 25))

    async def test_a_part_written_twice_in_one_session_is_written_as_promised(self, check: "Check") -> None:
        await check.session(None, part("p1", results(0, 5)), part("p2", results(5, 5)), part("p2", results(5, 5)))
        await check.sees_as_promised(results(0, 10))

    async def test_a_part_that_breaks_is_written_again_in_the_same_session(self, check: "Check") -> None:
        sink = await check.opened(None)
        await sink.write(part("p1", results(0, 5)))
        with pytest.raises(Damage):
            await sink.write(part_that_breaks("p2", results(5, 3), Damage()))
        await sink.write(part("p2", results(5, 5)))
        await sink.close()
        await check.sees_as_promised(results(0, 10))

    async def test_a_part_that_breaks_is_written_again_after_a_restart(self, check: "Check") -> None:
        sink = await check.opened(None)
        receipt = receipt_of(await sink.write(part("p1", results(0, 5))))
        with pytest.raises(Damage):
            await sink.write(part_that_breaks("p2", results(5, 3), Damage()))
        await sink.close()
        await check.session(receipt, part("p2", results(5, 5)))
        await check.sees_as_promised(results(0, 10))

    async def test_a_first_part_that_breaks_is_written_again_after_a_restart(self, check: "Check") -> None:
        sink = await check.opened(None)
        with pytest.raises(Damage):
            await sink.write(part_that_breaks("p1", results(0, 3), Damage()))
        await sink.close()
        await check.session(None, part("p1", results(0, 5)))
        await check.sees_as_promised(results(0, 5))

    async def test_a_canceled_write_is_done_again(self, check: "Check") -> None:
        sink = await check.opened(None)
        receipt = receipt_of(await sink.write(part("p1", results(0, 5))))
        with anyio.CancelScope() as scope:
            await sink.write(Part(name="p2", rows=_canceling(results(5, 3), scope)))
        assert scope.cancelled_caught
        await sink.close()
        await check.session(receipt, part("p2", results(5, 5)))
        await check.sees_as_promised(results(0, 10))

    async def test_a_sink_closed_inside_a_canceled_task_lets_go(self, check: "Check") -> None:
        with anyio.CancelScope() as scope:
            sink = await check.opened(None)
            try:
                await sink.write(Part(name="p1", rows=_canceling(results(0, 3), scope)))
            finally:
                await sink.close()
        await check.session(None, part("p1", results(0, 5)))
        await check.sees_as_promised(results(0, 5))

    async def test_a_receipt_survives_json(self, check: "Check") -> None:
        receipt = await check.session(None, part("p1", results(0, 5)))
        assert msgspec.json.decode(msgspec.json.encode(receipt)) == receipt

    async def test_a_receipt_is_small(self, check: "Check") -> None:
        receipt = await check.session(None, part("p1", results(0, 1000)))
        assert len(msgspec.json.encode(receipt)) < 2000

    @pytest.mark.parametrize("text", HARD_TEXTS, ids=ascii)
    async def test_a_hard_text_comes_back_as_it_was(self, check: "Check", text: str) -> None:
        rows = [result("before"), result("hard", text), result("next")]
        await check.session(None, part("p1", rows))
        assert sorted(await check.seen()) == sorted(told(rows))

    async def test_a_hard_key_comes_back_as_it_was(self, check: "Check") -> None:
        rows = [result(text or "empty", "answer") for text in HARD_TEXTS]
        await check.session(None, part("p1", rows))
        assert sorted(await check.seen()) == sorted(told(rows))

    async def test_keys_that_look_alike_are_kept_apart(self, check: "Check") -> None:
        rows = [result(key, f"of {key}") for key in ALIKE]
        await check.session(None, part("p1", rows, chunk=3))
        assert sorted(await check.seen()) == sorted(told(rows))

    async def test_a_megabyte_of_text_comes_back_as_it_was(self, check: "Check") -> None:
        rows = [result("small"), result("huge", "x\u00e9\n" * 300_000), result("last")]
        await check.session(None, part("p1", rows, chunk=1))
        assert sorted(await check.seen()) == sorted(told(rows))

    async def test_rows_that_failed_are_written_like_others(self, check: "Check") -> None:
        rows = [result(word.value, "", word=word, error=f"it was {word}") for word in Word if word is not Word.OK]
        await check.session(None, part("p1", rows))
        assert sorted(key for key, _ in await check.seen()) == sorted(row.key for row in rows)

    async def test_a_row_that_the_target_refuses_is_told_and_holds_back_no_other(
        self, check: "Check", unwanted: str | None
    ) -> None:
        rows = _numbered([*results(0, 3), _unwanted(unwanted), *results(3, 3)])
        sink = await check.opened(None)
        written = await sink.write(part("p1", rows, chunk=4))
        await sink.close()
        assert isinstance(written, Written)
        assert [(one.row, one.key, bool(one.why)) for one in written.refused] == [(3, "unwanted", True)]
        await check.session(written.receipt, part("p2", results(6, 2)))
        await check.sees_exactly(results(0, 8))

    async def test_a_part_that_is_recognised_tells_the_same_refusals(
        self, check: "Check", unwanted: str | None
    ) -> None:
        rows = _numbered([*results(0, 3), _unwanted(unwanted)])
        told_twice: list[Receipt | Written] = []
        for _ in range(2):
            sink = await check.opened(None)
            told_twice.append(await sink.write(part("p1", rows)))
            await sink.close()
        first, again = told_twice
        assert isinstance(first, Written)
        assert isinstance(again, Written)
        assert list(again.refused) == list(first.refused)
        await check.sees_as_promised(results(0, 3))

    async def test_a_part_may_have_any_name(self, check: "Check") -> None:
        names = ["run/batch/../0", "/etc/passwd", "a\\b", "'; --", "with space", "\u00e9\n\u2028", "n" * 300]
        receipt = None
        for n, name in enumerate(names):
            receipt = await check.session(receipt, part(name, results(n, 1)))
        await check.sees_exactly(results(0, len(names)))

    @pytest.mark.parametrize("names", [PARTS, MISTAKABLE], ids=["long ones", "odd ones"])
    async def test_parts_whose_names_differ_in_little_are_kept_apart(
        self, check: "Check", names: Sequence[str]
    ) -> None:
        rows = [results(n * 3, 3) for n in range(len(names))]
        parts = [part(name, some) for name, some in zip(names, rows, strict=True)]
        receipt = await check.session(None, *parts[:-1])
        await check.session(receipt, parts[-1])
        await check.session(receipt, part(names[-1], rows[-1]))
        await check.sees_as_promised([row for some in rows for row in some])

    async def test_marking_the_target_as_whole_changes_no_row(self, check: "Check") -> None:
        await check.session(None, part("p1", results(0, 3)), part("p2", results(3, 3)), whole=2)
        await check.sees_exactly(results(0, 6))

    async def test_a_new_process_can_mark_the_target_as_whole_again(self, check: "Check") -> None:
        receipt = await check.session(None, part("p1", results(0, 3)), part("p2", results(3, 3)), whole=1)
        await check.session(receipt, whole=2)
        await check.sees_exactly(results(0, 6))

    async def test_more_parts_may_follow_where_a_target_was_whole(self, check: "Check") -> None:
        receipt = await check.session(None, part("p1", results(0, 3)), whole=1)
        receipt = await check.session(receipt, part("p2", results(3, 3)), whole=1)
        await check.session(receipt, part("p3", results(6, 3)), whole=1)
        await check.sees_exactly(results(0, 9))

    async def test_a_target_without_a_part_can_be_marked_as_whole(self, check: "Check") -> None:
        await check.session(None, whole=1)
        await check.sees_exactly([])

    async def test_chunks_are_asked_for_one_after_the_other_and_to_the_end(self, check: "Check") -> None:
        rows = Paced(results(0, 60), 6)
        await check.session(None, Part(name="p1", rows=rows))
        assert rows.given == 60
        assert not rows.hurried, "the next chunk was asked for before the last one was there"
        await check.sees_exactly(results(0, 60))

    async def test_a_part_that_comes_slowly_is_waited_for(self, check: "Check") -> None:
        sink = await check.opened(None)
        more, done = anyio.Event(), anyio.Event()

        async def write() -> None:
            await sink.write(Part(name="p1", rows=_held_back(results(0, 4), more)))
            done.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            assert not done.is_set(), "a receipt was given for rows that had not come yet"
            more.set()
        await sink.close()
        await check.sees_exactly(results(0, 4))

    async def test_ten_thousand_rows_go_through_in_chunks(self, check: "Check") -> None:
        await check.session(None, part("p1", results(0, 10_000)))
        await check.sees_exactly(results(0, 10_000))

    async def test_it_can_be_closed_twice_and_without_being_opened(self, make_sink: MakeSink, check: "Check") -> None:
        await awaited_sink(make_sink()).close()
        sink = await check.opened(None)
        await sink.write(part("p1", results(0, 1)))
        await sink.close()
        await sink.close()
        await check.sees_exactly(results(0, 1))

    async def test_a_receipt_that_it_never_gave_breaks_nothing(self, check: "Check", make_sink: MakeSink) -> None:
        receipt = await check.session(None, part("p1", results(0, 2)))
        sink = awaited_sink(make_sink())
        with suppress(SinkError):
            await sink.open(context(fresh=False), {"never": "given"})
        await sink.close()
        await check.session(receipt, part("p2", results(2, 2)))
        await check.sees_exactly(results(0, 4))

    async def test_hearing_of_the_commit_changes_no_row(self, check: "Check") -> None:
        sink = await check.opened(None)
        receipts = [receipt_of(await sink.write(part(f"p{n}", results(n, 1)))) for n in range(2)]
        for receipt in (receipts[1], receipts[1], receipts[0]):
            await _told_of_commit(sink, receipt)
        await sink.close()
        await check.session(receipts[1], part("p2", results(2, 1)))
        await check.sees_exactly(results(0, 3))


class Paced:
    """The rows of a part, in chunks that take their time; it notes whether anybody asked for two of them at once."""

    def __init__(self, rows: Sequence[Result], size: int) -> None:
        self._left = _chunks(rows, size)
        self._busy = False
        self.given = 0
        self.hurried = False

    def __aiter__(self) -> "Paced":
        return self

    async def __anext__(self) -> Sequence[Result]:
        self.hurried |= self._busy
        self._busy = True
        try:
            await anyio.lowlevel.checkpoint()
            rows = await anext(self._left)
        finally:
            self._busy = False
        self.given += len(rows)
        return rows


class Check:
    """Runs sessions on one target and compares what a reader sees with what the sink promised."""

    def __init__(self, make_sink: MakeSink, read_back: ReadBack) -> None:
        self._make_sink = make_sink
        self._read_back = read_back

    async def opened(self, last: Receipt | None) -> Sink:
        """Opens a new sink object, as a new process would."""
        sink = awaited_sink(self._make_sink())
        await sink.open(context(fresh=last is None), last)
        return sink

    async def session(self, last: Receipt | None, *parts: Part, whole: int = 0) -> Receipt | None:
        """Opens, writes some parts, says (so often) that this was all, closes; gives the last receipt, as a state store would keep it."""
        sink = await self.opened(last)
        try:
            for one in parts:
                last = msgspec.json.decode(msgspec.json.encode(receipt_of(await sink.write(one))))
            for _ in range(whole):
                await _told_that_it_is_whole(sink)
        finally:
            await sink.close()
        return last

    async def seen(self) -> list[Row]:
        """Gives what a reader sees."""
        return [(key, text) for key, text in await self._read_back()]

    async def sees_exactly(self, rows: Iterable[Result]) -> None:
        """Asserts that each row is there once, and nothing else."""
        assert Counter(await self.seen()) == Counter(told(rows))

    async def sees_as_promised(self, rows: Iterable[Result]) -> None:
        """Asserts that each row is there: once, or for `at_least_once` maybe more than once."""
        if self._make_sink().promise == "at_least_once":
            assert set(await self.seen()) == set(told(rows))
        else:
            await self.sees_exactly(rows)


def receipt_of(given: Receipt | Written) -> Receipt:
    """Gives the receipt of what a sink said after writing."""
    receipt = given.receipt if isinstance(given, Written) else given
    assert isinstance(receipt, dict), f"a receipt is an object of JSON (a dict), and this is {receipt!r}"
    return receipt


def context(run: str = "run-1", sink: str = "sink-1", *, fresh: bool = True) -> SinkContext:
    """Makes what a sink is told when it is opened."""
    return SinkContext(run=run, job="triage", sink=sink, fresh=fresh)


def _unwanted(text: str | None) -> Result:
    if text is None:
        pytest.skip("the target of this sink refuses no rows")
    return result("unwanted", text)


def _numbered(rows: Sequence[Result]) -> list[Result]:
    return [msgspec.structs.replace(row, row=number) for number, row in enumerate(rows)]


async def _opened_and_closed(sink: Sink) -> None:
    await sink.open(context(), None)
    await sink.close()


async def _told_of_commit(sink: Sink, receipt: Receipt) -> None:
    if isinstance(sink, Releasing):
        await sink.committed(receipt)


async def _told_that_it_is_whole(sink: Sink) -> None:
    if isinstance(sink, Completing):
        await sink.complete()


async def _empty_chunks() -> AsyncIterator[Sequence[Result]]:
    for _ in range(3):
        yield []


async def _held_back(rows: Sequence[Result], more: anyio.Event) -> AsyncIterator[Sequence[Result]]:
    """Gives half of the rows, and the rest when told."""
    half = len(rows) // 2
    yield rows[:half]
    await more.wait()
    yield rows[half:]


async def _canceling(rows: Sequence[Result], scope: anyio.CancelScope) -> AsyncIterator[Sequence[Result]]:
    for row in rows:
        yield [row]
    scope.cancel()
    await anyio.lowlevel.checkpoint()
