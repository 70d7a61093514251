"""Every way to end has its own code, says what is known, and names the next thing to type."""

import os
import signal
import socket
import sqlite3
import threading
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from batchflow.cli.driving import SEVERITY, Ended
from batchflow.cli.endings import tell_endings
from batchflow.cli.exits import Exit
from batchflow.cli.opening import Workshop, read_jobs
from batchflow.config.plugging import plugins_for


def dead_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_everything_delivered_is_0(shop):
    said = shop("run")
    assert said.code == Exit.DELIVERED, said.err
    assert sorted(row["key"] for row in shop.lines()) == ["k-0", "k-1", "k-2", "k-3"]
    assert "4 of 4 requests (100%)" in said.err
    assert said.out == ""


def test_a_word_that_is_no_verb_is_2(shop):
    assert shop("frobnicate").code == Exit.USAGE
    assert shop("run", "--bogus").code == Exit.USAGE


def test_two_options_that_contradict_each_other_are_2(shop):
    said = shop("run", "--no-wait", "--wait", "10m")
    assert said.code == Exit.USAGE
    assert "say different things" in said.err


def test_a_mistake_in_the_job_file_is_3_and_nothing_is_written(shop):
    shop.write(more="budgett: {run: 1}")
    said = shop("run")
    assert said.code == Exit.CONFIG
    assert "batchflow.yaml:" in said.err
    assert "`budget`" in said.err
    assert not (shop.folder / ".batchflow").exists()


def test_a_job_that_is_not_in_the_file_is_3(shop):
    said = shop("run", "triag")
    assert said.code == Exit.CONFIG
    assert "triage" in said.err


def test_an_empty_source_is_told_and_delivers_nothing(shop):
    shop.write(records=0)
    said = shop("run")
    assert said.code == Exit.DELIVERED
    assert "empty" in said.err
    assert shop.asked == 0


def test_dead_letters_are_4_and_named_with_their_reason(simulate, shop_of):
    shop = shop_of(simulate("row:k-2:refusal,times=null"))
    said = shop("run")
    assert said.code == Exit.DEAD_LETTERS
    assert "refused 1" in said.err
    assert "batchflow retry" in said.err
    assert [row["key"] for row in shop.lines("dead.jsonl")] == ["k-2"]


def test_a_budget_that_is_too_small_is_5_and_keeps_every_row(shop):
    shop.write(more="budget: {run: 0.000001}")
    said = shop("run")
    assert said.code == Exit.PAUSED
    assert "budget" in said.err
    assert "batchflow resume" in said.err
    assert shop.asked == 0
    shop.write(more="budget: {run: 1}")
    assert shop("resume").code == Exit.DELIVERED
    assert len(shop.lines()) == 4


def test_a_wrong_key_is_6(simulate, shop_of):
    shop = shop_of(simulate(keys={"good": "workspace"}), key="wrong")
    said = shop("run")
    assert said.code == Exit.CREDENTIALS
    assert "wrong" not in said.err.replace("what went wrong", "")
    shop.write(key="good")
    assert shop("run").code == Exit.DELIVERED


def test_no_key_is_6_and_names_the_line(shop):
    shop.write(key="${env:NO_SUCH_KEY}")
    said = shop("run")
    assert said.code == Exit.CREDENTIALS
    assert "NO_SUCH_KEY is not set" in said.err


def test_an_api_that_cannot_be_reached_is_7_and_the_run_goes_on_later(shop):
    shop.write(url=f"http://127.0.0.1:{dead_port()}", more="submit: {patience: 1s}")
    said = shop("run")
    assert said.code == Exit.UNREACHABLE
    assert "127.0.0.1" in said.err
    assert "batchflow resume" in said.err


def test_a_plugin_that_fails_is_8_and_is_named(shop, tmp_path):
    plugins = tmp_path / "site"
    info = plugins / "faulty-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[batchflow]\nfaulty = faulty\n")
    (plugins / "faulty.py").write_text(
        "from batchflow.plugin import hookimpl\n\n"
        "def broken():\n    raise RuntimeError('the moon is full')\n\n"
        "@hookimpl\ndef register_sinks(register):\n    register('broken', broken)\n"
    )
    file = shop.folder / "batchflow.yaml"
    file.write_text(file.read_text().replace("{type: jsonl, path: out.jsonl}", "{type: broken}"))
    process = shop.cold("run", env={"PYTHONPATH": str(plugins)})
    _, err = process.communicate(timeout=60)
    assert process.returncode == Exit.PLUGIN, err
    assert "faulty" in err
    assert "the moon is full" in err


def test_a_state_of_a_newer_batchflow_is_9_and_is_left_alone(shop):
    shop("run")
    database = shop.folder / ".batchflow" / "state.db"
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = database.read_bytes()
    said = shop("run", "--new")
    assert said.code == Exit.STORE
    assert "999" in said.err
    assert database.read_bytes() == before


