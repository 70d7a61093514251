"""How a record becomes request parameters."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

from batchflow.model.record import Record, Skip

Params: TypeAlias = bytes | Mapping[str, Any]
"""One request: encoded JSON (one object, no newline), or a mapping that batchflow encodes once."""


class BuildError(Exception):
    """A builder's word that this record cannot become a request: a dead letter with this reason."""


@runtime_checkable
class Builder(Protocol):
    """Turns one record into one request, several, or none. Pure and quick: it is called for every record, in the loop.

    What it returns reaches the API with nothing dropped and nothing forced. It may raise `BuildError`; whatever else it
    raises stops the job and names the record.
    """

    def build(self, record: Record) -> Params | Sequence[Params] | Skip:
        """Makes the parameters of one record's request."""
        ...


@runtime_checkable
class ByPage(Protocol):
    """A builder that can make plain requests many at a time, in half the time of a call for each."""

    def build_page(self, records: Sequence[Record]) -> Sequence[bytes | None]:
        """Makes of each record what `build` makes of it, or None where `build` is to be asked after all.

        It raises nothing: whatever is wrong with a record is for `build` to say.
        """
        ...


@runtime_checkable
class Inspectable(Protocol):
    """A builder that can be checked before a run."""

    def problems(self, columns: frozenset[str] | None, *, version: str) -> list[str]:
        """Lists what would go wrong: unknown variables (columns may be None), parameters the API version refuses."""
        ...
