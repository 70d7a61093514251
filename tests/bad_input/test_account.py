"""Keys that are missing or wrong, an API that is not there, a model that nobody knows."""


def test_a_wrong_key_pauses_the_run_and_the_right_one_goes_on(folder):
    said = folder.type("run", env={"KEY": "sk-wrong"})
    said.has("HTTP 401", "Check the provider's api_key", "batchflow resume", "Every row is kept")
    assert (said.code, folder.asked) == (6, 0)
    assert "sk-wrong" not in said.err
    run = folder.ps()
    assert (run["state"], run["books"]["waiting"]) == ("paused", 3)
    assert folder.type("resume").code == 0
    assert (folder.keys, folder.asked) == (["k0", "k1", "k2"], 3)


def test_no_key_anywhere_says_where_to_put_one(folder):
    job = (folder.path / "batchflow.yaml").read_text()
    folder.job(text=job.replace(', api_key: "${env:KEY}"', ""))
    said = folder.type("run").has(
        "There is no API key", "nothing was sent", "Set ANTHROPIC_API_KEY", "batchflow resume"
    )
    assert (said.code, folder.asked) == (6, 0)
    assert folder.type("resume", env={"ANTHROPIC_API_KEY": "sk-good-key"}).code == 0
    assert folder.keys == ["k0", "k1", "k2"]


def test_a_key_from_a_variable_that_is_not_set_names_the_variable(folder):
    job = (folder.path / "batchflow.yaml").read_text()
    folder.job(text=job.replace("env:KEY", "env:CLAUDE_KEY"))
    said = folder.type("run").has(
        "batchflow.yaml:2:", "environment variable CLAUDE_KEY is not set", "export CLAUDE_KEY="
    )
    assert (said.code, folder.asked) == (6, 0)
    assert not folder.state.exists()


def test_an_api_that_is_down_at_the_start_pauses_the_run(folder):
    folder.job(url="http://127.0.0.1:9")
    said = folder.type("run").has(
        "got no answer from http://127.0.0.1:9", "base_url", "batchflow resume", "Every row is kept"
    )
    assert said.code == 7
    run = folder.ps()
    assert (run["state"], run["books"]["waiting"], run["books"]["intents"]) == ("paused", 3, 0)
    folder.job()  # the address is mended; nothing was sent to the old one, so the run goes on with the new one
    said = folder.type("run")
    assert (said.code, folder.asked, folder.keys) == (0, 3, ["k0", "k1", "k2"])


def test_an_unknown_model_is_doubted_beforehand_makes_dead_letters_and_costs_nothing(folder):
    folder.job(request='{model: claude-haiku-44, max_tokens: 60, prompt: "{{ text }}"}')
    doubt = ("batchflow.yaml:6:22", "no price is known for model `claude-haiku-44`", "check the spelling")
    assert folder.type("validate").has(*doubt).code == 0
    said = folder.type("run").has(*doubt, "unknown_model 3", "claude-haiku-44", "batchflow retry")
    assert (said.code, folder.lines()) == (4, [])
    assert [dead["word"] for dead in folder.lines("dead.jsonl")] == ["unknown_model"] * 3
    run = folder.ps()
    assert (run["books"]["dead"], run["money"]["paid"], folder.sim.stats()["rows_billed"]) == (3, 0.0, 0)
