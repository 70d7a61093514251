"""A plugin for batchflow: a notifier that writes how runs stand into a file, `your_part`, named by path so that only who uses it imports it."""

from batchflow.plugin import Register, hookimpl

batchflow_api = 1  # the version of `batchflow.plugin` that this was written for


@hookimpl
def register_notifiers(register: Register) -> None:
    """Hand over a notifier that writes how runs stand into a file."""
    register("your_part", "your_plugin.notifier:notifier")
