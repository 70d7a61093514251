"""Run millions of Claude requests at batch price, and know where every one of them is.

    from batchflow import Batchflow, Job

Names are looked up when first used, so that importing the package costs nothing.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchflow.app import Batchflow, Report
    from batchflow.extend.facade import Plugins
    from batchflow.job import Job, Listener, To
    from batchflow.model.rules import BatchRules, Rules, SubmitRules

__all__ = ["BatchRules", "Batchflow", "Job", "Listener", "Plugins", "Report", "Rules", "SubmitRules", "To"]

_HOMES = {
    "Batchflow": "batchflow.app",
    "Report": "batchflow.app",
    "Job": "batchflow.job",
    "Listener": "batchflow.job",
    "Plugins": "batchflow.extend.facade",
    "To": "batchflow.job",
    "BatchRules": "batchflow.model.rules",
    "Rules": "batchflow.model.rules",
    "SubmitRules": "batchflow.model.rules",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for."""
    from importlib import import_module

    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'batchflow' has no attribute {name!r}")
    return getattr(import_module(home), name)
