"""Every rule of a job file, with the very words in which it is told."""

from pathlib import Path

import pytest

from batchflow.config.load import load
from batchflow.model.errors import ConfigError
from batchflow.model.rules import BatchRules, RetryRules, SubmitRules


def job(*lines, top=""):
    """A sound job with some lines changed: a line replaces the one that begins alike, or comes after the others."""
    body = {
        "source": "source: {type: rows, path: in.jsonl}",
        "request": "request: {type: asks, model: m}",
        "sinks": "sinks: [{type: table, path: out.db}]",
    }
    body |= {line.partition(":")[0]: line for line in lines}
    indented = "".join(f"    {line}\n" for line in body.values())
    return f"{top}jobs:\n  triage:\n{indented}"


def test_a_job_file_is_read_into_components_with_checked_options(loaded, tmp_path):
    spec = loaded().jobs["triage"]
    assert (spec.name, spec.file, spec.base) == ("triage", tmp_path / "job.yaml", tmp_path)
    assert [(one.kind, one.type) for one in spec.components] == [
        ("source", "rows"), ("builder", "asks"), ("retry", "standard"), ("sink", "table"), ("provider", "remote"),
    ]  # fmt: skip
    assert spec.source.kwargs == {"path": tmp_path / "in.jsonl"}
    assert spec.sinks[0].sink.kwargs == {"path": tmp_path / "out.db"}
    assert spec.provider.kwargs["key"].reveal() == "hunter2hunter2"


def test_a_request_is_a_template_and_the_provider_anthropic_unless_it_says_otherwise(loaded):
    spec = loaded(job("request: {model: m, max_tokens: 3, prompt: hi}")).jobs["triage"]
    assert (spec.builder.type, spec.provider.type, spec.retry.type) == ("template", "anthropic", "standard")
    assert spec.builder.given == {"base", "filters", "globals"}


def test_sections_become_rules(loaded):
    text = job(
        "source: {type: rows, path: in.jsonl, carry: [tenant, region]}",
        "batch: {max_requests: 500, max_bytes: 64MiB}",
        "submit: {grace: 20m, on_absent: hold, in_flight: 2, timeout: 90, patience: 1h}",
        "retry: {attempts: 5, refused: deliver, after: 5s}",
        "budget: {run: 20.10}",
        "on_duplicate: last",
        "repeat: always",
    )
    rules = loaded(text).jobs["triage"].rules
    assert rules.batch == BatchRules(max_requests=500, max_bytes=2**26)
    assert rules.submit == SubmitRules(grace=1200, on_absent="hold", in_flight=2, timeout=90, patience=3600)
    assert rules.retry == RetryRules(attempts=5, after=5)
    assert (rules.budget, rules.carry) == (20_100_000_000, ("tenant", "region"))
    assert (rules.on_duplicate, rules.repeat) == ("last", "always")


def test_what_a_job_leaves_out_has_the_rules_own_defaults(loaded):
    rules = loaded().jobs["triage"].rules
    assert (rules.batch, rules.submit, rules.retry) == (BatchRules(), SubmitRules(), RetryRules())
    assert (rules.budget, rules.carry, rules.on_duplicate, rules.repeat) == (None, (), "first", "")


def test_the_policys_options_stand_beside_our_own(loaded):
    spec = loaded(job("retry: {attempts: 5, after: 5s, words: {canceled: again}}")).jobs["triage"]
    assert spec.retry.kwargs == {"attempts": 5, "words": {"canceled": "again"}}


def test_an_output_schema_brings_its_check(loaded):
    text = job("request: {model: m, max_tokens: 3, prompt: hi, output: {type: object}}")
    [check] = loaded(text).jobs["triage"].checks
    assert (check.type, check.kwargs) == ("schema", {"schema": {"type": "object"}})


def test_a_check_of_ones_own_on_the_schema_stays_the_only_one(loaded):
    text = job(
        "request: {model: m, max_tokens: 3, prompt: hi, output: {type: object}}",
        "checks: [{type: schema, schema: {type: array}}]",
    )
    [check] = loaded(text).jobs["triage"].checks
    assert check.kwargs == {"schema": {"type": "array"}}


def test_sinks_are_called_by_their_type_and_counted_where_it_comes_again(loaded):
    sinks = (
        "sinks: [{type: table, path: a}, {type: table, path: b, on: dead}, {type: jsonl, path: c, on: all, name: log}]"
    )
    assert [(one.name, one.on) for one in loaded(job(sinks)).jobs["triage"].sinks] == [
        ("table", "ok"), ("table-2", "dead"), ("log", "all"),
    ]  # fmt: skip


