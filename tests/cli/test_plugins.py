"""Plugins of a job file, as the command line sees them: found, contained, listed, checked, kept out."""

import json
import re

import pytest

from batchflow.cli.exits import Exit
from batchflow.config.plugging import ALLOW, DENY
from batchflow.extend.deadline import VARIABLE

LAKE = '''
from typing import Annotated

from batchflow.plugin import Doc, hookimpl


class Lake:
    promise = "at_least_once"

    async def open(self, context, last):
        pass

    async def write(self, part):
        return {"rows": [row.key async for rows in part.rows for row in rows]}

    async def close(self):
        pass


def lake(*, depth: Annotated[int, Doc("How deep.")] = 3) -> Lake:
    """A lake."""
    return Lake()


@hookimpl
def register_sinks(register):
    register("lake", lake)
'''


@pytest.fixture
def house(shop):
    """A job that needs a plugin beside one that needs none, and room for plugin files."""

    def write(section="[./plugins/*.py]", **files):
        (shop.folder / "plugins").mkdir(exist_ok=True)
        for name, text in files.items():
            (shop.folder / "plugins" / f"{name}.py").write_text(text)
        shop.write(more="  - {type: lake}")
        job = shop.folder / "batchflow.yaml"
        plain = (
            job.read_text()
            .partition("  triage:\n")[2]
            .replace("      - {type: lake}\n", "")
            .replace("out.jsonl", "2.jsonl")
        )
        plain = plain.replace("dead.jsonl", "dead2.jsonl")
        job.write_text(f"plugins: {section}{job.read_text()}  plain:\n{plain}")

    return write


def test_a_job_uses_a_plugin_that_lies_beside_it(shop, house):
    house(house=LAKE)
    assert shop("validate").code == Exit.DELIVERED
    assert shop("plan").code == Exit.DELIVERED
    assert shop("run").code == Exit.DELIVERED
    assert "depth: whole number" in shop("describe", "sink", "lake").out
    assert '"lake"' in shop("schema").out
    last = shop("show", "k-1")
    assert last.code == Exit.DELIVERED, last.err


def test_a_file_that_cannot_be_imported_stops_only_the_job_that_needs_it(shop, house):
    house(house=f"import no_such_driver\n{LAKE}")
    said = shop("validate")
    assert said.code == Exit.CONFIG
    assert (
        "batchflow.yaml:1:11: warning: plugin house (plugins/house.py) was left out: line 1: ModuleNotFoundError"
        in said.err
    )
    assert "there is no sink `lake`" in said.err
    assert shop("run", "triage").code == Exit.CONFIG
    assert shop.asked == 0
    assert shop("run", "plain").code == Exit.DELIVERED
    assert len(shop.lines("2.jsonl")) == 4


def test_what_a_plugin_prints_while_it_is_loaded_is_in_no_json(shop, house):
    chatty = LAKE.replace("@hookimpl\n", "print('imported')\n@hookimpl\n") + "    print('asked')\n"
    house(house=chatty)
    listed = shop("plugin", "list", "--json")
    assert json.loads(listed.out)
    assert listed.err.count("imported") == listed.err.count("asked") == 1
    assert json.loads(shop("validate", "--json").out)["ok"]
    assert json.loads(shop("schema").out)


