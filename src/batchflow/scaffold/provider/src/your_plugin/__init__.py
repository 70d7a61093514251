"""A plugin for batchflow: a provider: Anthropic's API behind a gateway of your own, `your_part`, named by path so that only who uses it imports it."""

from batchflow.plugin import Register, hookimpl

batchflow_api = 1  # the version of `batchflow.plugin` that this was written for


@hookimpl
def register_providers(register: Register) -> None:
    """Hand over a provider: Anthropic's API behind a gateway of your own."""
    register("your_part", "your_plugin.gateway:gateway")
