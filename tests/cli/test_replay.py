"""Results that a sink lost or spoiled are brought to it again, and nothing is paid for it."""

import time

from batchflow.cli.exits import Exit


def test_an_output_that_was_lost_after_the_run_is_written_again(shop):
    assert shop("run").code == Exit.DELIVERED
    before = shop.lines()
    (shop.folder / "out.jsonl").unlink()
    said = shop("replay", "triage", "--sink", "jsonl")
    assert said.code == Exit.DELIVERED, said.err
    assert shop.lines() == before
    assert shop.asked == 4
    [run] = shop("ps", "--json").facts
    assert (run["state"], run["balanced"], run["books"]["delivered"]) == ("done", True, 4)


def test_a_file_that_is_there_is_not_touched_and_the_next_command_is_told(shop):
    assert shop("run").code == Exit.DELIVERED
    (shop.folder / "out.jsonl").write_text("edited\n")
    said = shop("replay", "triage", "--sink", "jsonl")
    assert said.code not in {Exit.DELIVERED, Exit.BUG}
    assert "move the file away" in said.err
    assert "then type the same `batchflow replay` again" in said.err
    assert (shop.folder / "out.jsonl").read_text() == "edited\n"
    (shop.folder / "out.jsonl").rename(shop.folder / "spoiled.jsonl")
    assert shop("replay", "triage", "--sink", "jsonl").code == Exit.DELIVERED
    assert len(shop.lines()) == 4
    assert shop.asked == 4


def test_a_finished_run_that_cannot_be_replayed_stays_as_it_was(shop):
    """Whoever thinks better of it has nothing to mend: `run`, `ps` and `doctor` find the run done, its file where it was."""
    assert shop("run").code == Exit.DELIVERED
    before = (shop.folder / "out.jsonl").read_bytes()
    for _ in range(2):
        said = shop("replay", "triage", "--sink", "jsonl")
        assert said.code not in {Exit.DELIVERED, Exit.BUG}
        assert "is done, as before" in said.err
    [run] = shop("ps", "--json").facts
    assert (run["state"], run["books"]["delivered"]) == ("done", 4)
    assert shop("doctor").code == Exit.DELIVERED
    assert "already delivered" in shop("run").err
    assert (shop.folder / "out.jsonl").read_bytes() == before
    assert shop.asked == 4


def test_a_run_whose_output_went_in_the_middle_of_it_is_finished(simulate, shop_of):
    shop = shop_of(simulate(), records=40, more="batch: {max_requests: 4}\nsubmit: {in_flight: 1}")
    process = shop.process("run")
    out = shop.folder / "out.jsonl"
    while not out.exists() or out.read_bytes().count(b"\n") < 8:  # the second part follows the first one's receipt
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert out.read_bytes().count(b"\n") < 40
    out.unlink()
    refused = shop("resume")
    assert refused.code not in {Exit.DELIVERED, Exit.BUG}
    assert "batchflow replay" in refused.err
    said = shop("replay", "triage", "--sink", "jsonl")
    assert said.code == Exit.DELIVERED, said.err
    assert sorted(line["key"] for line in shop.lines()) == sorted(f"k-{n}" for n in range(40))
    assert shop.asked == 40


def test_one_of_two_sinks_is_written_again_and_the_other_is_left_alone(simulate, shop_of):
    shop = shop_of(simulate("row:k-2:invalid"))
    assert shop("run").code == Exit.DEAD_LETTERS
    dead, kept = shop.lines("dead.jsonl"), (shop.folder / "out.jsonl").stat()
    (shop.folder / "dead.jsonl").unlink()
    assert shop("replay", "triage", "--sink", "jsonl-2").code == Exit.DEAD_LETTERS
    assert shop.lines("dead.jsonl") == dead
    assert [line["key"] for line in dead] == ["k-2"]
    assert (shop.folder / "out.jsonl").stat().st_mtime_ns == kept.st_mtime_ns


def test_a_name_that_no_sink_has_is_told_with_those_there_are(shop):
    assert shop("run").code == Exit.DELIVERED
    said = shop("replay", "triage", "--sink", "jason")
    assert said.code == Exit.USAGE
    assert "its parts are for `jsonl`" in said.err
    assert shop("ps", "--json").facts[0]["state"] == "done"
