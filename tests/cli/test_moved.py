"""A folder that is moved, copied, renamed or reached by another path: its runs are the same runs, and nothing is paid for twice."""

import shutil

import pytest

from batchflow.cli.exits import Exit


def file_of(shop):
    return shop("ps", "--json").facts[0]["file"]


@pytest.fixture
def away(simulate, shop_of, tmp_path):
    """A job folder whose batch is at the provider."""
    shop = shop_of(simulate(speed=1))
    shop.folder = tmp_path / "one"
    shop.folder.mkdir()
    shop.write()
    assert shop("run", str(shop.folder / "batchflow.yaml"), "--no-wait").code == Exit.IN_FLIGHT
    return shop


def goes_on(shop, file, *verb):
    shop.sim.clock.advance(4000)
    said = shop(*(verb or ("run", str(file))), "--no-wait")
    assert said.code == Exit.DELIVERED, said.err
    assert shop.asked == 4
    assert shop.sim.stats()["rows_billed"] == 4
    shop.folder = file.parent
    assert len(shop.lines()) == 4
    again = shop("run", str(file))
    assert "already delivered by" in again.err
    assert shop.asked == 4
    return said


def test_a_folder_that_was_moved_in_mid_run_goes_on_where_it_is_now(away, tmp_path, monkeypatch):
    away.folder.rename(tmp_path / "two")
    said = goes_on(away, tmp_path / "two" / "batchflow.yaml")
    assert (
        f"came from {tmp_path}/one/batchflow.yaml, and is taken as a run of {tmp_path}/two/batchflow.yaml" in said.err
    )
    monkeypatch.chdir(away.folder)
    assert file_of(away) == str(tmp_path / "two" / "batchflow.yaml")


@pytest.mark.parametrize("verb", ["resume", "run"])
def test_it_goes_on_whatever_is_typed_there_first(away, tmp_path, monkeypatch, verb):
    away.folder.rename(tmp_path / "two")
    monkeypatch.chdir(tmp_path / "two")
    assert away("doctor").code == Exit.IN_FLIGHT
    assert away("reconcile", "triage").code == Exit.DELIVERED
    goes_on(away, tmp_path / "two" / "batchflow.yaml", verb)


def test_a_copy_of_the_folder_goes_on_though_the_old_one_is_still_there(away, tmp_path):
    shutil.copytree(away.folder, tmp_path / "two")
    goes_on(away, tmp_path / "two" / "batchflow.yaml")


def test_a_job_file_under_another_name_is_the_same_job(away):
    goes_on(away, (away.folder / "batchflow.yaml").rename(away.folder / "other.yaml"))


def test_a_folder_reached_by_a_link_is_the_same_folder(away, tmp_path):
    (tmp_path / "link").symlink_to(away.folder)
    goes_on(away, tmp_path / "link" / "batchflow.yaml")


def test_a_moved_folder_whose_job_was_changed_in_mid_run_is_refused(away, tmp_path):
    away.folder.rename(tmp_path / "two")
    file = tmp_path / "two" / "batchflow.yaml"
    file.write_text(file.read_text().replace("Summarise", "Shorten"))
    assert away("run", str(file)).code == Exit.USAGE
    assert away.asked == 4


def test_two_jobs_of_one_name_in_a_shared_state_folder_stay_two(away, tmp_path, monkeypatch):
    monkeypatch.setenv("BATCHFLOW_HOME", str(tmp_path / "home"))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        away.folder = tmp_path / name
        away.write(records=2, text=name)
        file = away.folder / "batchflow.yaml"
        file.write_text(file.read_text().replace("Summarise", f"Job {name}"))
        assert away("run", str(file), "--no-wait").code == Exit.IN_FLIGHT
        away.sim.clock.advance(4000)
        assert away("run", str(file), "--no-wait").code == Exit.DELIVERED
    assert away.asked == 4 + 2 + 2
    away.folder = tmp_path / "a"
    assert len(away.lines()) == 2
    shutil.rmtree(tmp_path / "a")
    away("run", str(tmp_path / "b" / "batchflow.yaml"))
    assert away.asked == 4 + 2 + 2
