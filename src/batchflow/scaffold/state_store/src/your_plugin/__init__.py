"""A plugin for batchflow: a state store: runs in a database whose place you decide once for everybody, `your_part`, named by path so that only who uses it imports it."""

from batchflow.plugin import Register, hookimpl

batchflow_api = 1  # the version of `batchflow.plugin` that this was written for


@hookimpl
def register_state_stores(register: Register) -> None:
    """Hand over a state store: runs in a database whose place you decide once for everybody."""
    register("your_part", "your_plugin.state:state")
