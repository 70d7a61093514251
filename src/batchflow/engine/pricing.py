"""What the models cost, by everybody who brings a price book."""

from collections.abc import Sequence

from batchflow.extend.facade import Plugins
from batchflow.model.money import Price
from batchflow.ports.prices import Prices
from batchflow.stages.wall import misgiven, wall


class PriceBooks:
    """Several price books as one: the first that knows a model is believed."""

    def __init__(self, books: Sequence[Prices]) -> None:
        self._books = books
        self._known: dict[str, Price | None] = {}

    def price(self, model: str) -> Price | None:
        """Ask each book once per model."""
        if model not in self._known:
            prices = (_asked_price(book, model) for book in self._books)
            self._known[model] = next((price for price in prices if price is not None), None)
        return self._known[model]


def price_books(plugins: Plugins) -> PriceBooks:
    """Make the price books of all plugins. One that cannot be made leaves no cost certain, so nothing goes on without it."""
    books: list[Prices] = []
    for book in plugins.prices():
        with wall(book, "when it was made"):
            books.append(book())
    return PriceBooks(books)


def _asked_price(book: Prices, model: str) -> Price | None:
    doing = f"when it was asked for the price of {model}"
    with wall(book, doing):
        price = book.price(model)
    if not isinstance(price, Price | None):  # pyright: ignore[reportUnnecessaryIsInstance] - a plugin's, whatever its type says
        raise misgiven(book, doing, price, "a `Price`, or None")
    return price
