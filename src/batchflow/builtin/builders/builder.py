"""The builder behind `template`: a layout to fill, and what can be said about it before a run."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from batchflow.builtin.builders import problems
from batchflow.builtin.builders.attachment import Attachment
from batchflow.builtin.builders.layout import Layout
from batchflow.builtin.builders.refusals import refused_parameters
from batchflow.builtin.builders.shapes import is_map
from batchflow.builtin.builders.text import Text
from batchflow.model.record import Record
from batchflow.ports.builder import BuildError


class TemplateBuilder:
    """Fills one request per record. `output` is the schema that answers are to match, or None."""

    def __init__(
        self,
        tree: Mapping[str, Any],
        *,
        texts: Sequence[Text],
        passed: Sequence[str] = (),
        attachment: Attachment | None = None,
        override: str | None = None,
        output: Any = None,
    ) -> None:
        self.output = output
        self._tree = tree
        self._texts = tuple(texts)
        self._passed = tuple(passed)
        self._attachment = attachment
        self._override = override
        self._layout = Layout(dict(tree))

    def build(self, record: Record) -> bytes:
        """Makes the request's JSON: a layout filled, and in jobs with `override` a record's own wishes merged over it."""
        params = self._layout.fill(record.data)
        wishes = self._wishes(record.data) if self._override else None
        return self._granted(params, wishes) if wishes else params

    def build_page(self, records: Sequence[Record]) -> list[bytes | None]:
        """Makes plain requests many at a time."""
        if self._override:
            return [None] * len(records)
        return self._layout.fill_page([record.data for record in records])

    def render(self, record: Record) -> dict[str, Any]:
        """Makes the request as a map, for people to look at."""
        return msgspec.json.decode(self.build(record))

    def variables(self) -> frozenset[str]:
        """Names the columns that a record must have."""
        wanted = {name for text in self._texts for name in text.variables | text.spelt_out if name not in text.optional}
        return frozenset(wanted | set(self._columns().values()))

    def problems(self, columns: frozenset[str] | None, *, version: str) -> list[str]:
        """Lists everything that would go wrong in every record."""
        found = [
            *problems.template_faults(self._texts),
            *problems.misspelt_parameters(self._passed),
            *problems.misplaced_templates(self._tree, self._passed),
            *refused_parameters(self._tree, version, own_model=self._override is None),
        ]
        if self.output is not None:
            found += problems.schema_faults(self.output)
        if columns is not None:
            found += problems.unknown_variables(self._texts, columns)
            found += problems.unknown_columns(self._columns(), columns)
        return found

    def _columns(self) -> dict[str, str]:
        named = {"attach": self._attachment.column if self._attachment else None, "override": self._override}
        return {setting: name for setting, name in named.items() if name}

    def _wishes(self, data: Mapping[str, Any]) -> dict[str, Any]:
        given: Any = data.get(self._override or "")
        if given is None or (isinstance(given, str) and not given.strip()):
            return {}
        try:
            wishes: Any = msgspec.json.decode(given) if isinstance(given, str) else given
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            raise BuildError(f"override: column {self._override!r} is not JSON: {error}") from error
        if not is_map(wishes):
            raise BuildError(f"override: column {self._override!r} holds {type(wishes).__name__}, not a JSON object")
        return wishes

    def _granted(self, params: bytes, wishes: Mapping[str, Any]) -> bytes:
        try:
            return msgspec.json.encode(merged(msgspec.json.decode(params), wishes))
        except (TypeError, ValueError) as error:
            raise BuildError(f"override: column {self._override!r} cannot be written as JSON: {error}") from error


def merged(params: dict[str, Any], wishes: Mapping[str, Any]) -> dict[str, Any]:
    """Lays wishes over params: maps merge, everything else replaces."""
    both = {key: merged(params[key], wish) for key, wish in wishes.items() if is_map(wish) and is_map(params.get(key))}
    return {**params, **wishes, **both}
