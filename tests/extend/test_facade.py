"""Plugins come in through one door, are called through one face, and answer for their own mistakes."""

import importlib
import logging
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from batchflow.extend import facade
from batchflow.extend.deadline import VARIABLE
from batchflow.extend.facade import Plugins
from batchflow.extend.kinds import HOOKS, Kind
from batchflow.model.errors import PluginError, UnknownComponent
from batchflow.model.state import Event
from batchflow.plugin import hookimpl

EVENT = Event(id="e1", run="r1", at=0.0, kind="batch.ended")


def nothing(*, path: str = "") -> None: ...


def other(*, path: str = "") -> None: ...


class Brings:
    """A plugin that hands over what it is told to."""

    def __init__(self, **sinks):
        self.sinks = sinks

    @hookimpl
    def register_sinks(self, register):
        for name, factory in self.sinks.items():
            register(name, factory)


def plugins(*objects, **options):
    return Plugins(objects, entry_points=False, **options)


def test_the_built_in_parts_come_through_the_same_door():
    assert {"jsonl", "csv", "sqlite", "stdout"} <= set(plugins().sinks())
    assert all(offer.by.plugin == "batchflow.builtin" for offer in plugins().sinks().values())


def test_listing_what_there_is_imports_none_of_it():
    before = set(sys.modules)
    assert "jsonl" in plugins(Brings(far="no_such_module_anywhere:sink")).sinks()
    assert "no_such_module_anywhere" not in set(sys.modules) - before


def test_two_apps_have_two_sets_of_plugins():
    one, two = plugins(Brings(mine=nothing)), plugins()
    assert "mine" in one.sinks()
    assert "mine" not in two.sinks()


def test_a_factory_named_by_path_is_imported_when_it_is_asked_for():
    assert plugins(Brings(join="os.path:join")).sink("join") is __import__("os").path.join


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("no_such_module_anywhere:sink", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("os.path:no_such_thing", "AttributeError: module 'posixpath' has no attribute 'no_such_thing'"),
        ("os.path:sep", "os.path:sep cannot be called"),
    ],
)
def test_a_path_that_leads_nowhere_names_component_plugin_and_reason(path, reason):
    with pytest.raises(PluginError) as raised:
        plugins(Brings(far=path)).sink("far")
    assert raised.value.message == f"sink `far` of plugin Brings cannot be loaded from {path}: {reason}"


def test_a_later_plugin_replaces_a_name_with_a_notice():
    ours = plugins(Brings(jsonl=nothing))
    assert ours.sink("jsonl") is nothing
    assert [notice.text for notice in ours.notices] == ["sink `jsonl` of Brings replaces the one of batchflow.builtin"]


def test_an_unknown_name_is_answered_with_the_nearest_and_all_known_ones():
    with pytest.raises(UnknownComponent) as raised:
        plugins().sink("jsnol")
    assert raised.value.message == "there is no sink `jsnol`: did you mean `jsonl`? known: csv, jsonl, sqlite, stdout"
    assert raised.value.hint.startswith("type `batchflow describe sink`")


def test_a_misspelt_hook_is_refused_with_the_right_spelling():
    class Misspelt:
        @hookimpl
        def register_sink(self, register): ...

    with pytest.raises(PluginError, match=r"there is no hook `register_sink`: did you mean `register_sinks`"):
        plugins(Misspelt())


def test_an_async_hook_is_refused_because_nobody_would_await_it():
    class Async:
        @hookimpl
        async def on_event(self, event): ...

    with pytest.raises(PluginError, match=r"`on_event` is an async function: hooks are called without await"):
        plugins(Async())


def test_a_hook_without_its_marker_is_refused_because_it_would_never_be_called():
    class Unmarked:
        def register_sinks(self, register): ...

    with pytest.raises(PluginError, match=r"`register_sinks` lacks its `@hookimpl`"):
        plugins(Unmarked())


def test_a_wrapper_is_refused_because_every_plugin_is_called_by_itself():
    class Wraps:
        @hookimpl(wrapper=True)
        def on_event(self, event):
            yield

    with pytest.raises(PluginError, match=r"`on_event` is a wrapper"):
        plugins(Wraps())


def test_a_hook_with_an_argument_that_does_not_exist_is_refused():
    class Asks:
        @hookimpl
        def on_event(self, incident): ...

    with pytest.raises(PluginError, match=r"plugin Asks is refused: .*incident"):
        plugins(Asks())


def test_a_plugin_that_fails_while_registering_leaves_nothing_behind():
    class Half(Brings):
        @hookimpl
        def register_sources(self, register):
            register("good", nothing)

        @hookimpl
        def register_sinks(self, register):
            raise RuntimeError("no licence")

    with pytest.raises(PluginError, match=r"plugin Half failed in register_sinks: RuntimeError: no licence"):
        plugins(Half())


