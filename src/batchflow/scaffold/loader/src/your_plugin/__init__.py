"""A plugin for batchflow: a loader of prompts, from a folder with a name for each, `your_part`, named by path so that only who uses it imports it."""

from batchflow.plugin import Register, hookimpl

batchflow_api = 1  # the version of `batchflow.plugin` that this was written for


@hookimpl
def register_loaders(register: Register) -> None:
    """Hand over a loader of prompts, from a folder with a name for each."""
    register("your_part", "your_plugin.loader:loader")
