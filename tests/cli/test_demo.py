"""The demo keeps its word: no key, no network, every kind of failure seen, results where it says."""

import json
import socket
import sqlite3

import pytest

from batchflow.cli.demo.claims import COUNT, claims
from batchflow.cli.demo.folder import lay_out
from batchflow.cli.exits import Exit
from batchflow.model.errors import RunRefused


def dead_proxy():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.slow
def test_the_demo_runs_twice_and_heeds_neither_the_users_account_nor_a_proxy(shop):
    proxy = dead_proxy()
    env = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"), proxy)
    env |= {"ANTHROPIC_API_KEY": "mine", "ANTHROPIC_BASE_URL": proxy, "ANTHROPIC_AUTH_TOKEN": "mine too"}
    env |= {"BATCHFLOW_HOME": str(shop.folder / "home")}
    for _ in range(2):
        process = shop.cold("demo", env=env)
        out, err = process.communicate(timeout=120)
        assert process.returncode == Exit.DELIVERED, err
        assert out == ""
        assert "bad_output 1, expired 1, overloaded 1, truncated 1" in err
        assert "refused 1" in err
        assert "at list price" in err
    folder = shop.folder / "batchflow-demo"
    assert not (shop.folder / "home").exists()
    with sqlite3.connect(folder / "claims.db") as database:
        rows = database.execute("SELECT claim_id, category, severity, region FROM triage").fetchall()
    database.close()
    expected = {(one.id, one.category, one.severity, one.region) for one in claims()}
    assert len(rows) == COUNT - 1
    assert set(rows) < expected
    assert len((folder / "out" / "triage.jsonl").read_text().splitlines()) == COUNT - 1
    [dead] = map(json.loads, (folder / "out" / "dead.jsonl").read_text().splitlines())
    assert (dead["key"], dead["word"]) == ("CLM-0091", "refused")
    [run] = shop("ps", "--json", "--state", str(folder / ".batchflow")).facts
    assert run["balanced"] is True


def test_the_claims_are_always_the_same_and_no_two_are_called_alike():
    assert claims() == claims()
    assert len({claim.id for claim in claims()}) == COUNT
    assert {claim.severity for claim in claims()} == {"low", "medium", "high"}


def test_a_folder_that_is_not_the_demos_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RunRefused, match="is not the demo's"):
        lay_out(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_what_the_user_changed_is_not_overwritten(tmp_path):
    folder = tmp_path / "demo"
    lay_out(folder)
    file = folder / "batchflow.yaml"
    file.write_text(file.read_text() + "# mine\n")
    with pytest.raises(RunRefused, match="was changed"):
        lay_out(folder)
    assert file.read_text().endswith("# mine\n")


def test_what_the_last_demo_left_goes_away(tmp_path):
    folder = tmp_path / "demo"
    lay_out(folder)
    (folder / ".batchflow").mkdir()
    (folder / "out").mkdir()
    (folder / "claims.db").write_text("")
    lay_out(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["batchflow.yaml", "claims.csv", "prompts", "schemas"]


def test_the_demos_job_is_sound(tmp_path, shop):
    lay_out(tmp_path / "demo")
    assert shop("validate", str(tmp_path / "demo" / "batchflow.yaml")).code == Exit.DELIVERED
