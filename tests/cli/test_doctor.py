"""`batchflow doctor`: each stuck thing in a sentence, store and objects held against each other, and nothing harmed."""

import os
import signal
import sqlite3
import time
from functools import partial

import anyio
import pytest

from batchflow.cli.exits import Exit
from batchflow.cli.running import run_file
from batchflow.engine.ids import uuid7
from batchflow.sim import FaultPlan
from batchflow.testing import ScaledClock


def findings(shop, *words):
    said = shop("doctor", "--json", *words)
    return said.code, said.facts["findings"]


def quickly(**options):
    """Run the job with a clock that runs faster."""
    return anyio.run(partial(run_file, [], clock=ScaledClock(speed=50), **options))


def objects(shop, kind=""):
    root = shop.folder / ".batchflow" / "objects"
    found = [path for path in sorted(root.rglob("*")) if path.is_file() and "~" not in str(path) and kind in path.name]
    return [path for path in found if path.name != ".gitignore"]


def write(shop, sql, *values):
    with sqlite3.connect(shop.folder / ".batchflow" / "state.db") as database:
        database.execute(sql, values)
    database.close()


def only(found, text):
    [one] = [one for one in found if text in one["sentence"]]
    return one


def test_a_sound_state_folder_has_nothing_to_tell(shop):
    shop("run")
    said = shop("doctor")
    assert (said.code, said.out) == (Exit.DELIVERED, "")
    assert "store and objects agree: 1 run, 1 batch, 3 objects" in said.err


def test_a_run_that_was_left_in_flight_is_to_be_resumed(simulate, shop_of):
    shop = shop_of(simulate(speed=1))
    shop("run", "--no-wait")
    code, [one] = findings(shop)
    assert code == Exit.IN_FLIGHT
    assert "no process drives it" in one["sentence"]
    assert one["say"][0].startswith("batchflow resume")


def test_a_paused_run_says_why_in_the_words_of_the_pause(simulate, shop_of):
    shop = shop_of(simulate("create::credit"))
    shop("run")
    code, [one] = findings(shop)
    assert code == Exit.PAUSED
    assert "credit balance is too low" in one["sentence"]


def test_a_held_batch_is_explained_and_its_words_are_offered(simulate, shop_of):
    shop = shop_of(simulate("create:1:status,status=500"), more="submit: {grace: 1s, on_absent: hold}")
    assert quickly() == Exit.PAUSED
    code, [one] = findings(shop)
    assert code == Exit.PAUSED
    assert "is held: it is not in the listing" in one["sentence"]
    assert "may have been paid" in one["sentence"]
    assert [words.split()[1] for words in one["say"]] == ["reconcile"] * 3


KEYS = {"one": "org/a", "also-one": "org/a", "two": "org/b"}


@pytest.fixture
def lost(simulate, shop_of):
    """Open a shop whose batch was lost under key `one` and is held; the job has another key, or none, by now."""
    sim = simulate("create:1:status,status=500", keys=KEYS)

    def opened(key):
        shop = shop_of(sim, key="one", more="submit: {grace: 1s, on_absent: hold}")
        assert quickly() == Exit.PAUSED
        shop.write(key=key, more="submit: {grace: 1s, on_absent: hold}")
        return shop

    return opened


@pytest.mark.parametrize("key", ["two", "also-one", "${env:NOBODY_HAS_SET_THIS}"])
def test_no_word_is_offered_that_the_key_of_the_job_may_not_be_good_for(lost, key):
    """Nobody is asked whose account it is, so it may only be offered to find out."""
    shop = lost(key)
    _, [one] = findings(shop)
    assert [words.split()[3] for words in one["say"]] == [one["subject"][:16], "--give-up"]
    calls = shop.sim.stats()["calls"]
    shop("doctor")
    assert shop.sim.stats()["calls"] == calls
    if "$" not in key:
        assert "only a key of the same workspace can tell" in one["sentence"]


