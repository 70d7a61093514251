"""What `validate` finds out by asking the parts: nothing is sent, nothing is written."""

import json
from pathlib import Path
from typing import Annotated

import anyio
import pytest
from ordinary import ordinarily

from batchflow.config.build import build
from batchflow.config.check import check
from batchflow.config.load import load
from batchflow.extend.facade import Plugins
from batchflow.model.errors import SourceError
from batchflow.model.money import Price
from batchflow.model.record import Idle, Page, Record, Unreadable
from batchflow.plugin import Folder, hookimpl

JOB = """\
jobs:
  triage:
    source: {type: jsonl, path: in.jsonl, key: id}
    request: {model: claude-haiku-4-5, max_tokens: 300, prompt: "Sum up: {{ text }}"}
    sinks: [{type: jsonl, path: out/o.jsonl}]
"""
GOOD = [{"id": f"r{n}", "text": f"text {n}"} for n in range(3)]


class Book:
    def price(self, model):
        return Price(input=1, output=5, write_5m=1, write_1h=2, read=0.1) if model.startswith("claude") else None


class Queue:
    one_shot = True

    def read(self, after):
        raise AssertionError("a queue must not be read to look at it")

    async def fingerprint(self): ...


class Idles:
    async def read(self, after):
        yield Page([Record("a", {"text": "x"}, "1")], {})
        yield Idle(60)
        raise AssertionError("an idle source has nothing to look at")

    async def fingerprint(self): ...


class Endless:
    def __init__(self, closed):
        self.closed = closed

    async def read(self, after):
        try:
            while True:
                yield Page([Record("a", {"text": "x"}, "1")] * 40, {})
        finally:
            self.closed.append(True)

    async def fingerprint(self): ...


class Fails:
    async def read(self, after):
        raise SourceError("the queue is gone", hint="start it")
        yield

    async def fingerprint(self): ...


class Brings:
    def __init__(self, **sources):
        self.sources = sources

    @hookimpl
    def register_sources(self, register):
        for name, source in self.sources.items():
            register(name, lambda source=source: source)


@pytest.fixture
def looked(tmp_path, monkeypatch):
    """What is said about a job over these records, as (head, is it a warning)."""
    monkeypatch.chdir(tmp_path)

    def look(text=JOB, records=GOOD, *extra):
        lines = [one if isinstance(one, str) else json.dumps(one) for one in records]
        (tmp_path / "in.jsonl").write_text("".join(f"{line}\n" for line in lines))
        (tmp_path / "job.yaml").write_text(text)
        plugins = Plugins(extra, entry_points=False)
        job = load(tmp_path / "job.yaml", plugins, {}).jobs["triage"]
        found = anyio.run(lambda: check(job, build(job, {}), plugins=plugins, prices=Book()))
        return [job.told(one).partition("\n")[0].removeprefix("job.yaml:") for one in found]

    return look


def test_a_sound_job_has_no_problems_and_nothing_is_written(looked, tmp_path):
    assert looked() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "job.yaml"]


def test_an_unknown_variable_is_told_at_the_prompt(looked):
    [told] = looked(JOB.replace("{{ text }}", "{{ txet }}"))
    assert told.startswith("4:65: prompt: line 1: unknown variable 'txet'; did you mean 'text'?")


def test_a_parameter_that_the_api_version_refuses_is_told_at_its_line(looked):
    [told] = looked(JOB.replace("max_tokens: 300", "max_tokens: 300, temperature: 0.5"))
    assert told.startswith("4:70: temperature: API version 2026-10-21 refuses it in every request")


def test_an_older_version_of_the_api_takes_it(looked):
    assert (
        looked(
            "provider: {version: 2023-06-01}\n" + JOB.replace("max_tokens: 300", "max_tokens: 300, temperature: 0.5")
        )
        == []
    )


def test_a_record_without_a_column_that_others_have_is_a_warning(looked):
    [told] = looked(records=[*GOOD, {"id": "r9"}])
    assert told.startswith(
        "4:65: warning: 1 of the first 4 records cannot become a request; the first: in.jsonl:4: prompt"
    )


def test_a_prompt_that_is_always_empty_is_no_warning(looked):
    [told] = looked(JOB.replace("Sum up: ", ""), [{"id": "a", "text": " "}])
    assert told.startswith("4:65: 1 of the first 1 records cannot become a request; the first: in.jsonl:1: prompt")


def test_a_source_file_that_is_not_there_is_told_at_its_path(looked):
    [told] = looked(JOB.replace("in.jsonl", "none.jsonl"))
    assert told.startswith("3:33: ")
    assert "none.jsonl" in told


def test_an_empty_source_is_a_warning(looked):
    assert looked(records=[]) == ["3:5: warning: the source is empty, so there is nothing to ask"]


def test_a_source_of_which_nothing_can_be_read_is_an_error(looked):
    [told] = looked(records=["no json", "{broken"])
    assert told.startswith("3:5: 2 of the first 2 records cannot be read; the first: in.jsonl:1: ")


def test_a_few_unreadable_records_are_a_warning(looked):
    [told] = looked(records=[*GOOD, "{broken"])
    assert told.startswith("3:5: warning: 1 of the first 4 records cannot be read; the first: in.jsonl:4: ")


def test_a_carried_column_that_no_record_has_is_told_at_its_name(looked):
    [told] = looked(JOB.replace("key: id", "key: id, carry: [text, tenant]"))
    assert told == "3:66: no record has a column `tenant` to carry"