def test_defaults_merge_into_every_job_and_lists_replace(loaded):
    text = """\
defaults:
  request: {type: asks, model: m, metadata: {a: 1, b: 2}, stop: [x, y]}
  source: {type: rows, path: in.jsonl}
  sinks: [{type: table, path: d.db}]
jobs:
  one:
    request: {metadata: {b: 3}, stop: [z]}
  two:
    request: {model: n}
    sinks: [{type: jsonl, path: o.jsonl}]
"""
    jobs = loaded(text).jobs
    assert jobs["one"].builder.kwargs == {"model": "m", "metadata": {"a": 1, "b": 3}, "stop": ["z"]}
    assert jobs["two"].builder.kwargs["model"] == "n"
    assert [one.name for one in jobs["two"].sinks] == ["jsonl"]
    assert jobs["one"].source.kwargs == jobs["two"].source.kwargs


def test_an_empty_value_takes_a_default_away(loaded):
    text = job("budget:", "on_duplicate:", top="defaults: {budget: {run: 1}, on_duplicate: last}\n")
    rules = loaded(text).jobs["triage"].rules
    assert (rules.budget, rules.on_duplicate) == (None, "first")


def test_a_component_of_another_type_takes_nothing_from_the_defaults(loaded, tmp_path):
    text = job("source: {type: jsonl, path: x.jsonl}", top="defaults: {source: {type: rows, path: in, key: k}}\n")
    assert loaded(text).jobs["triage"].source.kwargs == {"path": tmp_path / "x.jsonl"}


def test_a_file_is_one_value_and_does_not_merge(loaded, tmp_path):
    (tmp_path / "a.json").write_text("{}")
    top = "defaults: {request: {output: {file: a.json}}}\n"
    text = job("request: {model: m, max_tokens: 1, prompt: hi, output: {type: object}}", top=top)
    assert loaded(text).jobs["triage"].builder.kwargs["output"] == {"type": "object"}


def test_a_job_may_have_a_provider_of_its_own(loaded):
    text = job("provider: {url: http://there}", top='provider: {type: remote, key: "${env:KEY}"}\n')
    kwargs = loaded(text).jobs["triage"].provider.kwargs
    assert (kwargs["url"], kwargs["key"].reveal()) == ("http://there", "hunter2hunter2")


def test_a_number_may_come_from_the_environment(loaded):
    text = job("batch: {max_requests: '${env:MOST:-700}'}")
    assert loaded(text).jobs["triage"].rules.batch.max_requests == 700
    assert loaded(text, {"MOST": "50"}).jobs["triage"].rules.batch.max_requests == 50


def test_state_may_live_elsewhere(loaded, tmp_path):
    assert loaded(job(top="state: runs\n")).state == tmp_path / "runs"
    assert loaded(job()).state is None


def test_a_plain_on_is_a_key_and_no_boolean(loaded):
    text = job("sinks:\n      - type: table\n        path: x\n        on: dead")
    assert loaded(text).jobs["triage"].sinks[0].on == "dead"


def test_keys_of_ones_own_at_the_top_are_for_anchors_and_nobody_reads_them(loaded):
    top = "x-wishes: &wishes {type: asks, model: m}\nx-: [1, '${env:NOBODY_HAS_THIS}']\n"
    ours, plain = (loaded(text).jobs["triage"] for text in (job("request: *wishes", top=top), job()))
    assert ours.builder.kwargs == plain.builder.kwargs == {"model": "m"}
    assert ours.config == plain.config