def test_the_same_object_handed_in_twice_counts_once():
    one = Brings(mine=nothing)
    assert plugins(one, one).notices == ()


def test_two_objects_of_one_class_both_count():
    assert set(plugins(Brings(a=nothing), Brings(b=other)).sinks()) >= {"a", "b"}


def test_later_price_books_are_asked_first():
    def ours(): ...

    class Prices:
        @hookimpl
        def register_prices(self, register):
            register("ours", ours)

    assert plugins(Prices()).prices()[0] is ours
    assert len(plugins(Prices()).prices()) == 2


def test_a_filter_that_cannot_be_loaded_is_missing_for_who_names_it_and_nobody_else(caplog):
    class Both:
        @hookimpl
        def register_filters(self, register):
            register("lost", "no_such_module:lost")
            register("upper_first", str.capitalize)

    both = plugins(Both())
    assert list(both.filters()) == [*plugins().filters(), "upper_first"]
    both.filters()
    assert caplog.text.count("filter `lost` of plugin Both cannot be loaded from no_such_module:lost") == 1


def test_filters_come_by_name():
    class Shouts:
        @hookimpl
        def register_filters(self, register):
            register("shout", str.upper)

    assert plugins(Shouts()).filters() == {"shout": str.upper}


def test_every_register_hook_belongs_to_one_kind():
    from batchflow.extend import hooks

    assert sorted(HOOKS.values()) == sorted(name for name in vars(hooks) if name.startswith("register_"))
    assert set(HOOKS) == set(Kind)


class Judges:
    def __init__(self, answer):
        self.answer = answer

    @hookimpl
    def check_job(self, job):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_problems_of_all_plugins_are_joined_and_attributed():
    found = plugins(Judges(["no tenant"]), Judges("one text"), Judges(None)).check_job(object())
    assert [one.message for one in found] == ["no tenant (says plugin Judges)", "one text (says plugin Judges)"]


def test_a_plugin_that_fails_to_judge_is_itself_a_problem():
    found = plugins(Judges(ZeroDivisionError("oops")), Judges(["bad"])).check_job(object())
    assert found[0].message == "plugin Judges failed in check_job: ZeroDivisionError: oops"
    assert found[1].message == "bad (says plugin Judges)"


class Hears:
    def __init__(self, heard, error=None):
        self.heard = heard
        self.error = error

    @hookimpl
    def on_event(self, event):
        self.heard.append(event.kind)
        if self.error:
            raise self.error


def test_an_error_in_on_event_is_attributed_and_the_others_still_hear(caplog):
    heard = []
    with caplog.at_level(logging.ERROR, "batchflow.plugins"):
        plugins(Hears(heard, RuntimeError("broken pager")), Hears(heard)).on_event(EVENT)
    assert heard == ["batch.ended", "batch.ended"]
    assert "plugin Hears failed in on_event at batch.ended" in caplog.text
    assert "broken pager" in caplog.text


class Knows:
    @hookimpl
    def on_event(self, event, job):
        self.told = (event.kind, job)


def test_on_event_tells_of_which_job_to_whom_it_matters():
    knows, heard = Knows(), []
    plugins(knows, Hears(heard)).on_event(EVENT, "triage")
    assert knows.told == ("batch.ended", "triage")
    assert heard == ["batch.ended"]


class Chooses:
    def __init__(self, answer):
        self.answer = answer

    @hookimpl
    def choose_poll_delay(self, age):
        return self.answer


def test_the_latest_plugin_with_an_answer_chooses_the_poll_delay():
    assert plugins().choose_poll_delay(age=1, default=30) == 30
    assert plugins(Chooses(5)).choose_poll_delay(age=1, default=30) == 5
    assert plugins(Chooses(5), Chooses(7), Chooses(None)).choose_poll_delay(age=1, default=30) == 7


@pytest.mark.parametrize("chosen", [0, -5, float("nan"), float("inf"), 90_000])
def test_nobody_is_asked_all_the_time_or_never_again(chosen, caplog):
    assert plugins(Chooses(7), Chooses(chosen)).choose_poll_delay(age=1, default=30) == 7
    assert "plugin Chooses failed in choose_poll_delay: ValueError" in caplog.text
    assert "one second to a day" in caplog.text


def test_one_that_fails_to_choose_has_no_answer_and_is_named_once(caplog):
    failing = plugins(Chooses("soon"))
    for _ in range(3):
        assert failing.choose_poll_delay(age=1, default=30) == 30
    assert caplog.text.count("plugin Chooses failed in choose_poll_delay: ValueError") == 1