def test_a_run_that_another_process_drives_is_9_and_names_it(shop):
    shop("run", "--no-wait")
    run = shop("ps", "--json").facts[0]["run"]

    async def hold(store):
        await store.lease(f"run/{run}", owner="somebody", host="far-away", pid=4711, ttl=60)

    shop.in_store(hold)
    said = shop("run")
    assert said.code == Exit.STORE
    assert "far-away" in said.err
    assert "4711" in said.err


def test_left_in_flight_is_10_and_the_same_command_goes_on(simulate, shop_of):
    shop = shop_of(simulate(speed=1))
    said = shop("run", "--no-wait")
    assert said.code == Exit.IN_FLIGHT
    assert "will be paid for" in said.err
    assert shop.asked == 4
    shop.sim.clock.advance(4000)
    assert shop("run").code == Exit.DELIVERED
    assert shop.asked == 4
    assert len(shop.lines()) == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_130_and_loses_nothing(simulate, shop_of, number):
    shop = shop_of(simulate(speed=1))
    process = shop.cold("run")
    seen = ""
    while "submitted" not in seen:
        seen = process.stderr.readline()
        assert seen, "the run ended by itself"
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == Exit.INTERRUPTED, err
    assert "press again to stop at once" in err
    assert "Nothing is lost" in err
    shop.sim.clock.advance(4000)
    assert shop("run").code == Exit.DELIVERED
    assert shop.asked == 4


def test_a_signal_that_comes_when_a_stopped_command_has_finished_changes_nothing_about_its_end(simulate, shop_of):
    shop = shop_of(simulate(speed=1))
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def press():
        while not shop.sim.stats()["batches_created"]:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    somebody = threading.Thread(target=press)
    somebody.start()
    try:
        said = shop("run")
        os.kill(os.getpid(), signal.SIGTERM)  # which by default would end this very process
        assert said.code == Exit.INTERRUPTED
    finally:
        somebody.join()
        for number, handler in before.items():
            signal.signal(number, handler)


def test_an_output_that_is_gone_when_nothing_is_in_flight_is_5(shop):
    shop("run")
    (shop.folder / "out.jsonl").unlink()
    said = shop("retry", "--only", "sink_error")
    assert said.code == Exit.PAUSED, said.err
    assert "out.jsonl" in said.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_stops_in_mid_call_and_the_next_run_finds_what_was_sent(simulate, shop_of, number):
    """The API has taken the batch and holds its reply back: who does not wait for it must not pay for it again."""
    shop = shop_of(simulate("create:1:slow,seconds=600"))
    process = shop.cold("run")
    while not shop.sim.stats()["batches_created"]:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    while "press again" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == Exit.INTERRUPTED, err
    assert "4 requests" in err.splitlines()[-1]
    assert shop("run").code == Exit.DELIVERED
    assert shop.asked == 4
    assert len(shop.lines()) == 4


async def test_a_command_that_was_cut_off_names_what_may_be_paid_for(simulate, shop_of, monkeypatch, capfd):
    shop = shop_of(simulate(speed=1))
    monkeypatch.chdir(shop.folder)
    plugins = plugins_for(Path("batchflow.yaml"))
    workshop = Workshop(read_jobs(Path("batchflow.yaml"), [], plugins), plugins=plugins)
    async with AsyncExitStack() as stack:
        opened = await workshop.opened(workshop.file.jobs["triage"], stack)
        await opened.flow.run(opened.job, wait=0)
        capfd.readouterr()
        code = await tell_endings([Ended(opened=opened, interrupted=True)], json=False)
    assert code == Exit.INTERRUPTED
    assert "4 requests may be at the provider" in capfd.readouterr().err.splitlines()[-1]


def test_a_mistake_of_our_own_is_1_with_its_lines(shop, monkeypatch):
    def broken(*_args, **_options):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("batchflow.cli.running.split_words", broken)
    said = shop("run")
    assert said.code == Exit.BUG
    assert "ZeroDivisionError" in said.err
    assert "please report" in said.err


def test_a_reader_that_has_had_enough_is_no_error(shop):
    shop("run")
    process = shop.process("results")
    process.stdout.close()
    process.wait()
    assert process.returncode == Exit.DELIVERED, process.stderr.read()


def test_the_page_of_exit_codes_says_what_the_code_says():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "exit-codes.md").read_text(encoding="utf-8")
    table = "\n".join(f"| {code.value} | {code.sentence} |" for code in Exit)
    assert table in page
    assert ", ".join(str(code.value) for code in SEVERITY) in page


def test_a_process_leaves_with_the_code(shop):
    process = shop.cold("run", "nowhere.yaml")
    _, err = process.communicate(timeout=60)
    assert process.returncode == Exit.CONFIG
    assert "there is no job file nowhere.yaml" in err
