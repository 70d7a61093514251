"""pydantic's findings, said the way a person who writes a job file would put them."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, cast

from pydantic_core import ErrorDetails

from batchflow.extend.near import did_you_mean
from batchflow.model.problem import Path, Problem

SENTENCES: Mapping[str, str] = {
    "missing": "`{key}` is required",
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "bool_type": "should be true or false",
    "string_type": "should be text; put it in quotes",
    "list_type": "should be a list",
    "tuple_type": "should be a list",
    "set_type": "should be a list",
    "dict_type": "should be a map of `name: value`",
    "mapping_type": "should be a map of `name: value`",
    "none_required": "should be left empty",
    "literal_error": "should be {expected}",
    "enum": "should be {expected}",
    "greater_than": "should be greater than {gt}",
    "greater_than_equal": "should be at least {ge}",
    "less_than": "should be less than {lt}",
    "less_than_equal": "should be at most {le}",
    "string_too_short": "should not be empty",
    "value_error": "{error}",
}


def problems(errors: Iterable[ErrorDetails], given: Mapping[str, Any], known: Sequence[str]) -> list[Problem]:
    """Turn the findings about one mapping into problems, one a place."""
    placed = [(_path(error["loc"], given), error) for error in errors]
    placed = [item for item in placed if not _is_outdone(item[0], placed)]
    placed.sort(key=lambda item: [str(step) for step in item[0]])
    return [
        _problem(path, [error for _, error in group], known) for path, group in groupby(placed, lambda item: item[0])
    ]


def _path(location: Sequence[str | int], data: Any) -> Path:
    """Keep of pydantic's location what leads somewhere in the data: it also names the branches of unions."""
    path: list[str | int] = []
    for step in location:
        if _leads_somewhere(step, data):
            data = data[step]
            path.append(step)
    return tuple(path)


def _leads_somewhere(step: str | int, data: Any) -> bool:
    if isinstance(data, Mapping):
        return step in data
    return isinstance(data, list) and isinstance(step, int) and step < len(cast("list[Any]", data))


def _is_outdone(path: Path, all_: Sequence[tuple[Path, ErrorDetails]]) -> bool:
    """A branch of a union that got deeper into the data was the one that was meant."""
    return bool(path) and any(len(other) > len(path) and other[: len(path)] == path for other, _ in all_)


def _problem(path: Path, errors: Sequence[ErrorDetails], known: Sequence[str]) -> Problem:
    if errors[0]["type"] == "missing":
        missing = dict.fromkeys(_sentence(error) for error in errors)
        return Problem("; ".join(missing), path, at_key=True)
    if errors[0]["type"] == "extra_forbidden":
        name = str(path[-1])
        return Problem(f"unknown option `{name}`", path, did_you_mean(name, known), at_key=True)
    said = [said for said in dict.fromkeys(_sentence(error) for error in errors) if said != SENTENCES["none_required"]]
    return Problem(", or ".join(said) or SENTENCES["none_required"], path)


def _sentence(error: ErrorDetails) -> str:
    template = SENTENCES.get(error["type"])
    if template is None:
        return error["msg"]
    return template.format(key=error["loc"][-1], **error.get("ctx", {}))
