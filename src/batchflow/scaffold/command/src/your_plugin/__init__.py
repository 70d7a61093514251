"""A plugin for batchflow: a verb for its command line, `batchflow your_part`, named by path so that only who types it imports it."""

from batchflow.plugin import Register, hookimpl

batchflow_api = 1  # the version of `batchflow.plugin` that this was written for


@hookimpl
def register_commands(register: Register) -> None:
    """Hand over a verb that counts rows."""
    register("your_part", "your_plugin.command:count")
