"""A plugin for batchflow: a hook that writes into the log what a run did, after each commit."""

import logging

from batchflow.plugin import Event, hookimpl

batchflow_api = 1  # the version of `batchflow.plugin` that this was written for

log = logging.getLogger(__name__)


@hookimpl
def on_event(event: Event, job: str) -> None:
    """Note what was committed. It is called in a thread of its own, so it may block."""
    log.info("%s, run %s: %s %s", job, event.run, event.kind, event.text or event.subject)