FACTORY = "    return Lake()"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (LAKE, "import no_such_driver", "there is no sink `lake`"),
        (FACTORY, "    raise RuntimeError('dry')", "could not be made: RuntimeError: dry"),
        (FACTORY, "    raise SystemExit(3)", "could not be made: SystemExit: 3"),
        (FACTORY, "    pass", "could not be made: it gave None, not a sink; is a `return` missing?"),
        ("\ndef lake", "\nasync def lake", "could not be made: it is an async function, and is called without await"),
        (FACTORY, "    return object()", "`sinks[2]` is an object of type builtins.object"),
        (
            '"lake", lake',
            '"lake", "no_such_module:lake"',
            "cannot be loaded from no_such_module:lake: ModuleNotFoundError",
        ),
    ],
    ids=["import", "raises", "exits", "none", "async", "object", "path"],
)
def test_the_other_job_of_the_command_runs_and_the_culprit_is_named(shop, house, old, new, why):
    house(house=LAKE.replace(old, new))
    plan = shop("plan")
    assert plan.code == (Exit.PLUGIN if "sinks[2]" not in why else Exit.DELIVERED), plan.err
    said = shop("run")
    assert said.code == Exit.PLUGIN, said.err
    assert len(shop.lines("2.jsonl")) == shop.asked == 4
    assert why in said.err
    assert "plugin house (plugins/house.py)" in said.err or "sinks[2]" in why
    assert "job triage" in said.err.splitlines()[-2]
    (shop.folder / "plugins" / "house.py").write_text(LAKE)
    assert shop("run").code == Exit.DELIVERED
    assert shop.asked == 8


FIRST = """
import sys
import threading

from batchflow.plugin import Page, Record, hookimpl


class Tap:
    def read(self, after):
        yield Page([Record(key=f"k{n}", data={"text": "x"}, origin=f"n:{n}") for n in range(4)], {"n": 4})

    def fingerprint(self):
        return "tap"

    def build(self, record):
        return {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": record.data["text"]}]}


@hookimpl
def register_sources(register):
    register("tap", Tap)


@hookimpl
def register_builders(register):
    register("tap", Tap)


@hookimpl
def register_sinks(register):
    register("lake", Tap)
"""
PAGE = '        yield Page([Record(key=f"k{n}", data={"text": "x"}, origin=f"n:{n}") for n in range(4)], {"n": 4})'
REQUEST = (
    '        return {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": record.data["text"]}]}'
)


@pytest.mark.parametrize("what", ["source", "request"])
@pytest.mark.parametrize(
    ("does", "why"),
    [
        ("raise RuntimeError('dry')", "RuntimeError: dry"),
        ("sys.exit(0)", r"SystemExit\(0\)"),
        ("raise KeyboardInterrupt", r"KeyboardInterrupt\(\)"),
        ("threading.Event().wait()", r"did not come back within 0\.5 s"),
        ("return 7", r"7 \(int\)|'int' object is not iterable"),
    ],
    ids=["raises", "exits", "interrupts", "hangs", "wrong"],
)
def test_what_breaks_while_it_is_tried_keeps_no_other_job_of_the_command(shop, house, what, does, why):
    """The first records are read and built before anything is sent: whoever fails there takes its own job with it."""
    old = PAGE if what == "source" else REQUEST
    house(house=FIRST.replace(old, f"        {does}"))
    job = shop.folder / "batchflow.yaml"
    head, plain = job.read_text().partition("  triage:\n")[0], job.read_text().partition("  plain:\n")[2]
    own = "{type: tap}" if what == "source" else "{type: jsonl, path: in.jsonl, key: id}"
    asks = '{model: claude-haiku-4-5, max_tokens: 9, prompt: "{{ text }}"}' if what == "source" else "{type: tap}"
    job.write_text(
        f"{head}  triage:\n    source: {own}\n    request: {asks}\n    plugin_timeout: 0.5s\n"
        "    sinks: [{type: jsonl, path: 3.jsonl}]\n"
        f"  plain:\n{plain}"
    )
    said = shop("run")
    assert said.code == Exit.PLUGIN, said.err
    assert len(shop.lines("2.jsonl")) == shop.asked == 4
    assert "house.Tap (plugins/house.py)" in said.err
    assert re.search(why, said.err), said.err
    assert "job triage" in said.err.splitlines()[-2]
    assert shop("validate").code == Exit.CONFIG