@pytest.mark.parametrize(("key", "obeyed"), [("two", False), ("also-one", True)])
def test_what_doctor_sends_one_to_offers_the_word_where_it_is_obeyed(lost, key, obeyed):
    shop = lost(key)
    _, [one] = findings(shop)
    [run, batch] = one["say"][0].split()[2:]
    told = shop("reconcile", run, batch)
    offered = f"--absent {batch}" in told.err
    assert offered is obeyed, told.err
    assert (shop("reconcile", run, "--absent", batch).code == Exit.DELIVERED) is obeyed


def test_a_batch_in_doubt_without_a_driver_is_to_be_resumed(simulate, shop_of):
    sim = simulate("create:1:reset_after", "list:2+:status,status=503")
    shop = shop_of(sim, more="submit: {patience: 2s}")
    assert quickly() == Exit.UNREACHABLE
    _, found = findings(shop)
    one = only(found, "is in doubt")
    assert one["grade"] == "resume"
    sim.set_faults(FaultPlan())
    assert shop("resume").code == Exit.DELIVERED


def test_parts_that_a_sink_would_not_take_are_paid_for_and_named(simulate, shop_of):
    shop = shop_of(simulate())
    shop("run", "--no-wait")
    (shop.folder / "out.jsonl").unlink(missing_ok=True)
    write(shop, "UPDATE runs SET state = 'paused', why = 'sink'")
    shop("resume")
    write(shop, "UPDATE deliveries SET state = 'parked', attempts = 3, why = 'the disk is full' WHERE sink = 'jsonl'")
    _, found = findings(shop)
    one = only(found, "the disk is full")
    assert "4 results of batch" in one["sentence"]
    assert "stored and paid for" in one["sentence"]
    assert one["grade"] == "person"


def test_what_waits_for_the_budget_says_so(simulate, shop_of):
    shop = shop_of(simulate(speed=1), records=40, more="batch: {max_requests: 2}\nbudget: {run: 0.0004}")
    process = shop.process("run")
    while True:
        _, found = findings(shop, "--quick") if (shop.folder / ".batchflow" / "state.db").exists() else (0, [])
        if waits := [one for one in found if "waits for the budget" in one["sentence"]]:
            break
        assert process.poll() is None, process.stderr.read()
    assert {one["grade"] for one in waits} == {"passes"}


@pytest.fixture
def killed(simulate, shop_of):
    """A run whose process was killed while its batch was in flight."""
    shop = shop_of(simulate(speed=1))
    process = shop.process("run")
    while "submitted" not in (line := process.stderr.readline()):
        assert line, "it ended before it sent anything"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return shop, process


def test_a_lease_of_a_dead_process_is_named_and_given_back(killed):
    shop, process = killed
    code, found = findings(shop)
    assert code == Exit.IN_FLIGHT
    assert f"process {process.pid} died" in only(found, "its lease lapses")["sentence"]
    said = shop("doctor", "--repair")
    assert "the lease of run" in said.err
    _, [one] = findings(shop)
    assert "no process drives it" in one["sentence"]


def test_a_batch_that_does_not_end_is_named(killed):
    shop, _ = killed
    write(shop, "UPDATE batches SET why = 'msgbatch_1 should have ended 2 hours ago'")
    _, found = findings(shop)
    one = only(found, "should have ended 2 hours ago")
    assert "is at the provider" in one["sentence"]
    assert one["grade"] == "resume"


def test_a_live_run_is_looked_at_without_harm(simulate, shop_of):
    """Objects are written before the rows that name them: those of a living driver are never taken for left behind."""
    shop = shop_of(simulate(speed=600), records=400, more="batch: {max_requests: 20}")
    process = shop.process("run")
    looks = 0
    while process.poll() is None:
        if (shop.folder / ".batchflow" / "state.db").exists():
            _, found = findings(shop, "--repair")
            assert not [one for one in found if one["grade"] == "damage" or "nothing refers to it" in one["sentence"]]
            looks += 1
    assert process.returncode == Exit.DELIVERED, process.stderr.read()
    assert looks > 1
    assert len(shop.lines()) == shop.asked == 400


