"""A function for templates. In a prompt: `{{ grade(score) }}`. The same record must always get the same answer."""

from batchflow import Plugins
from batchflow.plugin import Register, hookimpl


def grade(score: float) -> str:
    """Say a score in words that a model understands."""
    return "excellent" if score > 0.9 else "fair" if score > 0.5 else "poor"


class House:
    @hookimpl
    def register_globals(self, register: Register) -> None:
        register("grade", grade)


known = Plugins([House()]).globals()
made = known["grade"]
assert made(0.7) == "fair"
