"""A check: what is too short is no answer."""

from typing import Annotated

from batchflow.plugin import Bad, Doc, Result


class AtLeast:
    """Passes answers of so many words. Others are asked again, and the model is told the reason."""

    def __init__(self, words: int) -> None:
        self._words = words

    def check(self, result: Result) -> Result | Bad:
        """Pass a result on, or say why it will not do."""
        words = len(result.text.split())
        if words >= self._words:
            return result
        return Bad((f"the answer has {words} words, and should have at least {self._words}",))


def check(*, words: Annotated[int, Doc("How many words an answer has at least.")] = 5) -> AtLeast:
    """Refuse answers that are too short."""
    return AtLeast(words)