VAULT = """
import threading
from batchflow.plugin import hookimpl

class Vault:
    def find(self, name):
        threading.Event().wait()

def vault():
    \"\"\"A vault.\"\"\"
    return Vault()

@hookimpl
def register_secrets(register):
    register("vault", vault)
"""


@pytest.mark.parametrize(
    ("plugin", "why"),
    [
        (
            VAULT,
            "job triage: secret store `vault` of plugin house (plugins/house.py) failed to look up `k`: it did not come back",
        ),
        ("import no_such_driver", "there is no secret store `vault`"),
    ],
    ids=["hangs", "import"],
)
def test_a_secret_store_that_is_broken_takes_down_only_who_asks_it(shop, house, monkeypatch, plugin, why):
    monkeypatch.setenv(VARIABLE, "0.2s")
    house(house=plugin)
    job = shop.folder / "batchflow.yaml"
    mine = f'provider: {{base_url: "{shop.sim.url}", api_key: "${{secret:vault:k}}"}}'
    job.write_text(job.read_text().replace("      - {type: lake}\n", f"    {mine}\n"))
    said = shop("run")
    assert said.code == Exit.PLUGIN, said.err
    assert why in said.err
    assert len(shop.lines("2.jsonl")) == shop.asked == 4


def test_what_a_factory_raises_is_told_by_validate_with_everything_else(shop, house):
    house(house=LAKE.replace(FACTORY, "    raise RuntimeError('dry')"))
    job = shop.folder / "batchflow.yaml"
    job.write_text(job.read_text().replace("max_tokens", "max_token", 1))
    said = shop("validate")
    assert said.code == Exit.CONFIG
    assert "sink `lake` of plugin house (plugins/house.py) could not be made: RuntimeError: dry" in said.err
    assert "max_token" in said.err
    assert "3 problems" in said.err


def test_a_price_book_that_cannot_be_made_is_named(shop, house):
    house(
        house="""
from batchflow.plugin import hookimpl

def book():
    raise RuntimeError("no book")

@hookimpl
def register_prices(register):
    register("ours", book)
"""
    )
    said = shop("run", "plain")
    assert said.code == Exit.PLUGIN
    assert "house.book (plugins/house.py) failed when it was made: RuntimeError: no book" in said.err
    assert shop.asked == 0


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("source", "source: {type: lake}"),
        ("builder", "request: {type: lake}"),
        ("check", "checks: [{type: lake}]"),
        ("retry", "retry: {type: lake}"),
        ("sink", "sinks: [{type: lake}]"),
        ("provider", "provider: {type: lake}"),
    ],
)
def test_whatever_the_broken_plugin_was_to_bring_only_its_job_is_refused(shop, house, kind, part):
    house(house="import no_such_driver")
    job = shop.folder / "batchflow.yaml"
    whole = job.read_text().replace("      - {type: lake}\n", "")
    key = part.partition(":")[0]
    at = whole.index("  triage:\n") + len("  triage:\n")
    end = whole.index("  plain:\n")
    kept = [line for line in whole[at:end].splitlines() if not line.startswith(f"    {key}:")]
    if key == "sinks":
        kept = [line for line in kept if not line.startswith("      - ")]
    job.write_text(f"{whole[:at]}{chr(10).join([f'    {part}', *kept])}\n{whole[end:]}")
    said = shop("validate")
    assert said.code == Exit.CONFIG
    assert f"there is no {kind} `lake`" in said.err
    assert "plugin house (plugins/house.py) was left out: line 1: ModuleNotFoundError" in said.err
    assert shop("validate", "plain").code == Exit.DELIVERED


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("[./plugins/hose.py]", ":1:11: plugin file ./plugins/hose.py does not exist"),
        ("[./plugs/*.py]", ":1:11: no plugin file matches ./plugs/*.py"),
        ("[./plugins]", ":1:11: ./plugins is a folder"),
        ("[in.jsonl]", ":1:11: in.jsonl is no plugin: its name should end in .py"),
        ("{flies: []}", ":1:11: unknown option `flies`"),
        ("house", ":1:10: `plugins` should be a map"),
        (
            "{files: [./plugins/*.py], deny: [hose]}",
            ":1:42: warning: there is no plugin `hose`: did you mean `house`?",
        ),
    ],
)
def test_a_slip_in_the_section_is_pointed_at(shop, house, section, said):
    house(section, house=LAKE)
    assert f"batchflow.yaml{said}" in shop("validate").err