def test_a_misspelt_key_at_the_top_is_still_refused_with_the_right_one(refused):
    [problem] = refused(job(top="x-own: 1\nx_defaults: {}\n")).problems
    assert "unknown key `x_defaults`" in problem
    assert "did you mean `defaults`?" in problem


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", ["1:1: a job file is a map with `version`, `provider`, `defaults` and `jobs`"]),
        ("", ["1:1: there are no jobs in this file"]),
        ("jobs: []", ["1:7: `jobs` should be a map of `name: value`"]),
        ("jobs:\n  a: [x]", ["2:3: job `a` should be a map with source, request and sinks"]),
        (job(top="version: 2\n"), ["1:10: should be 1"]),
        (job(top="job: {}\n"), ["1:1: unknown key `job`"]),
        (job(top="xdefaults: {}\n"), ["1:1: unknown key `xdefaults`"]),
        (job(top="x_own: {}\n"), ["1:1: unknown key `x_own`"]),
        (job(top="defaults: {x-own: 1}\n"), ["1:12: unknown key `x-own`"]),
        (job("x-own: 1"), ["6:5: unknown key `x-own`"]),
        (job(top="defaults: {sink: []}\n"), ["1:12: unknown key `sink`"]),
        (job("budgets: {run: 1}"), ["6:5: unknown key `budgets`"]),
        (job().replace("triage", "a@b"), ["2:3: a job cannot be called `a@b`"]),
        ("jobs:\n  t:\n    batch: {}", [
            "2:3: job `t` has no `source`", "2:3: job `t` has no `request`", "2:3: job `t` has no `sinks`",
        ]),
        (job("source: jsonl"), ["3:13: `source` should be a map of `name: value`"]),
        (job("source: {path: x}"), ["3:5: `type` is required: which source?"]),
        (job("source: {type: [x]}"), ["3:20: `type` should be a name"]),
        (job("source: {type: rwos}"), ["3:20: there is no source `rwos`: did you mean `rows`? known: csv, files, jsonl, needy, rows, sqlite, stdin"]),
        (job("source: {type: rows}"), ["3:5: `path` is required"]),
        (job("source: {type: rows, path: x, carry: tenant}"), ["3:42: should be a list"]),
        (job("source: {type: rows, path: x, spool: y}"), ["3:35: unknown option `spool`"]),
        (job("sinks: []"), ["2:3: job `triage` has no `sinks`"]),
        (job("sinks: {type: table}"), ["5:12: `sinks` should be a list of maps, each with a `type`"]),
        (job("sinks: [table]"), ["5:12: `sinks` should be a list of maps, each with a `type`"]),
        (job("sinks: [{type: table, path: x, on: done}]"), ["5:40: should be 'ok', 'dead' or 'all'"]),
        (job("sinks: [{type: table, path: x, tabel: y}]"), ["5:36: unknown option `tabel`"]),
        (job("sinks: [{type: table, path: x, name: a/b}]"), ["5:42: String should match pattern '^[A-Za-z0-9][A-Za-z0-9_-]*$'"]),
        (job("sinks: [{type: jsonl, path: x, name: a}, {type: csv, path: y, name: a}]"), ["5:73: two sinks are called `a`"]),
        (job("batch: {max_requests: 0}"), ["6:27: should be at least 1"]),
        (job("batch: {max_requests: 100001}"), ["6:27: should be at most 100000"]),
        (job("batch: {max_bytes: 64mb}"), ["6:24: a size is written like 500000, 500kB, 64MB (decimal) or 64MiB (binary)"]),
        (job("batch: 5"), ["6:12: `batch` should be a map of `name: value`"]),
        (job("submit: {grace: ten}"), ["6:21: a duration is written like 90, 30s, 10m, 24h or 2d"]),
        (job("submit: {on_absent: retry}"), ["6:25: should be 'resubmit' or 'hold'"]),
        (job("budget: {run: 20 EUR}"), ["6:19: money is written in dollars, like 20 or 20.50"]),
        (job("budget: {day: 20}"), ["6:5: `run` is required", "6:14: unknown option `day`"]),
        (job("budget: 20"), ["6:13: `budget` should be a map of `name: value`"]),
        (job("retry: {attempts: three}"), ["6:23: should be a whole number"]),
        (job("retry: {refused: maybe}"), ["6:22: should be 'dead' or 'deliver'"]),
        (job("retry: {type: mine}"), ["6:19: there is no retry `mine`: known: standard"]),
        (job("on_duplicate: ignore"), ["6:19: should be 'first', 'last' or 'error'"]),
        (job("repeat: yes"), ["6:13: should be 'always'"]),
        (job("checks: [{type: shape}]"), ["6:21: there is no check `shape`: known: schema"]),
        (job("request: {max_tokens: 5, prompt: hi}"), ["4:5: `model` is required"]),
        (job('request: {type: asks, model: "${env:KEY}"}'), ["4:34: a request may hold no ${env:...}, ${file:...} or ${secret:...}: it would be stored with what they stand for"]),
        (job('request: {type: asks, model: m, x: [{y: "a ${file:key}"}]}'), ["4:45: a request may hold no ${env:...}, ${file:...} or ${secret:...}: it would be stored with what they stand for"]),
        (job("request: {type: asks, model: m, prompt: {file: none.md}}"), ["4:52: file {base}/none.md does not exist"]),
        (job("sinks: [{type: table, path: '/x/${env:NONE}/y'}]"), ["5:37: environment variable NONE is not set"]),
        (job("batch: {max_requests: '${env:NONE}'}"), ["6:28: environment variable NONE is not set"]),
        (job("batch: {max_requests: '${env:KEY}'}"), ["6:27: should be a whole number"]),
        (job("sinks: [{type: broken}]"), ["5:20: sink `broken` of plugin Fakes cannot be loaded from no_such_module_anywhere:sink: ModuleNotFoundError: No module named 'no_such_module_anywhere'"]),
    ],
)  # fmt: skip
def test_a_rule_is_told_at_its_place(heads, tmp_path, text, told):
    assert heads(text) == [f"job.yaml:{one.replace('{base}', str(tmp_path))}" for one in told]


