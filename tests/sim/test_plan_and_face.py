"""The fault plan as file, flags and data; the control endpoints; the Python face."""

import os
import subprocess
import sys
import threading
from typing import get_args

import anthropic
import httpx2
import msgspec
import pytest

from batchflow.sim import FAULTS, ROW_WORDS, FaultPlan, RowRule, Rule, Simulator, serve
from batchflow.sim.vocabulary import CHOOSING, FaultName, RowWord


def test_a_plan_is_read_from_yaml(tmp_path):
    file = tmp_path / "plan.yaml"
    file.write_text(
        """
        rules:
          - {on: create, nth: [1, 3], fault: reset_after}
          - {on: [retrieve, list], every: 2, fault: status, status: 529, retry_after: 5}
          - {on: results, since: 2, count: 1, fault: truncate, framing: close}
        rows:
          - {match: water, word: overloaded, times: 2}
        clock_offset: 60
        """
    )
    assert FaultPlan.load(file) == FaultPlan(
        rules=[
            Rule(on="create", nth=[1, 3], fault="reset_after"),
            Rule(on=["retrieve", "list"], every=2, fault="status", status=529, retry_after=5),
            Rule(on="results", since=2, count=1, fault="truncate", framing="close"),
        ],
        rows=[RowRule(match="water", word="overloaded", times=2)],
        clock_offset=60,
    )


@pytest.mark.parametrize("text", ["rules: [", "rules: {}", "rulez: []", "rules: [{on: create, fault: gzip}]", "\t"])
def test_a_bad_plan_file_is_named(tmp_path, text):
    file = tmp_path / "plan.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"plan\.yaml: "):
        FaultPlan.load(file)


def test_flags_say_the_same():
    flags = [
        "create:1+3:reset_after",
        "retrieve+list:every2:status,status=529,retry_after=5",
        "results:2+:truncate,framing=close,count=1",
        "all::omit_nulls",
        "row:water: a flood:overloaded,times=2",
        "row:5%:refusal,times=null",
        "clock:60",
    ]
    assert FaultPlan.parse(flags) == FaultPlan(
        rules=[
            Rule(on=["create"], nth=[1, 3], fault="reset_after"),
            Rule(on=["retrieve", "list"], every=2, fault="status", status=529, retry_after="5"),
            Rule(on=["results"], since=2, count=1, fault="truncate", framing="close"),
            Rule(on=["all"], fault="omit_nulls"),
        ],
        rows=[
            RowRule(match="water: a flood", word="overloaded", times=2),
            RowRule(rate=0.05, word="refusal", times=None),
        ],
        clock_offset=60,
    )


@pytest.mark.parametrize(
    "flag",
    [
        "create",
        "create:1",
        "create:1:nonsense",
        "create:x:gzip",
        "create:1:status,status",
        "row:overloaded",
        "lunch:1:gzip",
    ],
)
def test_a_wrong_flag_is_named(flag):
    with pytest.raises(ValueError, match="fault '"):
        FaultPlan.parse([flag])


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"on": "create", "fault": "gzip"}, "gzip does nothing at create; it belongs to: results"),
        ({"on": ["results", "list"], "fault": "crlf"}, "crlf does nothing at list"),
        ({"on": "list", "fault": "status", "seconds": 3}, "status takes no seconds; it takes: status type message"),
        ({"on": "create", "fault": "never_ends", "rows": 1}, "never_ends takes no rows; it takes: nothing"),
    ],
)
def test_a_rule_that_would_do_nothing_is_refused(rule, message):
    with pytest.raises(msgspec.ValidationError, match=message):
        FaultPlan.of({"rules": [rule]})


def test_the_vocabulary_is_complete():
    assert set(FAULTS) == set(get_args(FaultName))
    assert set(ROW_WORDS) == set(get_args(RowWord))
    fields = {field for fault in FAULTS.values() for field in fault.takes.split()}
    assert fields | CHOOSING == {field.name for field in msgspec.structs.fields(Rule)}


def test_unknown_words_in_a_plan_are_refused():
    with pytest.raises(msgspec.ValidationError, match="unknown field `onn`"):
        FaultPlan.of({"rules": [{"onn": "create", "fault": "gzip"}]})


def test_rules_choose_their_calls(simulate, client_of):
    def failing(flag, calls=8):
        client = client_of(simulate(flag))
        failed = []
        for number in range(1, calls + 1):
            try:
                client.messages.batches.list()
            except anthropic.InternalServerError:
                failed.append(number)
        return failed

    assert failing("list:2:status") == [2]
    assert failing("list:2+5:status") == [2, 5]
    assert failing("list:every3:status") == [3, 6]
    assert failing("list:6+:status") == [6, 7, 8]
    assert failing("list::status,count=2") == [1, 2]
    assert failing("create:1:status") == []


