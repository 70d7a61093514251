"""A plugin for batchflow: a price book, `your_part`, which every job is reckoned by while it is installed."""

from batchflow.plugin import Register, hookimpl

batchflow_api = 1  # the version of `batchflow.plugin` that this was written for


@hookimpl
def register_prices(register: Register) -> None:
    """Hand over a price book."""
    register("your_part", "your_plugin.prices:OurPrices")
