"""`${secret:NAME}` from the command line: asked for by who drives a job, needed by nobody who looks, seen by no one."""

import pytest

KEY = "sk-of-the-vault-9000"


@pytest.fixture
def guarded(shop):
    """A shop whose key lies in a folder of secrets."""
    (shop.folder / "keys").mkdir()
    (shop.folder / "keys" / "api").write_text(KEY + "\n")
    shop.write(key="${secret:api}")
    with (shop.folder / "batchflow.yaml").open("a") as file:
        file.write("secrets: {folder: {path: keys}}\n")
    return shop


def test_a_job_runs_with_it_and_it_is_nowhere_to_be_seen(guarded):
    said = guarded("run")
    assert (said.code, len(guarded.lines())) == (0, 4)
    said = [
        said,
        *(guarded(*words.split()) for words in ("ps --json", "report --json", "show k-1", "doctor", "validate")),
    ]
    assert KEY not in "".join(one.out + one.err for one in said)
    stored = [path for path in (guarded.folder / ".batchflow").rglob("*") if path.is_file()]
    assert [path for path in stored if KEY.encode() in path.read_bytes()] == []


def test_who_looks_needs_it_not(guarded):
    guarded("run")
    (guarded.folder / "keys" / "api").unlink()
    for words in ("validate", "plan", "ps", "results", "show k-1", "doctor"):
        assert guarded(*words.split()).code == 0, words


def test_who_drives_hears_where_it_is_missing(guarded):
    (guarded.folder / "keys" / "api").unlink()
    said = guarded("run")
    assert said.code == 6
    assert "batchflow.yaml:3:" in said.err
    assert f"there is no file {guarded.folder / 'keys' / 'api'}" in said.err
    assert not (guarded.folder / ".batchflow").exists()


def test_a_run_that_is_gone_on_with_gets_it_too(guarded):
    """The webhook would refuse what stands for its secret for those who look."""
    (guarded.folder / "keys" / "hook").write_text("whsec_" + "A" * 44)
    guarded.write(
        key="${secret:api}",
        more='notify: [{type: webhook, url: "http://127.0.0.1:9/", secret: "${secret:hook}", deadline: 1ms}]',
    )
    with (guarded.folder / "batchflow.yaml").open("a") as file:
        file.write("secrets: {folder: {path: keys}}\n")
    assert guarded("run", "--no-wait").code == 10
    assert guarded("run").code == 0