def test_stats_tell_what_happened(sim, client, requests_of):
    batch = client.messages.batches.create(requests=requests_of(4))
    client.messages.batches.retrieve(batch.id)
    client.messages.batches.list()
    sim.clock.advance(3600)
    list(client.messages.batches.results(batch.id))
    with pytest.raises(anthropic.BadRequestError):
        client.messages.batches.create(requests=[])
    stats = httpx2.get(f"{sim.url}/_sim/stats", trust_env=False).json()
    assert {key: stats[key] for key in ("creates", "batches_created", "requests_accepted", "rows_billed")} == {
        "creates": 2, "batches_created": 1, "requests_accepted": 4, "rows_billed": 4,
    }  # fmt: skip
    assert stats["calls"] == {"create": 2, "retrieve": 2, "list": 1, "results": 1}
    assert (stats["polls"], stats["downloads"]) == (2, 1)
    assert stats["connections"] >= 1
    assert stats["batches"][0]["status"] == "ended"
    assert stats["batches"][0]["counts"]["succeeded"] == 4


def test_reset_and_new_faults_over_http(sim, client, requests_of):
    first = client.messages.batches.create(requests=requests_of(1))
    post = lambda path, **more: httpx2.post(f"{sim.url}/_sim/{path}", trust_env=False, **more)  # noqa: E731
    assert post("reset").json() == {"ok": True}
    assert sim.stats()["batches"] == []
    assert post("faults", json={"rules": [{"on": "create", "nth": 1, "fault": "status", "status": 500}]}).json() == {
        "ok": True
    }
    with pytest.raises(anthropic.InternalServerError):
        client.messages.batches.create(requests=requests_of(1))
    assert client.messages.batches.create(requests=requests_of(1)).id != first.id
    wrong = post("faults", json={"rules": [{"on": "lunch", "fault": "status"}]})
    assert wrong.status_code == 400
    assert "$.rules[0].on" in wrong.json()["error"]
    assert post("advance", json={"seconds": -1}).status_code == 400


def test_faults_are_replaced_and_world_reset_from_python(sim, client, requests_of):
    sim.set_faults(FaultPlan(rules=[Rule(on="create", fault="credit")]))
    with pytest.raises(anthropic.BadRequestError):
        client.messages.batches.create(requests=requests_of(1))
    sim.reset()
    client.messages.batches.create(requests=requests_of(1))
    assert [len(batch.requests) for batch in sim.batches] == [1]


def test_a_row_that_had_its_bad_attempt_stays_well_when_other_calls_are_to_fail(simulate, ask, client_of):
    sim = simulate("row:claim:pause_turn")
    client = client_of(sim)

    def ends():
        return client.messages.create(**ask("a claim")).stop_reason

    assert [ends(), ends()] == ["pause_turn", "end_turn"]
    sim.set_faults(FaultPlan.parse(["row:claim:pause_turn", "list::omit"]))
    assert ends() == "end_turn"
    sim.set_faults(FaultPlan.parse(["row:claim:refusal"]))
    assert [ends(), ends()] == ["refusal", "end_turn"]


def test_every_call_is_remembered_without_its_key(simulate, client_of):
    told = []
    sim = simulate("list:2:status,status=529", "list:3:reset_before", on_call=told.append)
    client = client_of(sim, "top-secret", max_retries=2)
    for _ in range(2):
        client.messages.batches.list()
    calls = sim.calls
    assert calls == told
    assert [(call.endpoint, call.method, call.path, call.status, call.faults) for call in calls] == [
        ("list", "GET", "/v1/messages/batches", 200, []),
        ("list", "GET", "/v1/messages/batches", 529, ["status"]),
        ("list", "GET", "/v1/messages/batches", None, ["reset_before"]),
        ("list", "GET", "/v1/messages/batches", 200, []),
    ]
    assert [call.headers["x-stainless-retry-count"] for call in calls] == ["0", "0", "1", "2"]
    assert calls[0].headers["anthropic-version"] == "2026-10-21"
    assert "top-secret" not in str(calls)


def test_a_stopped_simulator_has_no_url():
    with Simulator() as sim:
        assert sim.url.startswith("http://127.0.0.1:")
    with pytest.raises(RuntimeError, match="not running"):
        _ = sim.url
    assert sim.stats()["creates"] == 0


def test_the_server_hangs_up_on_a_waiting_client(client_of):
    with Simulator(faults=FaultPlan.parse(["list::slow,seconds=600"])) as sim:
        client = client_of(sim)
        problems = []

        def wait():
            try:
                client.messages.batches.list()
            except anthropic.APIConnectionError as problem:
                problems.append(problem)

        waiting = threading.Thread(target=wait)
        waiting.start()
        while sim.stats()["lists"] == 0:
            pass
    waiting.join()
    assert len(problems) == 1


def test_serve_tells_its_url_and_stops_when_told():
    stop = threading.Event()
    seen = []

    def ready(url):
        seen.append(httpx2.get(f"{url}/_sim/stats", trust_env=False).json()["creates"])
        stop.set()

    serve(on_ready=ready, stop=stop, seed=3, faults=FaultPlan())
    assert seen == [0]


def test_the_simulator_knows_nothing_of_the_rest_of_batchflow():
    code = (
        "import sys, batchflow.sim\n"
        "rooms = {name.split('.')[1] for name in sys.modules if name.startswith('batchflow.')}\n"
        "print(rooms, 'anthropic' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert shown.stdout.strip() == "{'sim'} False"
