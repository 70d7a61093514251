"""Plugins that are files: loaded afresh by each app, without a place on `sys.path`, and contained when they are broken."""

import sys

import pytest

from batchflow.extend.deadline import VARIABLE
from batchflow.extend.facade import Plugins
from batchflow.model.errors import UnknownComponent

GOOD = "from batchflow.plugin import hookimpl\n@hookimpl\ndef register_sinks(register): register('{0}', print)\n"


@pytest.fixture
def house(tmp_path):
    """Write plugin files, and load some of them."""

    def load(*names, **options):
        return Plugins(entry_points=False, files={name: tmp_path / name for name in names}, **options)

    def write(name, text):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    load.write = write
    return load


def test_a_file_is_a_plugin_and_is_named_by_its_path(house):
    house.write("a.py", GOOD.format("lake"))
    plugins = house("a.py")
    assert str(plugins.sinks()["lake"].by) == "a (a.py)"


def test_two_files_of_one_name_are_two_plugins(house):
    house.write("one/sinks.py", GOOD.format("lake"))
    house.write("two/sinks.py", GOOD.format("pond"))
    plugins = house("one/sinks.py", "two/sinks.py")
    assert {"lake", "pond"} <= set(plugins.sinks())
    assert [taken.by.file for taken in plugins.taken[1:]] == ["one/sinks.py", "two/sinks.py"]


def test_a_file_may_import_its_neighbour_and_sys_path_stays_as_it_was(house):
    house.write("words.py", "NAME = 'lake'\n")
    house.write("a.py", "from .words import NAME\n" + GOOD.replace("'{0}'", "NAME"))
    before = [*sys.path]
    assert "lake" in house("a.py").sinks()
    assert sys.path == before
    assert not {"a", "words"} & set(sys.modules)


def test_nothing_is_shared_between_apps(house):
    house.write("a.py", GOOD.format("lake") + "SEEN = []\n")
    one = house("a.py")
    house.write("a.py", GOOD.format("a_sea_of_another_size"))
    other = house("a.py")
    assert "lake" in one.sinks()
    assert "lake" not in other.sinks()
    assert "a_sea_of_another_size" in other.sinks()


HOOK = """
import threading
from batchflow.plugin import hookimpl

@hookimpl
def register_sinks(register):
"""
MUTE = """class Mute(Exception):
    def __str__(self):
        return 1 / 0
raise Mute()
"""
NAMELESS = "a sink is registered under a name, a text without spaces, and this is"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import sys\nimport no_such_driver\n", "line 2: ModuleNotFoundError: No module named 'no_such_driver'"),
        ("def broken(:\n", "line 1: SyntaxError: invalid syntax"),
        ("import sys\n\nsys.exit(3)\n", "line 3: SystemExit: 3"),
        ("raise GeneratorExit('x')\n", "line 1: GeneratorExit: x"),
        ("raise KeyboardInterrupt('x')\n", "line 1: KeyboardInterrupt: x"),
        (
            "import threading\nthreading.Event().wait()\n",
            "it did not come back within 0.5 s (it is at {folder}/bad.py:2)",
        ),
        (
            f"{HOOK}    threading.Event().wait()\n",
            "failed in register_sinks: it did not come back within 0.5 s (it is at {folder}/bad.py:7)",
        ),
        (f"{HOOK}    register(3, dict)\n", f"failed in register_sinks: TypeError: {NAMELESS} 3"),
        (f"{HOOK}    register('', dict)\n", f"failed in register_sinks: TypeError: {NAMELESS} ''"),
        (f"{HOOK}    register('two words', dict)\n", f"failed in register_sinks: TypeError: {NAMELESS} 'two words'"),
        (
            f"async def later(): pass\n{HOOK}    return later()\n",
            (
                "failed in register_sinks: TypeError: it gave a coroutine, which nobody awaits: a part is handed over by "
                "`register(name, factory)`"
            ),
        ),
        ("def f():\n    raise KeyError('x')\nf()\n", "line 2: KeyError: 'x'"),
        (MUTE, "line 4: Mute: (its text cannot be had: ZeroDivisionError)"),
        (
            f"{MUTE.replace('raise Mute()', '')}{HOOK}    raise Mute()\n",
            "failed in register_sinks: Mute: (its text cannot be had: ZeroDivisionError)",
        ),
        (MUTE.replace("(Exception)", "(BaseException)"), "line 4: Mute: (its text cannot be had: ZeroDivisionError)"),
    ],
)
def test_a_file_that_fails_is_told_with_its_line_and_the_others_go_on(house, text, reason, monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, "0.5s")
    house.write("bad.py", text)
    house.write("good.py", GOOD.format("lake"))
    plugins = house("bad.py", "good.py")
    assert [broken.reason for broken in plugins.broken] == [reason.replace("{folder}", str(tmp_path))]
    assert "lake" in plugins.sinks()
    with pytest.raises(UnknownComponent, match=r"plugin bad \(bad.py\) was left out"):
        plugins.sink("of the bad one")


def test_what_is_not_allowed_is_not_imported(house):
    house.write("a.py", "raise RuntimeError('imported')\n")
    plugins = house("a.py", allow=["b"])
    assert [str(denied) for denied in plugins.denied] == ["plugin a (a.py) was not loaded: it is not among the allowed"]
    assert not plugins.broken


def test_who_replaced_whom_is_remembered_in_the_order_of_loading(house):
    house.write("a.py", GOOD.format("jsonl"))
    house.write("b.py", GOOD.format("jsonl"))
    plugins = house("a.py", "b.py")
    offer = plugins.sinks()["jsonl"]
    assert [str(by) for by in (*offer.instead_of, offer.by)] == ["batchflow.builtin", "a (a.py)", "b (b.py)"]
    assert len(plugins.notices) == 2
