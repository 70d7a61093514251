"""Job files that are wrong: every mistake at once, each at its place."""

MANY = """\
version: 2
provider: {api_kye: x}
jobs:
  one:
    source: {type: jsonn, path: in.jsonl}
    request: {model: claude-haiku-4-5, prompt: "{{ text }"}
    budgett: 3
"""


def test_every_mistake_is_told_at_once_at_its_place(folder):
    folder.job(text=MANY)
    for verb in ("validate", "run"):
        said = folder.type(verb).has(
            "batchflow.yaml:1:10: should be 1",
            "batchflow.yaml:2:12: unknown option `api_kye`", "did you mean `api_key`",
            "batchflow.yaml:4:3: job `one` has no `sinks`",
            "batchflow.yaml:5:20: there is no source `jsonn`: did you mean `jsonl`?",
            "batchflow.yaml:6:5: `max_tokens` is required",
            "batchflow.yaml:7:5: unknown key `budgett`", "did you mean `budget`?",
            "6 problems in batchflow.yaml; nothing was sent and nothing was written",
            "mend them, then type `batchflow validate batchflow.yaml`",
        )  # fmt: skip
        assert (said.code, folder.asked) == (3, 0)
    assert not folder.state.exists()


def test_what_is_not_yaml_is_pointed_at(folder):
    folder.job(text="jobs:\n  one:\n    request: {model: [1}\n")
    said = folder.type("run").has("batchflow.yaml:3:24: this is not YAML", "begun at line 3", "nothing was sent")
    assert said.code == 3


def test_a_job_file_that_is_not_there_says_how_to_get_one(folder):
    (folder.path / "batchflow.yaml").unlink()
    assert folder.type("run").has("there is no job file batchflow.yaml", "batchflow init").code == 3
    assert folder.type("run", "other.yaml").has("other.yaml", "batchflow init").code == 3


def test_a_job_file_that_is_not_utf_8_names_the_line(folder):
    (folder.path / "batchflow.yaml").write_bytes(b"version: 1\njobs: \xff\n")
    assert folder.type("validate").has("batchflow.yaml:2", "not UTF-8").code == 3


def test_a_job_that_there_is_not_names_those_that_there_are(folder):
    assert folder.type("run", "triag").has("there is no job `triag`", "did you mean `triage`?").code == 3
