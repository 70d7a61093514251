"""A plugin for batchflow: a function for prompts, `your_part`, named by path so that only who uses it imports it."""

from batchflow.plugin import Register, hookimpl

batchflow_api = 1  # the version of `batchflow.plugin` that this was written for


@hookimpl
def register_globals(register: Register) -> None:
    """Hand over a function for prompts."""
    register("your_part", "your_plugin.function:manner")
