"""An example plugin: a sink, a request builder and a hook, each in a module of its own.

Installed distributions are found by their entry point in the group `batchflow`; ours names this module. Factories are
named by path, so that an app which uses none of them imports none of them.
"""

import logging

from batchflow.plugin import Event, Register, hookimpl

log = logging.getLogger(__name__)


@hookimpl
def register_sinks(register: Register) -> None:
    """Hand over the webhook sink."""
    register("webhook", "batchflow_example.webhook:webhook")


@hookimpl
def register_builders(register: Register) -> None:
    """Hand over the question builder."""
    register("question", "batchflow_example.question:question")


@hookimpl
def on_event(event: Event) -> None:
    """Note in the log what a run did, after it was committed."""
    log.info("run %s: %s %s", event.run, event.kind, event.text or event.subject)
