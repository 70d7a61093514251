"""A file of one's own brings every kind of part, and a job file reaches it: the smallest of each, at work."""

import json

import pytest

from batchflow.cli.exits import Exit

HOUSE = '''
from typing import Annotated

from batchflow import Plugins
from batchflow.plugin import Accept, Bad, Doc, Failure, GiveUp, Price, Retry, Secret, hookimpl

PARTS = Plugins(entry_points=False)


class HouseModels:
    """What our own deployment costs."""

    def price(self, model):
        return Price(input=1.0, output=1000.0, write_5m=1.0, write_1h=1.0, read=1.0) if model.startswith("claude-haiku") else None


class ByTenant:
    """Some tenants are worth another try."""

    def __init__(self, patient):
        self._patient = patient

    def decide(self, failure: Failure):
        return Retry() if failure.carried["tenant"] in self._patient else GiveUp()


def by_tenant(*, patient: Annotated[list[str], Doc("Tenants whose rows are asked again.")]):
    """Ask again for some tenants only."""
    return ByTenant(patient)


class Redact:
    def __init__(self, word):
        self._word = word

    def check(self, result):
        if not result.text:
            return Bad(("nothing was said",))
        result.text = f"[{self._word}]"
        return result


def redact(*, word: Annotated[str, Doc("What stands in the place of an answer.")] = "redacted"):
    """Let no answer through."""
    return Redact(word)


def gateway(*, address: Annotated[str, Doc("Our gateway.")], token: Annotated[Secret, Doc("Its token.")]):
    """Anthropic's API behind our gateway."""
    return PARTS.provider("anthropic")(base_url=address, api_key=token)


class Files:
    def find(self, name):
        return {"gateway": "house-token-1234"}.get(name)


def tenants(*, loud: bool = False) -> int:
    """Say who our tenants are."""
    print("NORTH" if loud else "north")
    return 0


@hookimpl
def register_prices(register):
    register("house", HouseModels)


@hookimpl
def register_retries(register):
    register("by_tenant", by_tenant)


@hookimpl
def register_checks(register):
    register("redact", redact)


@hookimpl
def register_providers(register):
    register("gateway", gateway)


@hookimpl
def register_secrets(register):
    register("house", Files)


@hookimpl
def register_commands(register):
    register("tenants", tenants)


@hookimpl
def register_globals(register):
    register("greet", "{} and good day".format)


@hookimpl
def register_loaders(register):
    register("shelf", lambda *, name: {"ask": "{{ greet(id) }}: {{ text }}"}[name])
'''
JOB = """
version: 1
plugins: [house.py]
provider: {{type: gateway, address: "{url}", token: "${{secret:house:gateway}}"}}
jobs:
  triage:
    source: {{type: jsonl, path: in.jsonl, key: id, carry: [tenant]}}
    request: {{model: claude-haiku-4-5, max_tokens: 60, prompt: {{load: shelf, name: ask}}}}
    checks: [{{type: redact, word: hidden}}]
    retry: {{type: by_tenant, patient: [south], after: 1s}}
    sinks:
      - {{type: jsonl, path: out.jsonl}}
      - {{type: jsonl, path: dead.jsonl, on: dead}}
"""


@pytest.fixture
def house(simulate, shop_of):
    """A shop where everything but the source and the sinks is of the house; each row fails once."""
    shop = shop_of(simulate("row:good day:overloaded"))
    rows = [{"id": f"k-{n}", "tenant": tenant, "text": "rain"} for n, tenant in enumerate(["north", "south", "south"])]
    (shop.folder / "in.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (shop.folder / "batchflow.yaml").write_text(JOB.format(url=shop.sim.url))
    (shop.folder / "house.py").write_text(HOUSE)
    return shop


def test_a_job_is_made_of_parts_of_the_house(house):
    assert house("validate").code == 0
    said = house("run")
    assert said.code == 4, said.err
    good, dead = house.lines(), house.lines("dead.jsonl")
    assert {row["key"]: row["text"] for row in good} == {"k-1": "[hidden]", "k-2": "[hidden]"}  # the check
    assert [(row["key"], row["attempt"]) for row in dead] == [("k-0", 1)]  # the policy saw the carried column
    assert {row["attempt"] for row in good} == {2}
    money = house("ps", "--json").facts[0]["money"]
    assert money["listed"] > 0.02  # at the house's price, a thousand dollars per million tokens
    assert "k-1 and good day: rain" in house("show", "k-1").out  # the loader and the function
    assert "house-token" not in said.err + house("report", "--json").out


def test_a_plugins_price_is_reckoned_with_before_the_run(house):
    told = house("plan", "--json").facts[0]
    assert told["at_most"] == pytest.approx(told["list_at_most"] / 2)
    assert told["list_at_most"] > 3 * 60 * 1000.0 / 1e6 * 0.99


def test_a_command_of_a_plugin_can_be_typed(house):
    assert (house("tenants").out, house("tenants", "--loud").out) == ("north\n", "NORTH\n")


BAD_COMMANDS = """
from batchflow.plugin import hookimpl

def breaks():
    \"\"\"Break.\"\"\"
    raise RuntimeError("no ledger")

def chats():
    \"\"\"Chat.\"\"\"
    return "hello"

@hookimpl
def register_commands(register):
    register("breaks", breaks)
    register("chats", chats)
    register("run", chats)
"""


def test_a_command_that_fails_is_the_plugins_fault_and_not_ours(house):
    job = house.folder / "batchflow.yaml"
    job.write_text(job.read_text().replace("[house.py]", "[verbs.py, gone.py]"))
    (house.folder / "verbs.py").write_text(BAD_COMMANDS)
    (house.folder / "gone.py").write_text("import no_such_driver\n")
    said = house("breaks")
    assert said.code == Exit.PLUGIN
    assert "error: command `breaks` of plugin verbs (verbs.py) failed: RuntimeError: no ledger (" in said.err
    assert "verbs.py:6)" in said.err
    said = house("chats")
    assert said.code == Exit.PLUGIN
    assert "command `chats` of plugin verbs (verbs.py) failed: TypeError: it gave 'hello', not an exit code" in said.err
    said = house("ledger")
    assert said.code == Exit.USAGE
    assert "warning: plugin gone (gone.py) was left out: line 1: ModuleNotFoundError" in said.err
    assert "command `run`: batchflow has a verb of that name" in house("plugin", "check", "verbs").out


@pytest.mark.parametrize(
    ("kind", "name", "option"),
    [
        ("retry", "by_tenant", "patient: list of text"),
        ("check", "redact", "word: text (default redacted)"),
        ("provider", "gateway", "token: secret (required)"),
        ("loader", "shelf", "name: anything"),
        ("secret-store", "house", ""),
        ("prices", "house", ""),
    ],
)
def test_describe_and_schema_show_them(house, kind, name, option):
    assert option in house("describe", kind, name).out
    if kind in {"retry", "check", "provider"}:
        assert f'"{name}"' in house("schema").out
