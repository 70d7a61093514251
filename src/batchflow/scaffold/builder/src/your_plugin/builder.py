"""A request builder: ask one fixed question about one column."""

from collections.abc import Mapping
from typing import Annotated, Any

from batchflow.plugin import BuildError, Doc, Record, Skip


class Question:
    """Makes one request a record. One with nothing in the column is passed over, and costs nothing."""

    def __init__(self, text: str, column: str, model: str, max_tokens: int) -> None:
        self._text = text
        self._column = column
        self._model = model
        self._max_tokens = max_tokens

    def build(self, record: Record) -> Mapping[str, Any] | Skip:
        """Ask about one record: the same record gives the same request."""
        about = record.data.get(self._column)
        if not isinstance(about, str):
            raise BuildError(f"`{self._column}` of {record.key} is not text; it holds {about!r:.50}")
        if not about.strip():
            return Skip(f"`{self._column}` is empty")
        return {
            "model": self._model,
            "max_tokens": self._max_tokens,
            "messages": [{"role": "user", "content": f"{self._text}\n\n{about}"}],
        }

    def problems(self, columns: frozenset[str] | None, *, version: str) -> list[str]:
        """Say before a run what would go wrong in every record; None: the columns are not known."""
        del version  # nothing is sent that any version of the API refuses
        missing = columns is not None and self._column not in columns
        return [f"there is no column `{self._column}`"] if missing else []


def builder(
    *,
    ask: Annotated[str, Doc("The question; the column's text follows it.")],
    model: Annotated[str, Doc("The model to ask.")],
    column: Annotated[str, Doc("The column it is asked about.")] = "text",
    max_tokens: Annotated[int, Doc("How long the answer may get.")] = 300,
) -> Question:
    """Ask the same question about one column of every record."""
    if max_tokens < 1:
        raise ValueError("`max_tokens` should be at least 1, or there is no answer")
    return Question(ask, column, model, max_tokens)
