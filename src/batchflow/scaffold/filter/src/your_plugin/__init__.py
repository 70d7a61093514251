"""A plugin for batchflow: a filter for prompts, `your_part`, named by path so that only who uses it imports it."""

from batchflow.plugin import Register, hookimpl

batchflow_api = 1  # the version of `batchflow.plugin` that this was written for


@hookimpl
def register_filters(register: Register) -> None:
    """Hand over a filter for prompts."""
    register("your_part", "your_plugin.filter:fenced")