def test_every_mistake_in_a_file_is_told_at_once_in_the_order_of_its_lines(refused):
    text = """\
version: 1
provider: {type: remote, ky: "${env:KEY}"}
default: {}
jobs:
  a:
    source: {type: rows, pth: in.jsonl}
    request: {type: asks}
    batch: {max_bytes: lots}
    sinks: [{type: tabel, path: x}]
  b:
    source: {type: rows, path: in.jsonl}
    request: {type: asks, model: m}
    sinks: [{type: table, path: x, on: yes}]
"""
    error = refused(text)
    assert [problem.partition("\n")[0] for problem in error.problems] == [
        "job.yaml:2:26: unknown option `ky`",
        "job.yaml:3:1: unknown key `default`",
        "job.yaml:6:5: `path` is required",
        "job.yaml:6:26: unknown option `pth`",
        "job.yaml:7:5: `model` is required",
        "job.yaml:8:24: a size is written like 500000, 500kB, 64MB (decimal) or 64MiB (binary)",
        "job.yaml:9:20: there is no sink `tabel`: did you mean `table`? known: broken, crashes, csv, jsonl, shaped, sqlite, stdout, table",
        "job.yaml:13:40: should be 'ok', 'dead' or 'all'",
    ]
    assert error.message == "8 problems in job.yaml; nothing was sent and nothing was written"
    assert error.hint == "mend them, then type `batchflow validate job.yaml`"


def test_a_mistake_is_shown_with_its_line_a_caret_and_a_suggestion(refused):
    [told] = refused(job("source: {type: rows, pth: x, path: y}")).problems
    assert (
        told
        == """\
job.yaml:3:26: unknown option `pth`
  |     source: {type: rows, pth: x, path: y}
  |                          ^
  = did you mean `path`? known: carry, key, path, type"""
    )


def test_a_long_line_is_cut_around_the_mistake(refused):
    padding = ", ".join(f"option_{n}: {n}" for n in range(40))
    [told] = refused(job("sinks: [{type: table, path: x, on: maybe}] #" + padding)).problems
    line, caret = told.splitlines()[1:3]
    assert len(line) < 120
    assert line[caret.index("^") :].startswith("maybe")


def test_a_mistake_in_the_defaults_is_told_once_for_all_jobs(heads):
    text = job(top="defaults: {batch: {max_requests: none}}\n") + job().partition("\n")[2].replace("triage", "second")
    assert heads(text) == ["job.yaml:1:34: should be a whole number"]


def test_what_is_not_set_is_told_once_and_nothing_that_follows_from_it(heads):
    text = job('sinks: [{type: table, path: "${env:NONE}", mode: "${env:NO:-add}"}]')
    assert heads(text) == ["job.yaml:5:34: environment variable NONE is not set"]


def test_only_the_named_jobs_are_read(loaded, refused):
    text = job() + "  other: {source: {type: nothing}}\n"
    assert set(loaded(text, only=["triage"]).jobs) == {"triage"}
    assert refused(text, only=["other"]).problems
    assert refused(text, only=["triag"]).message == (
        "there is no job `triag` in job.yaml: did you mean `triage`? known: other, triage"
    )


def test_a_credential_that_is_not_set_is_told_apart_from_a_mistake(refused):
    text = job(top='provider: {type: remote, key: "${env:NONE}"}\n')
    assert refused(text).credentials
    assert not refused(text + "    batch: 3\n").credentials


def test_a_file_that_is_not_there_points_to_init(plugins):
    with pytest.raises(ConfigError) as raised:
        load(Path("/nowhere/batchflow.yaml"), plugins, {})
    assert raised.value.message == "there is no job file /nowhere/batchflow.yaml"
    assert "batchflow init" in raised.value.hint


def test_a_folder_is_no_job_file(plugins, tmp_path):
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory"):
        load(tmp_path, plugins, {})


def test_a_file_that_is_not_utf_8_is_refused_with_its_line(plugins, tmp_path):
    (tmp_path / "job.yaml").write_bytes(b"version: 1\n# caf\xe9\n")
    with pytest.raises(ConfigError, match=r"job.yaml:2: this line is not UTF-8"):
        load(tmp_path / "job.yaml", plugins, {})


def test_a_byte_order_mark_is_passed_over(loaded):
    assert loaded("\ufeff" + job()).jobs