def test_a_missing_object_is_found(shop):
    shop("run")
    [results] = objects(shop, "results")
    results.unlink()
    code, [one] = findings(shop)
    assert code == Exit.STORE
    assert "is missing" in one["sentence"]
    assert "the results of batch" in one["sentence"]


def test_a_damaged_object_is_found_by_its_checksum_and_a_quick_look_does_not_see_it(shop):
    shop("run")
    [requests] = objects(shop, "requests")
    before = requests.read_bytes()
    requests.write_bytes(before[:10] + bytes([before[10] ^ 1]) + before[11:])
    code, [one] = findings(shop)
    assert code == Exit.STORE
    assert "checksum" in one["sentence"]
    assert findings(shop, "--quick") == (Exit.DELIVERED, [])
    requests.write_bytes(before[:-1])
    assert findings(shop, "--quick")[0] == Exit.STORE


@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_answers_of_a_finished_run_are_fetched_again_while_the_provider_has_them(shop, how):
    shop("run")
    delivered = shop("results").out
    [results] = objects(shop, "results")
    results.unlink() if how == "missing" else results.write_bytes(results.read_bytes()[:-9] + b"something")
    _, [one] = findings(shop)
    assert (one["repair"], one["say"]) == (True, ["batchflow doctor --repair"])
    assert "cancel" not in one["sentence"]
    said = shop("doctor", "--repair")
    assert said.code == Exit.DELIVERED, said.err
    assert "were fetched again, at no cost" in said.err
    assert findings(shop) == (Exit.DELIVERED, [])
    assert sorted(shop("results").out.splitlines()) == sorted(delivered.splitlines())
    [run] = shop("ps", "--json").facts
    assert (run["state"], shop.asked, len(shop.lines())) == ("done", 4, 4)


def test_answers_that_the_provider_has_no_longer_are_said_to_be_gone(shop):
    shop("run")
    shop.sim.clock.advance(30 * 86400)
    objects(shop, "results")[0].unlink()
    said = shop("doctor", "--repair")
    assert said.code == Exit.STORE
    assert "the provider keeps them for 29 days" in said.err
    assert "from a copy of the state folder" in said.err
    assert "4 answers are concerned" in said.err
    assert "--repair" not in said.out + said.err  # which has just been tried


def test_answers_are_not_fetched_with_another_accounts_key(simulate, shop_of):
    shop = shop_of(simulate(keys=KEYS), key="one")
    shop("run")
    objects(shop, "results")[0].unlink()
    shop.write(key="two")
    said = shop("doctor", "--repair")
    assert said.code == Exit.STORE
    assert "under another key" in said.err
    shop.write(key="also-one")
    assert shop("doctor", "--repair").code == Exit.DELIVERED


def test_a_run_whose_job_is_gone_says_why_nothing_could_be_fetched(shop):
    shop("run")
    objects(shop, "results")[0].unlink()
    (shop.folder / "batchflow.yaml").unlink()
    said = shop("doctor", "--repair")
    assert said.code == Exit.STORE
    assert "not repaired:" in said.err
    assert "batchflow.yaml" in said.err
    assert "put it back" in said.err
    assert "init" not in said.err


def test_what_is_offered_for_damaged_requests_that_were_not_sent_can_be_typed(simulate, shop_of):
    shop = shop_of(simulate("create::status,status=429,retry_after=300"))
    process = shop.process("run")
    while "429" not in (line := process.stderr.readline()):
        assert line, "it ended before it was told to wait"
    process.kill()
    process.wait()
    objects(shop, "requests")[0].unlink()
    _, found = findings(shop)
    one = only(found, "is missing")
    [words] = one["say"]
    assert "Nothing of it was sent" in one["sentence"]
    said = shop(*words.split()[1:])
    assert said.code == Exit.DELIVERED, said.err


@pytest.mark.parametrize("kind", ["requests", "context"])
def test_nothing_that_would_be_refused_is_offered_for_what_only_a_copy_brings_back(shop, kind):
    shop("run")
    objects(shop, kind)[0].unlink()
    _, [one] = findings(shop)
    assert (one["say"], one["repair"]) == ([], False)
    assert "cancel" not in one["sentence"]
    assert "from a copy of the state folder" in one["sentence"]