def test_only_the_first_records_are_looked_at(looked):
    closed = []
    job = JOB.replace("{type: jsonl, path: in.jsonl, key: id}", "{type: endless}")
    assert looked(job, GOOD, Brings(endless=Endless(closed))) == []
    assert closed == [True]


def test_a_queue_is_not_read_to_look_at_it(looked):
    job = JOB.replace("{type: jsonl, path: in.jsonl, key: id}", "{type: queue}")
    assert looked(job, GOOD, Brings(queue=Queue())) == []


def test_standard_input_is_left_to_the_run(looked):
    assert looked(JOB.replace("{type: jsonl, path: in.jsonl, key: id}", "{type: stdin, key: id}")) == []


def test_an_idle_source_is_not_waited_for(looked):
    job = JOB.replace("{type: jsonl, path: in.jsonl, key: id}", "{type: idles}")
    assert looked(job, GOOD, Brings(idles=Idles())) == []


def test_a_source_that_cannot_be_read_is_told_and_the_sinks_are_looked_at_all_the_same(looked, tmp_path):
    (tmp_path / "out").write_text("a file")
    job = JOB.replace("{type: jsonl, path: in.jsonl, key: id}", "{type: fails}")
    assert looked(job, GOOD, Brings(fails=Fails())) == [
        "3:20: the queue is gone",
        f"5:33: {tmp_path}/out is a file, so {tmp_path}/out/o.jsonl cannot be made in it",
    ]


def test_an_output_that_is_a_folder_is_refused(looked, tmp_path):
    (tmp_path / "out" / "o.jsonl").mkdir(parents=True)
    assert looked() == [f"5:33: {tmp_path}/out/o.jsonl is a folder; a file's name is wanted"]


def lake(path: Annotated[Path, Folder()]):
    """Writes many files."""
    return path


@pytest.fixture
def looked_into(looked):
    class Lakes:
        @hookimpl
        def register_sinks(self, register):
            register("lake", lake)

    return lambda: looked(JOB.replace("type: jsonl, path: out/o.jsonl", "type: lake, path: out/o"), GOOD, Lakes())


def test_an_output_that_is_to_be_a_folder_may_be_one_and_nothing_else(looked_into, tmp_path):
    assert looked_into() == []
    (tmp_path / "out" / "o").mkdir(parents=True)
    assert looked_into() == []
    (tmp_path / "out" / "o").rmdir()
    (tmp_path / "out" / "o").write_text("")
    assert looked_into() == [f"5:32: {tmp_path}/out/o is a file; a folder's name is wanted"]


def test_an_output_folder_that_may_not_be_written_is_refused(looked_into, tmp_path):
    (tmp_path / "out" / "o").mkdir(parents=True)
    (tmp_path / "out" / "o").chmod(0o500)
    assert ordinarily(looked_into) == [f"5:32: may not write into {tmp_path}/out/o"]


def test_an_output_that_may_not_be_written_is_refused(looked, tmp_path):
    (tmp_path / "out").mkdir(mode=0o500)
    assert ordinarily(looked) == [f"5:33: may not write into {tmp_path}/out"]


@pytest.mark.parametrize(
    ("budget", "what"),
    [
        ("", "warning: no price is known for model `haiku-9`, so its cost will read as zero"),
        (
            "    budget: {run: 1}\n",
            "no price is known for model `haiku-9`, so its budget cannot be kept, and nothing would be sent",
        ),
    ],
)
def test_a_model_without_a_price_is_a_warning_and_under_a_budget_a_mistake(looked, budget, what):
    assert looked(JOB.replace("claude-haiku-4-5", "haiku-9") + budget) == [f"4:22: {what}"]


def test_a_model_that_a_template_names_is_not_judged(looked):
    assert looked(JOB.replace("claude-haiku-4-5", '"{{ id }}"')) == []


def test_a_plugin_may_have_something_to_say(looked):
    class Wants:
        @hookimpl
        def check_job(self, job):
            return [f"{job.name} has no owner"]

    assert looked(JOB, GOOD, Wants()) == ["2:3: triage has no owner (says plugin Wants)"]


def test_a_builder_that_breaks_on_a_record_names_both(looked):
    class Breaks:
        def build(self, record):
            raise KeyError(record.key)

    class Brings:
        @hookimpl
        def register_builders(self, register):
            register("breaks", Breaks)

    job = JOB.replace('{model: claude-haiku-4-5, max_tokens: 300, prompt: "Sum up: {{ text }}"}', "{type: breaks}")
    (told,) = looked(job, GOOD, Brings())
    assert told.startswith("4:14: 3 of the first 3 records cannot become a request; the first: in.jsonl:1: ")
    assert told.endswith("Breaks failed on record 'r0' (in.jsonl:1): KeyError: 'r0'")


def test_unreadable_items_do_not_hide_the_columns(looked):
    class Mixed:
        async def read(self, after):
            yield Page([Unreadable("x:1", "torn"), Record("a", {"text": "t"}, "x:2")], {})

        async def fingerprint(self): ...

    job = JOB.replace("{type: jsonl, path: in.jsonl, key: id}", "{type: mixed}")
    assert looked(job, GOOD, Brings(mixed=Mixed())) == [
        "3:5: warning: 1 of the first 2 records cannot be read; the first: x:1: torn"
    ]
