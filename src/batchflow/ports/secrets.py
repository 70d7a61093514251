"""Where secrets are looked up."""

from typing import Protocol


class Secrets(Protocol):
    """Looks secrets up when a job is opened to be driven, once each. It may block; nothing else is going on then."""

    def find(self, name: str) -> str | None:
        """Gives a secret; None where there is none of that name. A `ValueError` is told at the line that asks for it."""
        ...
