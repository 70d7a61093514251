"""The hook as an app calls it."""

import logging

from batchflow import Plugins
from batchflow.plugin import Event

import your_plugin


def test_it_notes_what_a_run_did(caplog):
    plugins = Plugins([your_plugin], entry_points=False)
    with caplog.at_level(logging.INFO, logger="your_plugin"):
        plugins.on_event(Event(id="e1", run="r1", at=0.0, kind="run.done", text="200 delivered"), job="animals")
    assert caplog.messages == ["animals, run r1: run.done 200 delivered"]
