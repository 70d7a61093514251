"""State folders that are not ours to read, or not as we left them; jobs that are no longer what they were."""

import sqlite3
from pathlib import Path


def spoil(path: Path) -> None:
    """Turns one byte of a file over."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def test_state_from_a_newer_version_is_not_touched(folder):
    assert folder.type("run").code == 0
    database = folder.state / "state.db"
    with sqlite3.connect(database) as connection:
        connection.execute("pragma user_version = 99")
    connection.close()
    before = database.read_bytes()
    for verb in ("run", "ps", "results"):
        said = folder.type(verb).has(
            "state.db has schema version 99", "a newer batchflow wrote it", "Upgrade batchflow"
        )
        assert (said.code, folder.asked) == (9, 3)
        assert database.read_bytes() == before


def test_a_state_folder_that_holds_something_else_is_not_touched(folder):
    folder.state.mkdir()
    (folder.state / "state.db").write_text("these are my notes\n")
    said = folder.type("run").has("state.db")
    assert (said.code, folder.asked) == (9, 0)
    assert (folder.state / "state.db").read_text() == "these are my notes\n"


def test_a_state_folder_that_cannot_be_made_stops_the_run_before_anything_is_sent(folder):
    folder.job(sinks="[{type: stdout}]")
    folder.path.chmod(0o500)
    said = folder.type_as_ordinary_user("run").has(".batchflow", "ermission")
    folder.path.chmod(0o700)
    assert (said.code, folder.asked) == (9, 0)
    assert not folder.state.exists()


def test_a_state_folder_that_becomes_read_only_loses_nothing(folder):
    assert folder.type_as_ordinary_user("run", "--no-wait").code == 10
    database = folder.state / "state.db"
    folder.state.chmod(0o500)
    database.chmod(0o400)
    said = folder.type_as_ordinary_user("run").has("state.db", "cannot be opened for writing", "must be writable")
    assert (said.code, folder.asked) == (9, 3)
    folder.state.chmod(0o700)
    database.chmod(0o600)
    assert folder.type_as_ordinary_user("run").code == 0
    assert (folder.keys, folder.asked) == (["k0", "k1", "k2"], 3)


def test_objects_that_become_read_only_lose_nothing(folder):
    assert folder.type_as_ordinary_user("run", "--no-wait").code == 10
    kept = [path for path in (folder.state / "objects").rglob("*") if path.is_dir()]
    for path in [folder.state / "objects", *kept]:
        path.chmod(0o500)
    said = folder.type_as_ordinary_user("run").has(
        "could not be used (Permission denied)", "Look at the permissions of"
    )
    assert (said.code, folder.asked) == (9, 3)
    for path in [folder.state / "objects", *kept]:
        path.chmod(0o700)
    assert folder.type_as_ordinary_user("run").code == 0
    assert (folder.keys, folder.asked) == (["k0", "k1", "k2"], 3)


def test_a_damaged_chunk_of_requests_is_never_sent(folder):
    assert folder.type("run", env={"KEY": "sk-wrong"}).code == 6
    [chunk] = folder.state.rglob("requests")
    sound = chunk.read_bytes()
    spoil(chunk)
    said = folder.type("run").has(str(chunk), "checksum differs", "Put it back from a copy", "batchflow doctor")
    assert (said.code, folder.asked) == (9, 0)
    run = folder.ps()
    assert (run["books"]["waiting"], run["books"]["in_flight"], run["money"]["reserved"]) == (3, 0, 0.0)
    chunk.write_bytes(sound)
    assert folder.type("run").code == 0
    assert (folder.keys, folder.asked) == (["k0", "k1", "k2"], 3)


def test_a_damaged_chunk_without_a_copy_can_be_canceled(folder):
    folder.type("run", env={"KEY": "sk-wrong"})
    [chunk] = folder.state.rglob("requests")
    chunk.unlink()
    assert folder.type("run").has(str(chunk)).code == 9
    folder.type("cancel")
    run = folder.ps()
    assert (run["state"], run["books"]["canceled"], folder.asked) == ("canceled", 3, 0)


def collected(folder):
    """Leaves a run whose answers are here and delivered to nobody; gives the object that holds them."""
    folder.job(sinks="[{type: stdout}]")
    with Path("/dev/full").open("w") as full:
        assert folder.type_until("part failed", "run", stdout=full).code == 130
    [chunk] = [path for path in folder.state.rglob("results-*") if path.is_file()]
    return chunk


def test_damaged_results_are_fetched_again_and_delivered_once(folder):
    spoil(collected(folder))
    said = folder.type("run").has("checksum differs", "They were fetched again", "batch", "refetched")
    assert (said.code, said.out.count("\n"), folder.asked) == (0, 3, 3)
    assert folder.sim.stats()["downloads"] == 2
    assert folder.ps()["state"] == "done"


def test_damaged_results_that_the_provider_has_no_longer_are_never_delivered(folder):
    chunk = collected(folder)
    sound = chunk.read_bytes()
    spoil(chunk)
    folder.sim.clock.advance(30 * 24 * 3600)
    said = folder.type("run").has(
        "checksum differs", "29 days", "3 answers are concerned, for which $0.000", "(`run --new`) is paid again",
        "a copy of the state folder", "batchflow resume",
    )  # fmt: skip
    assert (said.code, said.out, folder.asked) == (5, "", 3)
    assert folder.ps()["books"]["collected"] == 3
    chunk.write_bytes(sound)
    said = folder.type("resume")
    assert (said.code, said.out.count("\n"), folder.asked) == (0, 3, 3)


def test_a_job_changed_in_mid_run_is_refused_with_the_choices(folder):
    folder.sim.clock.run_at(0)
    assert folder.type("run", "--no-wait").code == 10
    job = (folder.path / "batchflow.yaml").read_text()
    folder.job(text=job.replace("Summarise", "Shorten"))
    said = folder.type("run").has(
        "the job was changed in the middle of run", "undo the change", "batchflow cancel", "--new` pays"
    )
    assert (said.code, folder.asked, folder.lines()) == (2, 3, [])
    folder.job(text=job)
    folder.sim.clock.run_at(3600)
    assert folder.type("run").code == 0
    assert (folder.keys, folder.asked) == (["k0", "k1", "k2"], 3)


def test_a_second_run_of_a_finished_job_pays_nothing(folder):
    assert folder.type("run").code == 0
    written = (folder.path / "out.jsonl").read_bytes()
    said = folder.type("run").has("already delivered by", "`--new` pays again (about $")
    assert (said.code, folder.asked) == (0, 3)
    assert (folder.path / "out.jsonl").read_bytes() == written
