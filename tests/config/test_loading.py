"""`{load: ...}`: texts that a plugin's loader gives are templates, found wanting by `validate`, and part of a job's identity."""

import json
import threading
from pathlib import Path
from typing import Annotated

import anyio
import msgspec
import pytest

from batchflow.config.build import build
from batchflow.config.check import check
from batchflow.config.load import load
from batchflow.extend.deadline import VARIABLE
from batchflow.extend.facade import Plugins
from batchflow.model.errors import ConfigError
from batchflow.model.record import Columns, Record
from batchflow.plugin import Doc, Given, hookimpl

JOB = """\
jobs:
  triage:
    source: {type: jsonl, path: in.jsonl, key: id}
    request:
      model: claude-haiku-4-5
      max_tokens: 10
      prompt: %s
    sinks: [{type: jsonl, path: out.jsonl}]
"""
LOADED = "{load: shelf, name: triage, version: 3}"


class Shelf:
    """Prompts on a shelf, by name and version, and a function for templates."""

    def __init__(self):
        self.texts = {("triage", 3): "How bad is this, in {{ tenant }}?\n{{ text }}"}
        self.asked = 0

    @hookimpl
    def register_loaders(self, register):
        def shelf(
            *,
            name: Annotated[str, Doc("Which.")],
            version: Annotated[int, Doc("Which of them.")] = 1,
            base: Annotated[Path, Given()],
        ) -> object:
            """Take a prompt from the shelf."""
            self.asked += 1
            assert base.is_absolute()
            if (name, version) not in self.texts:
                raise ValueError(f"there is no prompt {name} in version {version}")
            return self.texts[name, version]

        register("shelf", shelf)
        register("broken", lambda: 1 / 0)
        register("stuck", lambda: threading.Event().wait())
        register("stuck", threading.Event().wait)

    @hookimpl
    def register_globals(self, register):
        register("polite", polite)


def polite(name: str) -> str:
    return f"Dear {name}"


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def read(written, shelf, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"id": "a", "text": "rain", "tenant": "north"}\n')
    return lambda prompt=LOADED, job=JOB: load(written(job % prompt), Plugins([shelf], entry_points=False), {}).jobs[
        "triage"
    ]


def asked_of(spec, shelf=None):
    plugins = Plugins([shelf] if shelf else [], entry_points=False)
    given = {"filters": {}, "globals": plugins.globals(), "spool": Path()}
    built = build(spec, given).builder.build(Record("a", {"text": "rain", "tenant": "north"}, "in.jsonl:1"))
    return json.loads(built)["messages"]


def problems_of(spec, plugins):
    parts = build(spec, {"filters": {}, "globals": plugins.globals(), "spool": Path()})
    return [
        found.message for found in anyio.run(lambda: check(spec, parts, plugins=plugins, prices=NoPrices()))
        if not found.warning
    ]  # fmt: skip


class NoPrices:
    def price(self, model):
        del model


def test_a_loaded_text_is_a_template(read):
    assert asked_of(read()) == [{"role": "user", "content": "How bad is this, in north?\nrain"}]


def test_texts_of_blocks_and_turns_are_loaded_too(read, shelf):
    shelf.texts["house", 1] = "Speak of {{ tenant }}."
    job = JOB.replace("prompt: %s", "prompt: hi\n      messages: [{role: user, content: {load: shelf, name: house}}]")
    assert asked_of(read("", job + "%s"))[0] == {"role": "user", "content": "Speak of north."}


def test_a_schema_from_a_loader_is_sent_and_checked_on_return(read, shelf):
    shelf.texts["schema", 1] = '{"type": "object", "properties": {"bad": {"type": "integer"}}}'
    spec = read("Hi {{ text }}\n      output: {load: shelf, name: schema}")
    parts = build(spec, {"filters": {}, "spool": Path()})
    assert [check.type for check in spec.checks] == ["schema"]
    assert parts.builder.output == {"type": "object", "properties": {"bad": {"type": "integer"}}}


def test_loaded_templates_take_the_fast_path_too(read):
    """Records that were read as JSON are filled in a page at a time, with nothing rendered."""
    raw = {"text": msgspec.Raw(b'"r\\u00e4in"'), "tenant": msgspec.Raw(b'"north"')}
    builder = build(read(), {"filters": {}, "spool": Path()}).builder
    [made] = builder.build_page([Record("a", Columns(raw), "in.jsonl:1")])
    assert json.loads(made)["messages"][0]["content"] == "How bad is this, in north?\nräin"


def test_a_changed_text_is_another_job(read, shelf):
    before = read().config
    assert read().config == before
    shelf.texts["triage", 3] += " Be brief."
    assert read().config != before


def test_the_job_is_shown_as_it_was_written(read):
    assert read().summary["request"]["prompt"] == {"load": "shelf", "name": "triage", "version": 3}


def test_an_unknown_variable_in_it_is_found_before_the_run(read, shelf):
    shelf.texts["triage", 3] = "{{ txt }}"
    assert problems_of(read(), Plugins([shelf], entry_points=False)) == [
        "prompt: line 1: unknown variable 'txt'; did you mean 'text'?"
    ]


@pytest.mark.parametrize(
    ("written_as", "said"),
    [
        ("{load: shelf, name: none}", "job.yaml:7:22: shelf: there is no prompt none in version 1"),
        ("{load: shelv, name: x}", "job.yaml:7:22: there is no loader `shelv`: did you mean `shelf`? known: broken, shelf, stuck"),
        ("{load: shelf, nam: x}", "job.yaml:7:29: unknown option `nam`"),
        ("{load: shelf, name: x, version: two}", "job.yaml:7:47: should be a whole number"),
        ("{load: shelf}", "job.yaml:7:7: `name` is required"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_at_its_place(read, written_as, said):
    with pytest.raises(ConfigError) as raised:
        read(written_as)
    assert said in [problem.partition("\n")[0] for problem in raised.value.problems]


def test_a_loader_that_fails_is_named(read):
    with pytest.raises(ConfigError) as raised:
        read("{load: broken}")
    assert "job.yaml:7:22: loader `broken` of plugin Shelf failed: ZeroDivisionError" in raised.value.problems[0]


def test_a_loader_that_hangs_is_given_up_and_named(read, monkeypatch):
    monkeypatch.setenv(VARIABLE, "0.2s")
    with pytest.raises(ConfigError) as raised:
        read("{load: stuck}")
    assert (
        "loader `stuck` of plugin Shelf failed: it did not come back within 0.2 s (it is at" in raised.value.problems[0]
    )


def test_a_loader_that_gives_no_text_is_named(read, shelf):
    shelf.texts["triage", 3] = 3
    with pytest.raises(ConfigError) as raised:
        read()
    assert "loader `shelf` of plugin Shelf gave int, not a text" in raised.value.problems[0]


def test_a_function_of_a_plugin_can_be_called_in_templates(read, shelf):
    spec = read('"{{ polite(tenant) }}, {{ text }}"')
    assert asked_of(spec, shelf) == [{"role": "user", "content": "Dear north, rain"}]
    assert problems_of(spec, Plugins([shelf], entry_points=False)) == []


def test_a_misspelt_function_is_found_before_the_run(read, shelf):
    found = problems_of(read('"{{ polit(tenant) }}, {{ text }}"'), Plugins([shelf], entry_points=False))
    assert found == ["prompt: line 1: unknown variable 'polit'; did you mean 'polite'?"]