def test_whoever_runs_the_machine_may_keep_plugins_out(shop, house, monkeypatch):
    house(house="raise RuntimeError('imported')")
    monkeypatch.setenv(DENY, "house, other")
    said = shop("validate")
    assert "not loaded, for it is denied by BATCHFLOW_PLUGINS_DENY: house (plugins/house.py)" in said.err
    assert "imported" not in said.err
    monkeypatch.delenv(DENY)
    monkeypatch.setenv(ALLOW, "")
    assert "imported" not in shop("validate").err


def test_the_files_of_a_job_file_need_not_be_allowed_by_it(shop, house):
    house("{files: [./plugins/*.py], allow: [batchflow-s3]}", house=LAKE)
    assert shop("validate").code == Exit.DELIVERED


@pytest.mark.parametrize(("verb", "code"), [("validate", Exit.CONFIG), ("plan", Exit.PLUGIN), ("run", Exit.PLUGIN)])
def test_without_plugins_none_is_imported(shop, house, verb, code):
    house(house="open('imported', 'w')")
    said = shop(verb, "--no-plugins")
    assert said.code == code
    assert "no plugin is allowed by `--no-plugins`" in said.err
    assert not (shop.folder / "imported").exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["resume", "plain"], Exit.DELIVERED),
        (["retry", "plain", "--only", "invalid"], Exit.USAGE),  # there are none
        (["replay", "plain", "--sink", "jsonl"], Exit.PAUSED),  # its file is there already
        (["cancel", "plain"], Exit.DELIVERED),
        (["reconcile", "plain"], Exit.DELIVERED),
        (["show", "k-1", "--run", "plain"], Exit.DELIVERED),
        (["results", "plain"], Exit.DELIVERED),
        (["doctor", "plain", "--repair"], Exit.DELIVERED),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_no_verb_that_goes_on_with_a_run_needs_the_plugins(shop, house, words, code):
    """A plugin that hangs must not stand between a person and a run that needs nothing of it."""
    house(house=LAKE)
    left = words[0] in {"resume", "cancel"}
    assert shop("run", "plain", *(["--no-wait"] if left else [])).code in {Exit.DELIVERED, Exit.IN_FLIGHT}
    (shop.folder / "plugins" / "house.py").write_text(
        f"import pathlib; pathlib.Path({str(shop.folder / 'imported')!r}).touch()"
    )
    said = shop(*words, "--no-plugins")
    assert said.code == code, said.err
    assert not (shop.folder / "imported").exists()
    shop(*words)
    assert (shop.folder / "imported").exists() or words[0] in {
        "resume",
        "cancel",
        "reconcile",
        "doctor",
    }  # they are done


@pytest.mark.parametrize("words", [["ps"], ["report"], ["doctor"], ["gc"], ["pause"]], ids=" ".join)
def test_who_only_looks_imports_no_plugin_that_is_not_needed(shop, house, words):
    house("[./plugins/house.py]", house=LAKE)
    assert shop("run").code == Exit.DELIVERED
    (shop.folder / "plugins" / "house.py").write_text("open('imported', 'w')")
    shop(*words)
    assert not (shop.folder / "imported").exists()


def test_a_replaced_part_is_noticed_by_the_person(shop, house):
    house(house=LAKE.replace('register("lake"', 'register("csv", lake)\n    register("lake"'))
    for verb in ("validate", "plan", "run"):
        assert "sink `csv` of house (plugins/house.py) replaces the one of batchflow.builtin" in shop(verb).err


