"""What every request builder must keep: subclass, give a builder and some records, and the list turns green."""

import copy
import datetime as dt
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from batchflow.model.record import Record, Skip
from batchflow.ports.builder import Builder, BuildError, ByPage, Inspectable, Params

_GAVE: dict[type, tuple[list[Record], dict[str, list[dict[str, Any]] | str]]] = {}
"""What the first builder of each contract gave: every test has one that was made anew, as every process has."""


class BuilderContract:
    """Gives a builder's tests. Override `builder` and `records`; `hopeless` lists records that must be dead letters."""

    @pytest.fixture
    def builder(self) -> Builder:
        """The builder under test."""
        raise NotImplementedError("give a `builder` fixture")

    @pytest.fixture
    def records(self) -> list[Record]:
        """Records that the builder can handle, as different from one another as they come."""
        raise NotImplementedError("give a `records` fixture")

    @pytest.fixture
    def hopeless(self) -> list[Record]:
        """Records that the builder must refuse with `BuildError`."""
        return []

    def test_it_is_a_builder(self, builder: Builder) -> None:
        assert isinstance(builder, Builder)

    def test_there_are_records_to_judge_it_by(self, records: list[Record]) -> None:
        assert len(records) >= 2

    def test_every_record_gives_requests_or_a_skip(self, builder: Builder, records: list[Record]) -> None:
        for record in records:
            built = builder.build(record)
            assert isinstance(built, Skip) or requests(built)

    def test_a_skip_says_why(self, builder: Builder, records: list[Record]) -> None:
        skips = [built for built in map(builder.build, records) if isinstance(built, Skip)]
        assert all(skip.reason for skip in skips)

    def test_bytes_hold_one_json_object_and_nothing_else(self, builder: Builder, records: list[Record]) -> None:
        for request in every_request(builder, records):
            encoded = request if isinstance(request, bytes) else msgspec.json.encode(request)
            assert isinstance(msgspec.json.decode(encoded), dict)
            assert encoded[:1] == b"{"
            assert encoded[-1:] == b"}"

    def test_bytes_hold_no_newline(self, builder: Builder, records: list[Record]) -> None:
        assert not any(b"\n" in request for request in every_request(builder, records) if isinstance(request, bytes))

    def test_bytes_are_utf_8(self, builder: Builder, records: list[Record]) -> None:
        for request in every_request(builder, records):
            assert isinstance(request, Mapping) or request.decode()

    def test_every_request_names_a_model(self, builder: Builder, records: list[Record]) -> None:
        assert all(params["model"] for params in all_params(builder, records))

    def test_every_request_limits_its_answer(self, builder: Builder, records: list[Record]) -> None:
        assert all(params["max_tokens"] >= 1 for params in all_params(builder, records))

    def test_every_request_has_messages(self, builder: Builder, records: list[Record]) -> None:
        assert all(params["messages"] for params in all_params(builder, records))

    def test_every_turn_says_whose_it_is(self, builder: Builder, records: list[Record]) -> None:
        turns = [turn for params in all_params(builder, records) for turn in params["messages"]]
        assert all(turn["role"] in {"user", "assistant", "system"} for turn in turns)

    def test_no_request_carries_what_only_batchflow_adds(self, builder: Builder, records: list[Record]) -> None:
        assert not any({"custom_id", "params"} & params.keys() for params in all_params(builder, records))

    def test_no_request_asks_for_a_stream(self, builder: Builder, records: list[Record]) -> None:
        assert not any("stream" in params for params in all_params(builder, records)), "in a batch, the API refuses it"

    def test_the_time_of_day_does_not_matter(
        self, builder: Builder, records: list[Record], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        today = [as_params(builder.build(record)) for record in records]
        another_day(monkeypatch, type(builder).__module__, type(self).__module__)
        assert [as_params(builder.build(record)) for record in records] == today

    def test_the_same_record_gives_the_same_request(self, builder: Builder, records: list[Record]) -> None:
        first = [as_params(builder.build(record)) for record in records]
        assert [as_params(builder.build(record)) for record in records] == first

    def test_the_order_of_records_does_not_matter(self, builder: Builder, records: list[Record]) -> None:
        forwards = {record.key: as_params(builder.build(record)) for record in records}
        assert {record.key: as_params(builder.build(record)) for record in reversed(records)} == forwards

    @pytest.mark.parametrize("made", ["once", "again"])
    def test_a_builder_made_anew_gives_the_same_requests(
        self, builder: Builder, records: list[Record], made: str
    ) -> None:
        gave = {record.key: as_params(builder.build(record)) for record in records[:: 1 if made == "once" else -1]}
        before, said = _GAVE.setdefault(type(self), (copy.deepcopy(records), gave))
        assert before != records or gave == said

    def test_a_record_is_left_as_it_was(self, builder: Builder, records: list[Record]) -> None:
        before = copy.deepcopy(records)
        for record in records:
            builder.build(record)
        assert records == before

    def test_a_hopeless_record_is_refused_with_a_reason(self, builder: Builder, hopeless: list[Record]) -> None:
        for record in hopeless:
            with pytest.raises(BuildError) as refusal:
                builder.build(record)
            assert str(refusal.value)

    def test_a_hopeless_record_does_not_spoil_the_next(
        self, builder: Builder, records: list[Record], hopeless: list[Record]
    ) -> None:
        alone = as_params(builder.build(records[0]))
        for record in hopeless:
            with pytest.raises(BuildError):
                builder.build(record)
        assert as_params(builder.build(records[0])) == alone

    def test_problems_found_beforehand_are_sentences(self, builder: Builder) -> None:
        if isinstance(builder, Inspectable):
            assert all(
                isinstance(problem, str) and problem for problem in builder.problems(frozenset(), version="2026-10-21")
            )

    def test_the_records_own_columns_are_no_problem(self, builder: Builder, records: list[Record]) -> None:
        if isinstance(builder, Inspectable):
            columns = frozenset(column for record in records for column in record.data)
            assert builder.problems(columns, version="2026-10-21") == []

    def test_a_page_gives_what_its_records_give(self, builder: Builder, records: list[Record]) -> None:
        if isinstance(builder, ByPage):
            each = [as_params(builder.build(record)) for record in records]
            page = [None if made is None else [msgspec.json.decode(made)] for made in builder.build_page(records)]
            assert len(page) == len(each)
            assert all(made is None or made == alone for made, alone in zip(page, each, strict=True))

    def test_what_a_page_encodes_is_a_line_without_its_end(self, builder: Builder, records: list[Record]) -> None:
        if isinstance(builder, ByPage):
            made = [request for request in builder.build_page(records) if request is not None]
            assert all(request[:1] + request[-1:] == b"{}" and b"\n" not in request for request in made)

    def test_a_page_leaves_hopeless_records_to_be_refused_one_by_one(
        self, builder: Builder, records: list[Record], hopeless: list[Record]
    ) -> None:
        if isinstance(builder, ByPage) and hopeless:
            made = builder.build_page([*hopeless, *records])
            assert not any(made[: len(hopeless)])


LATER = 400.4 * 24 * 3600
"""Seconds: another year, month, day and hour."""


def another_day(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """Sets the clock that Python code reads to another day: everywhere by `time`, and in these modules by `datetime`, too."""
    now, told = time.time, (time.gmtime, time.localtime)
    monkeypatch.setattr(time, "time", lambda: now() + LATER)
    monkeypatch.setattr(time, "time_ns", lambda: int((now() + LATER) * 1e9))
    for tell in told:
        monkeypatch.setattr(time, tell.__name__, _later(tell))
    later = {dt.date: _Date, dt.datetime: _Datetime}
    for module in (dt, *(sys.modules[name] for name in modules if name in sys.modules)):
        for name, value in list(vars(module).items()):
            if isinstance(value, type) and value in later:
                monkeypatch.setattr(module, name, later[value])


def _later(tell: Callable[[float], time.struct_time]) -> Callable[[float | None], time.struct_time]:
    return lambda at=None: tell(time.time() if at is None else at)


class _Seen(type):
    """Lets what is no date of ours be a date all the same."""

    def __instancecheck__(cls, one: object) -> bool:
        return isinstance(one, cls.__mro__[1])


class _Date(dt.date, metaclass=_Seen):
    @classmethod
    def today(cls) -> "_Date":
        return cls.fromtimestamp(time.time())


class _Datetime(dt.datetime, metaclass=_Seen):
    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> "_Datetime":
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def today(cls) -> "_Datetime":
        return cls.now()

    @classmethod
    def utcnow(cls) -> "_Datetime":
        return cls.now(dt.UTC).replace(tzinfo=None)


def requests(built: Params | Sequence[Params]) -> Sequence[Params]:
    """Lists what a builder gave, whichever way it gave it."""
    return [built] if isinstance(built, bytes | Mapping) else built


def as_params(built: Params | Sequence[Params] | Skip) -> list[dict[str, Any]] | str:
    """Reads what a builder gave, so that equal requests compare equal however they are encoded."""
    if isinstance(built, Skip):
        return built.reason
    return [
        msgspec.json.decode(request) if isinstance(request, bytes) else dict(request) for request in requests(built)
    ]


def every_request(builder: Builder, records: list[Record]) -> list[Params]:
    """Builds all records."""
    return [
        request
        for record in records
        if not isinstance(built := builder.build(record), Skip)
        for request in requests(built)
    ]


def all_params(builder: Builder, records: list[Record]) -> list[dict[str, Any]]:
    """Builds all records and reads what was built."""
    return [
        params for record in records if not isinstance(read := as_params(builder.build(record)), str) for params in read
    ]
