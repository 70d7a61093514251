"""`schema`: an answer is usable when its text is JSON that matches a JSON schema."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import jsonschema_rs
import msgspec

from batchflow.builtin.builders.files import data_of
from batchflow.model.result import Bad, Result
from batchflow.model.units import Doc, Given

MOST_REASONS = 5
LONGEST_REASON = 200
FENCE = "```"

_decode = msgspec.json.Decoder().decode


def schema(
    *,
    schema: Annotated[dict[str, Any], Doc("The JSON schema, or {file: PATH} to one.")],
    base: Annotated[Path, Given(), Doc("Folder that {file: PATH} starts from: the job file's own.")] = Path(),
) -> "SchemaCheck":
    """Checks that an answer is JSON of this schema, and sets `output` to what it holds."""
    found = data_of(schema, where="schema", base=base)
    if complaint := fault(found):
        raise ValueError(f"schema: {complaint}")
    return SchemaCheck(found)


class SchemaCheck:
    """Reads answers as JSON of one schema. Nothing is repaired: what a sink gets is what the model said."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema
        self._validator = jsonschema_rs.validator_for(dict(schema), offline=True)

    def check(self, result: Result) -> Result | Bad:
        """Sets `output`, or says what is wrong. A turn that calls a tool is no final answer, so it passes unread."""
        if result.stop_reason == "tool_use":
            return result
        try:
            output = _decode(result.text)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
            return Bad((_unreadable(result.text, error),))
        if not self._validator.is_valid(output):
            return Bad(tuple(_reason(error) for error in islice(self._validator.iter_errors(output), MOST_REASONS)))
        result.output = output
        return result


def fault(schema: Any) -> str:
    """Says why this is no JSON schema; an empty string when it is one."""
    if not isinstance(schema, dict):
        return f"a JSON schema is a map, not {type(schema).__name__}"
    try:
        jsonschema_rs.validator_for(schema, offline=True)  # pyright: ignore[reportUnknownArgumentType]  # JSON holds anything
    except jsonschema_rs.ValidationError as error:
        return _reason(error)
    except (jsonschema_rs.ReferencingError, ValueError) as error:
        return _short(str(error))
    return ""


def _reason(error: jsonschema_rs.ValidationError) -> str:
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
    return _short(f"${steps}: {error.message}")


def _unreadable(text: str, error: Exception) -> str:
    if not text.strip():
        return "the answer has no text"
    if text.lstrip().startswith(FENCE):
        return f"the answer is wrapped in a {FENCE} fence; it must be the JSON alone"
    return _short(f"the answer is not JSON: {error}")


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_REASON else f"{text[: LONGEST_REASON - 3]}..."
