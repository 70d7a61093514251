"""Outputs and disks that take nothing, or not everything."""

from pathlib import Path

import pytest

FULL = Path("/dev/full")


@pytest.mark.parametrize("verb", ["validate", "run"])
def test_an_output_below_a_file_is_refused_before_anything_is_made(folder, verb):
    folder.job(sinks="[{type: jsonl, path: in.jsonl/out.jsonl}]")
    said = folder.type(verb).has("batchflow.yaml:9:33", "in.jsonl is a file", "cannot be made in it")
    assert (said.code, folder.asked) == (3, 0)
    assert not folder.state.exists()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/proc/out.jsonl", ["/proc/out.jsonl", "choose another path"]),
        ("/dev/full", ["/dev/full is not a regular file", "type: stdout"]),
    ],
)
def test_an_output_where_no_file_can_be_is_refused_before_anything_is_sent(folder, path, words):
    folder.job(sinks=f"[{{type: jsonl, path: {path}}}]")
    said = folder.type("run").has(*words)
    assert (said.code, folder.asked) == (3, 0)
    assert folder.type("ps", "--json").out.strip() == "[]"


def test_an_output_that_exists_is_not_touched(folder):
    out = folder.path / "out.jsonl"
    out.write_text("mine\n")
    said = folder.type("run").has("out.jsonl exists and holds 5 bytes", "Nothing was touched", "if_exists: append")
    assert (said.code, folder.asked, out.read_text()) == (3, 0, "mine\n")
    folder.job(sinks="[{type: jsonl, path: out.jsonl, if_exists: append}]")
    assert folder.type("run").code == 0
    assert out.read_text().startswith("mine\n")
    assert out.read_text().count("\n") == 4


@pytest.mark.parametrize("verb", ["validate", "run"])
def test_two_sinks_on_one_path_are_refused(folder, verb):
    (folder.path / "link.jsonl").symlink_to("out.jsonl")
    for other in ("out.jsonl", "./out.jsonl", "link.jsonl"):
        folder.job(sinks=f"[{{type: jsonl, path: out.jsonl}}, {{type: csv, path: {other}}}]")
        said = folder.type(verb).has("batchflow.yaml:9:", "`jsonl` and `csv` write to one file", "out.jsonl")
        assert (said.code, folder.asked) == (3, 0)
    assert not folder.state.exists()


@pytest.mark.parametrize("state", [".batchflow", "runs"])
def test_an_output_over_what_batchflow_keeps_is_refused(folder, state):
    folder.job(sinks=f"[{{type: sqlite, path: {state}/state.db, table: t}}]")
    said = folder.type("run", "--state", state).has(
        "batchflow.yaml:9:", "over what batchflow itself keeps", f"{state}/state.db"
    )
    assert (said.code, folder.asked, (folder.path / state).exists()) == (3, 0, False)


def test_an_output_among_the_inputs_is_refused(folder):
    folder.job(source='{type: jsonl, path: "*.jsonl"}', sinks="[{type: jsonl, path: out.jsonl, if_exists: append}]")
    for verb in ("validate", "plan", "run"):
        said = folder.type(verb).has("batchflow.yaml:9:", "over what the job reads", "narrow the pattern")
        assert (said.code, folder.asked) == (3, 0)


def test_a_disk_that_is_full_from_the_start_stops_the_run_and_loses_nothing(folder):
    said = folder.type("run", limit=20_000).has("the disk is full", "`df`", "`ulimit -f`", "same command again")
    assert (said.code, folder.asked) == (9, 0)
    assert folder.type("run").code == 0
    assert (folder.keys, folder.asked) == (["k0", "k1", "k2"], 3)
    folder.ps()


@pytest.mark.parametrize("limit", [250_000, 400_000])
def test_a_disk_that_fills_up_in_mid_run_loses_and_doubles_nothing(folder, limit):
    folder.records(3000)
    said = folder.type_until("part failed", "run", limit=limit)
    said.has("batchflow", "safe")
    assert said.code in {9, 130}
    folder.lines()  # whole lines only
    assert folder.type("run").code == 0
    assert (len(folder.keys), len(set(folder.keys)), folder.asked) == (3000, 3000, 3000)
    assert folder.ps()["books"]["delivered"] == 3000


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_standard_output_on_a_full_device_keeps_every_result(folder):
    folder.job(sinks="[{type: stdout}]")
    with FULL.open("w") as full:
        said = folder.type_until("part failed", "run", stdout=full)
    said.has("cannot write to standard output: No space left on device", "No result is lost", "batchflow resume")
    assert (said.code, folder.asked) == (130, 3)
    assert folder.ps()["books"]["collected"] == 3
    said = folder.type("resume")
    assert (said.code, said.out.count("\n"), folder.asked) == (0, 3, 3)


@pytest.mark.parametrize("verb", ["validate", "run"])
def test_an_output_folder_without_permission_is_refused_before_anything_is_made(folder, verb):
    (folder.path / "out").mkdir(mode=0o500)
    folder.job(sinks="[{type: jsonl, path: out/good.jsonl}]")
    said = folder.type_as_ordinary_user(verb).has("batchflow.yaml:9:33: may not write into", "out")
    assert (said.code, folder.asked) == (3, 0)
    assert not folder.state.exists()


def test_an_output_folder_that_loses_its_permission_in_mid_run_loses_and_doubles_nothing(folder):
    """The redo log beside the output cannot be made, nor the output itself where it is not there yet."""
    out = folder.path / "out"
    folder.job(sinks="[{type: jsonl, path: out/good.jsonl}, {type: csv, path: out/good.csv}]")
    assert folder.type_as_ordinary_user("run", "--no-wait").code == 10
    out.chmod(0o500)
    folder.type_until("part failed", "run", ordinary=True).has("Permission denied", "out/", "No result is lost")
    assert [path.name for path in out.iterdir() if path.stat().st_size] == []
    out.chmod(0o700)
    assert folder.type_as_ordinary_user("run").code == 0
    assert sorted(row["key"] for row in folder.lines("out/good.jsonl")) == ["k0", "k1", "k2"]
    assert len((out / "good.csv").read_text().splitlines()) == 1 + 3
    assert folder.asked == 3
    assert folder.ps()["books"]["delivered"] == 3
