"""What programs and plugins may rely on, as types: read by basedpyright in `scripts/check`, and never run."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, assert_type

from batchflow import Batchflow, Job, Plugins, Report, Rules, To
from batchflow.model.state import Run, RunState
from batchflow.plugin import (
    Accept,
    Bad,
    Builder,
    Check,
    Event,
    Failure,
    GiveUp,
    Params,
    Part,
    PlainPart,
    Promise,
    Receipt,
    Record,
    Register,
    Result,
    Retry,
    RetryPolicy,
    Sink,
    SinkContext,
    Skip,
    Source,
    Verdict,
    Word,
    hookimpl,
)


def records() -> Iterator[dict[str, Any]]:
    yield {"id": "a", "text": "hello"}


def request(record: dict[str, Any]) -> Params | Skip:
    if not record["text"]:
        return Skip("nothing to ask")
    return {"model": "claude-haiku-4-5", "max_tokens": 1, "messages": []}


def check(result: Result) -> Result | Bad:
    return result if result.text else Bad(("empty",), Word.REJECTED)


def decide(failure: Failure) -> Verdict:
    match failure.word:
        case Word.OVERLOADED:
            return Retry(30.0)
        case Word.REFUSED:
            return Accept()
        case _:
            return GiveUp()


def keep(results: Sequence[Result]) -> None:
    assert_type(results[0].carried, dict[str, Any])


async def keep_slowly(results: Sequence[Result]) -> None:
    del results


class MySink:
    promise: Promise = "keyed"

    async def open(self, context: SinkContext, last: Receipt | None) -> None: ...

    async def write(self, part: Part) -> Receipt:
        async for results in part.rows:
            assert_type(results, Sequence[Result])
        return {}

    async def close(self) -> None: ...


class MyPlainSink:
    promise: Promise = "at_least_once"

    def open(self, context: SinkContext, last: Receipt | None) -> None: ...

    def write(self, part: PlainPart) -> Receipt:
        return {"rows": sum(len(results) for results in part.rows)}

    def close(self) -> None: ...


class MyBuilder:
    def build(self, record: Record) -> bytes:
        return record.key.encode()


class MyCheck:
    def check(self, result: Result) -> Result:
        return result


class MyPolicy:
    def decide(self, failure: Failure) -> GiveUp:
        del failure
        return GiveUp()


class MyPlugin:
    @hookimpl
    def register_sinks(self, register: Register) -> None:
        register("mine", MySink)
        register("by_path", "my_plugin.sinks:mine")

    @hookimpl
    def on_event(self, event: Event) -> None:
        assert_type(event.kind, str)


sink: Sink = MySink()
builder: Builder = MyBuilder()
checker: Check = MyCheck()
policy: RetryPolicy = MyPolicy()

functions = Job(
    name="functions", source=records, request=request, checks=[check], retry=decide, sinks=[keep, keep_slowly, sink]
)
objects = Job(
    name="objects",
    source=Plugins().source("jsonl")(path=Path("in.jsonl")),
    request=builder,
    checks=[checker],
    retry=policy,
    sinks=[To(sink=sink, on="all", name="everything"), MyPlainSink()],
    rules=Rules(budget=20_000_000_000, carry=("tenant",), on_duplicate="error"),
)
assert_type(Plugins([MyPlugin()]).source("jsonl")(), Source)


async def program() -> None:
    async with Batchflow("state", plugins=[MyPlugin()], on_event=print) as flow:
        report = await flow.run(functions, new=True, wait=60.0)
        assert_type(report, Report)
        assert_type(report.run, Run)
        assert_type(report.run.state, RunState)
        assert_type(report.books["delivered"], int)
        flow.stop()


def misspelt() -> None:
    """Old names are looked up at run time, which must not hide from a type checker that a name was never there."""
    from batchflow.plugin import Recrod  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]

    _ = Recrod  # pyright: ignore[reportUnknownVariableType]