def test_plugins_are_listed_in_load_order_with_those_left_out(shop, house):
    house("{files: [./plugins/*.py], deny: [shy], allow: []}", house=LAKE, bad="1 / 0", shy=LAKE)
    listed = shop("plugin", "list", "--json").facts
    told = {one["name"]: one for one in listed if not one.get("distribution")}
    assert [one["name"] for one in listed if "order" in one] == ["batchflow.builtin", "house"]
    assert told["house"] == {"name": "house", "file": "plugins/house.py", "order": 2, "brings": ["sink lake"]}
    assert told["bad"]["broken"] == "line 1: ZeroDivisionError: division by zero"
    assert told["shy"]["denied"] == "it is denied by batchflow.yaml"
    lines = shop("plugin", "list").out
    assert " 2  house " in lines
    assert "broken: line 1" in lines


def test_a_sound_plugin_passes_the_check(shop, house):
    house(house=LAKE)
    said = shop("plugin", "check", "house")
    assert (said.code, said.out) == (Exit.DELIVERED, "house (plugins/house.py): sound\n")
    assert shop("plugin", "check", "plugins/house.py").code == Exit.DELIVERED


FUNCTIONS = """
from batchflow.plugin import hookimpl

{a}def grade(score: float, /, *more):
    return "fair"

{b}def quoted(text):
    return text

@hookimpl
def register_globals(register):
    register("grade", grade)

@hookimpl
def register_filters(register):
    register("quoted", quoted)
"""


def test_functions_for_templates_are_no_configuration_and_must_not_be_async(shop, house):
    house(house=FUNCTIONS.format(a="", b=""))
    assert shop("plugin", "check", "house").out == "house (plugins/house.py): sound\n"
    for a, b, which in (("async ", "", "global `grade`"), ("", "async ", "filter `quoted`")):
        # Python takes a file of the same second and size for the one that it knows: let the sizes differ.
        house(house=FUNCTIONS.format(a=a, b=b) + f"# {which}\n")
        said = shop("plugin", "check", "house")
        assert said.code == Exit.PLUGIN
        assert f"{which}: it is async, and templates await nothing: make it a plain `def`" in said.out


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('Annotated[int, Doc("How deep.")]', "int", "sink `lake`: parameter `depth` has no help"),
        (': Annotated[int, Doc("How deep.")]', "", "sink `lake`: parameter `depth` has no type"),
        ('    """A lake."""\n', "", "sink `lake`: the factory has no docstring"),
        ("async def close", "async def clse", "sink `lake`: Lake has no method `close`"),
        ("def lake(*, ", "def lake(where, /, *, ", "parameter `where` has no name in a job file"),
        ('Annotated[int, Doc("How deep.")]', "'integer'", "the signature of"),
        ("def register_sinks", "def register_sink", "there is no hook `register_sink`: did you mean `register_sinks`"),
        ("def register_sinks", "async def register_sinks", "`register_sinks` is an async function"),
        (
            "def register_sinks(register)",
            "def register_sinks(regster)",
            "`register_sinks` takes `regster`, which the hook does not give: did you mean `register`",
        ),
        ("@hookimpl\n", "", "`register_sinks` lacks its `@hookimpl`"),
        ('register("lake", lake)', 'register("lake", "nowhere:lake")', "cannot be loaded from nowhere:lake"),
        (
            'register("lake", lake)',
            'register("lake", 7)',
            "TypeError: a factory is a function, a class or `module:attribute`, and this is 7",
        ),
        ('register("lake", lake)', 'raise OSError("no")', "failed in register_sinks: OSError: no"),
        ("from typing", "import nowhere\nfrom typing", "ModuleNotFoundError"),
    ],
)
def test_the_check_names_what_is_wrong(shop, house, old, new, fault):
    assert old in LAKE
    house(house=LAKE.replace(old, new))
    said = shop("plugin", "check", "house", "--json")
    assert said.code == Exit.PLUGIN
    [told] = said.facts
    assert not told["ok"]
    assert any(fault in one for one in told["faults"]), told["faults"]


