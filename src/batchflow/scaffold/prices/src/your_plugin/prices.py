"""A price book: what your company pays, in dollars for a million tokens, before the batch discount."""

import re
from collections.abc import Mapping

from batchflow.plugin import Price

SNAPSHOT = re.compile(r"-\d{8}$")
"""What an answer adds to its model's name: the day that the model is of."""
PRICES: Mapping[str, Price] = {
    "claude-haiku-4-5": Price(input=0.90, output=4.50, write_5m=1.125, write_1h=1.80, read=0.09),
    "claude-private-1": Price(input=2.00, output=8.00, write_5m=2.50, write_1h=4.00, read=0.20),
}
"""By your contract: put your own here. `above` and `long` are for a model that costs more where a prompt is long."""


class OurPrices:
    """Knows some models. What it does not know, the books of other plugins are asked for, and batchflow's own at last."""

    def price(self, model: str) -> Price | None:
        """Give a model's price, by its alias or by the dated name that answers have; None passes the question on."""
        return PRICES.get(model) or PRICES.get(SNAPSHOT.sub("", model))
