"""What your company pays for a model that is not on the list, in dollars for a million tokens."""

from batchflow import Plugins
from batchflow.plugin import Price, Register, hookimpl


class OurPrices:
    """Knows one model. None passes the question on to the next book."""

    def price(self, model: str) -> Price | None:
        if model == "claude-private-1":
            return Price(input=2.0, output=8.0, write_5m=2.5, write_1h=4.0, read=0.2)
        return None


class House:
    @hookimpl
    def register_prices(self, register: Register) -> None:
        register("ours", OurPrices)


first, *_ = [book() for book in Plugins([House()]).prices()]
assert first.price("claude-private-1") is not None
assert first.price("claude-haiku-4-5") is None
