"""A plugin for batchflow: a secret store, which reads one file of JSON, `your_part`, named by path so that only who uses it imports it."""

from batchflow.plugin import Register, hookimpl

batchflow_api = 1  # the version of `batchflow.plugin` that this was written for


@hookimpl
def register_secrets(register: Register) -> None:
    """Hand over a secret store, which reads one file of JSON."""
    register("your_part", "your_plugin.vault:vault")
