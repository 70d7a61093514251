"""Whose account a job would use now: read from its file and the environment. Nobody is asked."""

import os
from pathlib import Path

from batchflow.cli.opening import file_of
from batchflow.config.build import build_provider
from batchflow.config.load import load
from batchflow.config.plugging import plugins_for
from batchflow.config.secrets import is_unopened
from batchflow.model.errors import BatchflowError
from batchflow.model.state import Binding, Run


def account_of(run: Run, place: Path) -> Binding | None:
    """Say as whom the job of a run would come to its provider; None where its file cannot tell."""
    try:
        file = file_of(run, place)
        spec = load(file, plugins_for(file), os.environ, only=(run.job,)).jobs[run.job]
        if is_unopened(spec.provider.kwargs):
            return None  # its key is looked up for who drives it
        return build_provider(spec, {}).binding()
    except (BatchflowError, OSError, LookupError):
        return None
