"""A filter for prompts. In a template: `{{ text | quoted }}`."""

from batchflow import Plugins
from batchflow.plugin import Register, hookimpl


def quoted(text: str) -> str:
    """Put a text between marks that it cannot hold itself."""
    return f"<text>{text.replace('<', '&lt;')}</text>"


class House:
    @hookimpl
    def register_filters(self, register: Register) -> None:
        register("quoted", quoted)


filters = Plugins([House()]).filters()
made = filters["quoted"]
assert made("a < b") == "<text>a &lt; b</text>"