def test_a_plugin_that_nobody_knows_is_answered_with_the_nearest(shop, house):
    house(house=LAKE)
    said = shop("plugin", "check", "hose")
    assert said.code == Exit.CONFIG
    assert "did you mean `house`" in said.err


def test_why_says_who_brings_each_part(shop, house):
    house(house=LAKE.replace('register("lake"', 'register("jsonl", lake)\n    register("lake"'))
    shop.folder.joinpath("batchflow.yaml").write_text(
        shop.folder.joinpath("batchflow.yaml")
        .read_text()
        .replace(", path: 2.jsonl", "")
        .replace(", path: dead2.jsonl", "")
    )
    [told] = shop("plugin", "why", "plain", "--json").facts
    parts = {one["part"]: one for one in told["parts"]}
    assert parts["source"]["by"] == "batchflow.builtin"
    assert parts["request"]["type"] == "template"
    assert parts["sink jsonl"]["by"] == "house (plugins/house.py)"
    assert parts["sink jsonl"]["instead_of"] == ["batchflow.builtin"]
    assert "in place of batchflow.builtin" in shop("plugin", "why", "plain").out


STUCK = LAKE.replace(
    "        return {",
    """        import threading

        from anyio import to_thread

        await to_thread.run_sync(threading.Event().wait)
        return {""",
)


def test_a_sink_stuck_in_a_thread_keeps_neither_the_other_job_nor_the_process(shop, house):
    """As a process of its own: Python waits for such a thread when it ends."""
    house(house=STUCK)
    job = shop.folder / "batchflow.yaml"
    job.write_text(job.read_text().replace("sinks:", "plugin_timeout: 1s\n    sinks:", 1))
    process = shop.cold("run")  # no fork: a fork of the tests ends in its own way
    said = process.communicate(timeout=60)[1]
    assert process.returncode == Exit.PAUSED, said
    assert "house.Lake (plugins/house.py) did not come back within 1 s while it wrote part" in said
    assert len(shop.lines("2.jsonl")) == 4
    (shop.folder / "plugins" / "house.py").write_text(LAKE)
    assert shop("resume", "triage").code == Exit.DELIVERED
    assert shop.asked == 8


DESK = '''
from typing import Annotated

from batchflow.plugin import Doc, hookimpl


def desk(*, drawer: Annotated[str, Doc("Which drawer.")]) -> str:
    """A text from the desk."""
    return f"{drawer}: {{{{ text }}}}"


class Safe:
    def find(self, name):
        return "hunter2"


def safe() -> Safe:
    """A safe."""
    return Safe()


@hookimpl
def register_loaders(register):
    register("desk", desk)


@hookimpl
def register_secrets(register):
    register("safe", safe)
'''


def test_why_names_what_lies_beneath_a_job_too(shop, house):
    house("[./plugins/*.py]\nsecrets: {safe: {}}\nstate: {objects: {type: folder, path: blobs}}", house=LAKE, desk=DESK)
    job = shop.folder / "batchflow.yaml"
    job.write_text(re.sub(r'prompt: "[^"]*"', "prompt: {load: desk, drawer: top}", job.read_text()))
    [told] = shop("plugin", "why", "triage", "--json").facts
    parts = {one["part"]: (one["type"], one["by"]) for one in told["parts"] + told["shared"]}
    assert parts["request, load"] == ("desk", "desk (plugins/desk.py)")
    assert parts["secrets safe"] == ("safe", "desk (plugins/desk.py)")
    assert parts["objects"] == ("folder", "batchflow.builtin")
    assert parts["state"] == ("sqlite", "batchflow.builtin")
    assert "secrets safe" in shop("plugin", "why", "triage").out
