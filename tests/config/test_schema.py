"""Editors are told the same as the reader knows."""

import copy

import jsonschema_rs
import pytest

from batchflow.config.faults import Faults, Page
from batchflow.config.reading import read
from batchflow.config.schema import schema
from batchflow.extend.facade import Plugins
from batchflow.plugin import hookimpl

EXAMPLE = """\
# yaml-language-server: $schema=./batchflow.schema.json
version: 1
provider: {api_key: "${env:ANTHROPIC_API_KEY}"}
defaults: {request: {model: claude-haiku-4-5}}
jobs:
  triage:
    source: {type: csv, path: claims/*.csv, key: claim_id, carry: [tenant]}
    request:
      max_tokens: 300
      system: {file: prompts/triage.system.md}
      prompt: {file: prompts/triage.md}
      output: {file: schemas/triage.json}
    batch: {max_requests: 10000, max_bytes: 64MB}
    submit: {grace: 10m, on_absent: resubmit}
    retry: {attempts: 3, refused: deliver, truncated: {max_tokens: 2x, ceiling: 2000}}
    budget: {run: 20.00}
    sinks:
      - {type: sqlite, path: claims.db, table: claims, mode: update,
         fields: {claim_id: key, severity: output.severity, analysis: output, status: "'done'"}}
      - {type: jsonl, path: out/dead.jsonl, on: dead}
"""
SMALLEST = """\
jobs:
  one:
    source: {type: jsonl, path: in.jsonl, key: id}
    request: {model: claude-haiku-4-5, max_tokens: 300, prompt: "Summarise: {{ text }}"}
    sinks: [{type: jsonl, path: out.jsonl}]
"""


def parsed(text):
    faults = Faults(Page("f", text))
    tree = read(text, faults)
    assert not faults.errors
    return tree.plain()


@pytest.fixture(scope="module")
def validator():
    made = schema(Plugins(entry_points=False))
    jsonschema_rs.meta.validate(made)
    return jsonschema_rs.validator_for(made)


@pytest.mark.parametrize("text", [EXAMPLE, SMALLEST])
def test_a_right_job_file_has_no_red_lines(validator, text):
    assert [error.message for error in validator.iter_errors(parsed(text))] == []


TRIAGE = ("jobs", "triage")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("version",), 2),
        (("job",), {}),
        (("defaults", "requests"), {}),
        ((*TRIAGE, "sink"), []),
        ((*TRIAGE, "source", "type"), "cvs"),
        ((*TRIAGE, "source", "pth"), "x"),
        ((*TRIAGE, "source", "carry"), "tenant"),
        ((*TRIAGE, "source", "delimiter"), 5),
        ((*TRIAGE, "request", "max_tokens"), [1]),
        ((*TRIAGE, "batch", "max_requests"), 0),
        ((*TRIAGE, "batch", "max_requests"), "many"),
        ((*TRIAGE, "batch", "max_bytes"), "64 foo"),
        ((*TRIAGE, "submit", "on_absent"), "maybe"),
        ((*TRIAGE, "submit", "grace"), "soon"),
        ((*TRIAGE, "retry", "refused"), "maybe"),
        ((*TRIAGE, "budget", "run"), "20 EUR"),
        ((*TRIAGE, "budget", "day"), 1),
        ((*TRIAGE, "sinks", 1, "on"), "deed"),
        ((*TRIAGE, "sinks", 0, "mode"), "merge"),
        ((*TRIAGE, "sinks", 0, "fields"), {"a": 1}),
        ((*TRIAGE, "sinks", 1), {"path": "x"}),
        ((*TRIAGE, "sinks", 1), {"type": "jsonl"}),
        ((*TRIAGE, "sinks"), []),
        ((*TRIAGE, "on_duplicate"), "ignore"),
        (("provider", "api_kee"), "x"),
        (("jobs",), {}),
    ],
)
def test_a_mistake_is_marked(validator, place, value):
    document = copy.deepcopy(parsed(EXAMPLE))
    holder = document
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = value
    assert not validator.is_valid(document)


@pytest.mark.parametrize("part", ["source", "request", "sinks"])
def test_a_part_that_no_default_can_bring_is_required(validator, part):
    document = parsed(SMALLEST)
    del document["jobs"]["one"][part]
    assert not validator.is_valid(document)
    assert validator.is_valid({"defaults": {}, **document})


def test_a_reference_may_stand_for_any_single_value(validator):
    text = EXAMPLE.replace("max_requests: 10000", "max_requests: '${env:MOST}'").replace("on: dead", "on: '${env:ON}'")
    assert validator.is_valid(parsed(text))


def test_an_empty_value_may_take_a_default_away(validator):
    assert validator.is_valid(parsed(EXAMPLE + "    checks:\n"))


def test_keys_of_ones_own_are_allowed_at_the_top_and_nowhere_else(validator):
    assert validator.is_valid({**parsed(EXAMPLE), "x-own": [1], "x-": None})
    assert not validator.is_valid({**parsed(EXAMPLE), "y-own": 1})
    assert not validator.is_valid({**parsed(EXAMPLE), "defaults": {"x-own": 1}})


def test_installed_plugins_are_part_of_it():
    def kafka(*, topic: str) -> None:
        """Topics."""

    class Brings:
        @hookimpl
        def register_sinks(self, register):
            register("kafka", kafka)
            register("broken", "no_such_module_anywhere:sink")

    validator = jsonschema_rs.validator_for(schema(Plugins([Brings()], entry_points=False)))
    assert validator.is_valid(parsed(SMALLEST.replace("type: jsonl, path: out.jsonl", "type: kafka, topic: x")))
    assert not validator.is_valid(parsed(SMALLEST.replace("type: jsonl, path: out.jsonl", "type: kafka, tropic: x")))
    assert not validator.is_valid(parsed(SMALLEST.replace("type: jsonl, path: out.jsonl", "type: broken")))