def test_one_that_hangs_while_it_chooses_is_asked_once(monkeypatch, caplog):
    monkeypatch.setattr(facade, "QUICK", 0.1)
    asked = []

    class Broods:
        @hookimpl
        def choose_poll_delay(self):
            asked.append(1)
            threading.Event().wait()

    brooding = plugins(Chooses(7), Broods())
    assert [brooding.choose_poll_delay(age=1, default=30) for _ in range(3)] == [7, 7, 7]
    assert asked == [1]
    assert "plugin Broods failed in choose_poll_delay: it did not come back within 0.1 s (it is at " in caplog.text


def test_one_that_hangs_while_it_judges_is_a_problem_of_the_job(monkeypatch):
    monkeypatch.setenv(VARIABLE, "0.1s")

    class Broods:
        @hookimpl
        def check_job(self):
            threading.Event().wait()

    [found] = plugins(Broods()).check_job(object())
    assert found.message.startswith("plugin Broods failed in check_job: it did not come back within 0.1 s")


def test_in_the_middle_of_an_import_nothing_waits_for_that_import(tmp_path, monkeypatch):
    """A package that makes its app while it is imported, and whose plugin is in it."""
    package = tmp_path / "batchflow_circle"
    package.mkdir()
    (package / "parts.py").write_text("from batchflow.plugin import hookimpl\nimport batchflow_circle\n")
    (package / "__init__.py").write_text(
        "from batchflow.extend.deadline import within\nfrom importlib import import_module\n"
        "PARTS = within(5.0, lambda: import_module('batchflow_circle.parts'))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    began = time.monotonic()
    assert importlib.import_module("batchflow_circle").PARTS.hookimpl is hookimpl
    assert time.monotonic() - began < 4


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs distributions: real metadata and modules on sys.path."""

    def install(distribution, module, source, value=""):
        info = tmp_path / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[batchflow]\n{module} = {value or module}\n")
        (tmp_path / f"{module}.py").write_text(source)
        monkeypatch.delitem(sys.modules, module, raising=False)

    monkeypatch.syspath_prepend(tmp_path)
    return install


GOOD = "from batchflow.plugin import hookimpl\n@hookimpl\ndef register_sinks(register): register('good', print)\n"


def test_an_installed_distribution_is_taken_in_by_its_entry_point(installed):
    installed("batchflow-good", "good_plugin", GOOD)
    offer = Plugins().sinks()["good"]
    assert str(offer.by) == "good_plugin (batchflow-good 1.2)"


def test_an_entry_point_may_name_a_class_which_each_app_makes_for_itself(installed):
    kept = "from batchflow.plugin import hookimpl\nclass Kept:\n    told = None\n    @hookimpl\n    def on_event(self, event): self.told.append(event)\n    def __init__(self): self.told = []\n    @hookimpl\n    def register_sinks(self, register): register('kept', lambda: self)\n"
    installed("batchflow-kept", "kept_plugin", kept, "kept_plugin:Kept")
    one, other = Plugins(), Plugins()
    one.on_event(EVENT)
    assert one.sink("kept")().told == [EVENT]
    assert other.sink("kept")().told == []


def test_a_distribution_that_fails_at_import_is_recorded_and_the_others_go_on(installed):
    installed("batchflow-bad", "bad_plugin", "import no_such_driver")
    installed("batchflow-good", "good_plugin", GOOD)
    ours = Plugins()
    assert [str(broken) for broken in ours.broken] == [
        "plugin bad_plugin (batchflow-bad 1.2) was left out: ModuleNotFoundError: No module named 'no_such_driver'"
    ]
    assert "good" in ours.sinks()
    with pytest.raises(UnknownComponent, match=r"plugin bad_plugin \(batchflow-bad 1.2\) was left out"):
        ours.sink("bad")


def test_an_installed_plugin_with_a_misspelt_hook_is_recorded(installed):
    installed("batchflow-bad", "bad_plugin", GOOD.replace("register_sinks", "register_sink"))
    [broken] = Plugins().broken
    assert "there is no hook `register_sink`: did you mean `register_sinks`" in broken.reason


@pytest.mark.parametrize("denied", ["good_plugin", "batchflow-good"])
def test_a_denied_distribution_is_not_even_imported(installed, denied):
    installed("batchflow-good", "good_plugin", GOOD)
    ours = Plugins(deny=[denied])
    assert "good" not in ours.sinks()
    assert "good_plugin" not in sys.modules
    assert [str(denied) for denied in ours.denied] == [
        "plugin good_plugin (batchflow-good 1.2) was not loaded: it is denied"
    ]


def test_without_entry_points_nothing_installed_is_imported(installed):
    installed("batchflow-bad", "bad_plugin", "import no_such_driver")
    assert Plugins(entry_points=False).broken == ()


def test_a_namespace_serves_as_a_plugin_too():
    @hookimpl
    def register_sinks(register):
        register("spare", nothing)

    assert "spare" in plugins(SimpleNamespace(register_sinks=register_sinks)).sinks()
