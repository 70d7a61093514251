"""`notify:` in a job file: signed webhooks, received by a real server that verifies them."""

import base64
import contextlib
import hashlib
import hmac
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event as Flag
from threading import Thread

import pytest

from batchflow.model.state import Event

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two letters..").decode()
NOTIFY = 'notify: [{{type: webhook, url: "{url}", secret: "${{env:HOOK_SECRET}}"{more}}}]'


class Receiver(ThreadingHTTPServer):
    """Verifies what it is sent as Standard Webhooks say, and keeps it; answers `answers` first, then 204."""

    daemon_threads = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Take)
        self.url = f"http://127.0.0.1:{self.server_port}/hook"
        self.answers = []
        self.heard = []
        self.seen = []
        self.arrived, self.busy = Flag(), Flag()
        self.busy.set()

    def verified(self, headers, body):
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        key = base64.b64decode(SECRET.removeprefix("whsec_"))
        right = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return f"v1,{right}" in headers["webhook-signature"].split(" ")


class Take(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.server.verified(self.headers, body)
        self.server.seen.append(self.headers["webhook-id"])
        self.server.arrived.set()
        assert self.server.busy.wait(60)
        status = self.server.answers.pop(0) if self.server.answers else 204
        if status == 204:
            self.server.heard.append(json.loads(body))
        with contextlib.suppress(OSError):  # whoever asked may be dead by now
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:9/")
            self.end_headers()

    def log_message(self, format, *args):
        """Keep quiet."""


@pytest.fixture
def receiver(monkeypatch):
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    with Receiver() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def told(shop, receiver):
    """A shop whose job tells the receiver."""

    def make(more="", **how):
        shop.write(more=NOTIFY.format(url=receiver.url, more=more), **how)
        return shop

    return make


def test_a_finished_run_is_told_once_in_a_signed_body(told, receiver):
    shop = told()
    assert shop("run").code == 0
    (heard,) = receiver.heard
    run = shop("ps", "--json").facts[0]
    assert heard["type"] == "run.finished"
    assert heard["timestamp"].endswith("Z")
    data = heard["data"]
    assert (data["job"], data["run"], data["status"], data["reason"], data["next"]) == (
        "triage",
        run["run"],
        "done",
        "",
        "",
    )
    assert (data["counts"]["read"], data["counts"]["delivered"], data["counts"]["dead"]) == (4, 4, 0)
    assert data["money"]["paid"] == run["money"]["paid"] > 0


def test_a_second_run_that_has_nothing_to_do_tells_nothing(told, receiver):
    shop = told()
    shop("run")
    assert shop("run").code == 0
    assert len(receiver.heard) == 1


def test_a_refused_delivery_is_tried_again_under_the_same_id(told, receiver):
    receiver.answers = [503]
    said = told()("run")
    assert (said.code, len(receiver.heard)) == (0, 1)
    assert len(receiver.seen) == 2
    assert len(set(receiver.seen)) == 1
    assert "notice" not in said.err


@pytest.mark.parametrize(("answer", "why"), [(410, "127.0.0.1 answered 410"), (307, "no redirect is followed")])
def test_what_will_never_be_taken_is_given_up_at_once_and_said_at_the_end(told, receiver, answer, why):
    receiver.answers = [answer, answer]
    said = told()("run")
    assert said.code == 0
    assert len(receiver.seen) == 1
    assert f"notice: webhook was not told that the run is finished: 127.0.0.1 answered {answer}" in said.err
    assert why in said.err


def test_a_receiver_that_is_not_there_fails_no_run(shop, receiver):
    shop.write(more=NOTIFY.format(url="http://127.0.0.1:9/", more=", deadline: 1ms"))
    said = shop("run")
    assert (said.code, len(shop.lines())) == (0, 4)
    assert "notice: webhook was not told that the run is finished" in said.err
    assert receiver.seen == []


def test_what_a_killed_process_may_not_have_told_is_told_by_the_next_one_under_the_same_id(told, receiver):
    """Killed after it wrote down that the run is done, and before it heard that the receiver has it."""
    receiver.busy.clear()
    shop = told()
    process = shop.process("run")
    assert receiver.arrived.wait(60)
    process.kill()
    process.wait()
    receiver.busy.set()
    assert "already delivered" in shop("run").err
    assert [heard["type"] for heard in receiver.heard[-1:]] == ["run.finished"]
    assert len(receiver.seen) == 2
    assert len(set(receiver.seen)) == 1
    told_before = len(receiver.seen)
    shop("run")
    assert len(receiver.seen) == told_before


def test_what_was_given_up_is_not_tried_again(told, receiver):
    receiver.answers = [410]
    shop = told()
    shop("run")
    assert "notice" not in shop("run").err
    assert len(receiver.seen) == 1


def test_a_paused_run_is_told_with_its_reason_and_what_to_type(simulate, shop_of, receiver):
    shop = shop_of(simulate(), more=NOTIFY.format(url=receiver.url, more="") + "\nbudget: {run: 0.000001}")
    assert shop("run").code == 5
    (heard,) = receiver.heard
    assert (heard["type"], heard["data"]["status"]) == ("run.paused", "paused")
    assert "budget" in heard["data"]["reason"]
    assert heard["data"]["next"].startswith("batchflow resume ")


def test_dead_letters_above_a_threshold_are_told_once(simulate, shop_of, receiver):
    sim = simulate("row:Summarise:refusal,times=null")
    shop = shop_of(sim, more=NOTIFY.format(url=receiver.url, more=", dead: 5%"), records=6)
    assert shop("run").code == 4
    assert sorted(heard["type"] for heard in receiver.heard) == ["run.dead_letters", "run.finished"]
    (dead,) = [heard for heard in receiver.heard if heard["type"] == "run.dead_letters"]
    assert "6 of 6 rows so far are dead letters" in dead["data"]["reason"]


def test_only_what_was_asked_for_is_told(simulate, shop_of, receiver):
    sim = simulate("row:Summarise:refusal,times=null")
    shop = shop_of(sim, more=NOTIFY.format(url=receiver.url, more=", dead: 7, on: [dead, paused]"), records=6)
    shop("run")
    assert receiver.heard == []


def test_the_secret_is_nowhere_to_be_seen(told, receiver):
    shop = told()
    said = shop("run")
    shown = said.err + said.out + shop("ps", "--json").out + shop("report", "--json").out
    stored = b"".join(path.read_bytes() for path in (shop.folder / ".batchflow").rglob("*") if path.is_file())
    assert SECRET not in shown
    assert SECRET.encode() not in stored
    assert receiver.heard


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (", dead: 0", "should be a number of rows of at least 1, or a share of them like 5%"),
        (", dead: 120%", "should be a number of rows of at least 1, or a share of them like 5%"),
        (", on: [done]", "should be 'finished', 'paused', 'failed' or 'dead'"),
        (", urk: x", "unknown option `urk`"),
        (", headers: {Webhook-Id: x}", "webhook-id is set by the webhook itself"),
    ],
)
def test_mistakes_are_told_at_their_place(told, more, said):
    found = told(more)("validate")
    assert found.code == 3
    assert "batchflow.yaml:11:" in found.err
    assert said in found.err


def test_a_secret_that_is_none_is_refused_with_a_way_to_make_one(told, monkeypatch):
    monkeypatch.setenv("HOOK_SECRET", "hunter2hunter2")
    said = told()("validate")
    assert said.code == 3
    assert "secret: should be `whsec_` and the base64 of 24 to 64 random bytes" in said.err
    assert "hunter2" not in said.err


def test_looking_needs_no_secret(told, monkeypatch):
    shop = told()
    shop("run")
    monkeypatch.delenv("HOOK_SECRET")
    assert len(shop("results").out.splitlines()) == 4
    assert shop("plan").code == 0


def test_events_say_what_was_told(told):
    shop = told()
    shop("run")

    async def marks(store):
        return await store.find(Event, {"kind": "notify.told"})

    (mark,) = shop.in_store(marks)
    assert mark.subject.startswith("webhook/")


def test_a_notifier_is_a_part_of_its_job(told):
    assert "notifier webhook  webhook of batchflow.builtin" in told()("plugin", "why", "triage").out
