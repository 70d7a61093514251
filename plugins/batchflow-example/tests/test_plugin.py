"""The plugin as an app sees it: found by its entry point, loaded when it is needed, told what happens."""

import logging
import sys

from batchflow.extend.facade import Plugins
from batchflow.plugin import Event


def test_an_app_finds_it_by_its_entry_point():
    plugins = Plugins()
    assert not plugins.broken
    assert plugins.sinks()["webhook"].by.distribution == "batchflow-example"
    assert plugins.builders()["question"].by.distribution == "batchflow-example"


def test_its_parts_are_made_from_their_options():
    plugins = Plugins()
    assert plugins.sink("webhook")(url="https://example.org/rows").promise == "at_least_once"
    assert plugins.builder("question")(ask="?", column="text", model="m").problems(None, version="") == []


def test_it_notes_what_a_run_did(caplog):
    with caplog.at_level(logging.INFO, logger="batchflow_example"):
        Plugins().on_event(Event(id="e1", run="r1", at=0.0, kind="run.done", text="200 records delivered"))
    assert caplog.messages == ["run r1: run.done 200 records delivered"]


def test_an_app_that_does_not_use_a_part_does_not_import_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "batchflow_example.webhook", raising=False)
    Plugins().sinks()
    assert "batchflow_example.webhook" not in sys.modules
