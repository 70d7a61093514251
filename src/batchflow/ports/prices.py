"""What a model costs."""

from typing import Protocol

from batchflow.model.money import Price


class Prices(Protocol):
    """Looks list prices up."""

    def price(self, model: str) -> Price | None:
        """Finds a model's price by alias or snapshot id; None where nobody knows it."""
        ...