def test_an_orphan_is_removed_only_when_that_is_asked_for(shop):
    shop("run")
    [results] = objects(shop, "results")
    orphan = results.with_name("results-of-a-dead-process")
    orphan.write_bytes(b"half a download, said nowhere")
    code, [one] = findings(shop)
    assert (code, one["grade"], one["repair"]) == (Exit.DELIVERED, "passes", True)
    assert orphan.exists()
    assert "is removed" in shop("doctor", "--repair").err
    assert not orphan.exists()
    assert results.exists()
    assert findings(shop) == (Exit.DELIVERED, [])


def test_answers_of_a_batch_that_the_store_does_not_know_are_never_removed(shop):
    """The store was put back from an older copy: what lies there may be all that is left of what was paid for."""
    shop("run")
    [results] = objects(shop, "results")
    lost = results.parent.with_name(uuid7()) / "results-1"
    lost.parent.mkdir()
    lost.write_bytes(b"paid for")
    foreign = results.parent.parent.with_name(uuid7()) / "b" / "requests"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"of another run")
    code, found = findings(shop, "--repair")
    assert (code, len(found)) == (Exit.STORE, 2)
    assert "paid for" in only(found, "older than its objects")["sentence"]
    assert lost.exists()
    assert foreign.exists()


WRONGS = {
    "UPDATE batches SET state = 'running', remote = ''": "the provider's name of it is not known",
    "UPDATE batches SET state = 'ended', wake_at = NULL": "nobody will ever look at it again",
    "UPDATE batches SET state = 'in_doubt', token = 'gone'": "no call of its is written down",
    "UPDATE batches SET state = 'delivered', good = 9": "9 of its 4 requests are good",
    "UPDATE batches SET state = 'drafted', wake_at = 1": "1 of its batches are not at rest",
    "UPDATE deliveries SET state = 'due'": "parts are not delivered",
    "UPDATE books SET n = n + 1 WHERE name = 'delivered'": "do not balance",
    "UPDATE books SET n = n - 5 WHERE name = 'paid'": "the books say paid",
    "UPDATE batches SET state = 'floating'": "'floating' is not a valid BatchState",
    "UPDATE runs SET state = 'asleep'": "'asleep' is not a valid RunState",
}


@pytest.mark.parametrize(("sql", "told"), WRONGS.items(), ids=WRONGS.values())
def test_what_cannot_be_is_found(shop, sql, told):
    shop("run")
    write(shop, sql)
    said = shop("doctor")
    assert said.code == Exit.STORE
    assert told in said.out


def test_looking_changes_nothing(killed):
    shop, _ = killed
    folder = shop.folder / ".batchflow"

    def state():
        with sqlite3.connect(folder / "state.db") as database:
            told = list(database.iterdump())
        database.close()
        return told

    before, files = state(), [path.stat().st_mtime_ns for path in objects(shop)]
    shop("doctor")
    assert (state(), [path.stat().st_mtime_ns for path in objects(shop)]) == (before, files)
    assert shop.sim.stats()["calls"]["list"] <= 1


def test_one_run_of_many_can_be_named(shop):
    shop("run")
    (shop.folder / "out.jsonl").unlink()
    assert shop("run", "--new").code == Exit.DELIVERED
    runs = shop("ps", "--json").facts
    assert shop("doctor", runs[0]["run"], "--json").facts["looked"]["runs"] == 1
    assert shop("doctor", "--json").facts["looked"]["runs"] == 2


def test_a_wish_that_nobody_obeys_is_told(killed):
    shop, _ = killed
    [run] = shop("ps", "--json").facts
    write(
        shop,
        "INSERT INTO wishes (id, version, run, verb, data, at) VALUES ('w', 1, ?, 'cancel', '{}', ?)",
        run["run"],
        time.time() - 100,
    )
    _, found = findings(shop)
    assert only(found, "to cancel")["grade"] == "resume"
