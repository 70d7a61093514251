"""How an annotation in a factory's signature reads a value from a job file, and how it is called in plain words.

YAML already says what is a number and what is text, so nothing is guessed: `true` is not 1, `'10'` is not 10. The one
exception is `Referenced`: a text that came from the environment or a file, where everything is text.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic import BeforeValidator, PlainValidator, Strict, ValidationInfo, WithJsonSchema

from batchflow.extend import quantities
from batchflow.model.units import Secret, Unit


class Referenced(str):
    """A text that `${env:...}` or `${file:...}` was put into; where a number is wanted it is read as one."""

    __slots__ = ()


READERS: Mapping[str, tuple[Callable[[object], float], quantities.Quantity, str]] = MappingProxyType(
    {
        "duration": (quantities.seconds, quantities.DURATION, "duration"),
        "size": (quantities.octets, quantities.SIZE, "size"),
        "money": (quantities.nano, quantities.MONEY, "dollars"),
    }
)
WORDS: Mapping[object, str] = MappingProxyType(
    {
        str: "text",
        int: "whole number",
        float: "number",
        bool: "true or false",
        Path: "path",
        Secret: "secret",
        NoneType: "nothing",
        Any: "anything",
        dict: "map",
        list: "list",
    }
)


def readable(annotation: Any) -> Any:
    """Rebuild an annotation so that pydantic reads job-file values into it."""
    arguments = get_args(annotation)
    match get_origin(annotation):
        case None:
            return _simple(annotation)
        case origin if origin is Annotated:
            return _annotated(*arguments)
        case origin if origin is Union or origin is UnionType:
            return reduce(_either, map(readable, arguments))
        case origin if origin is Literal or origin is cast("object", Callable):
            return annotation
        case origin:
            return _generic(origin, arguments)


def plainly(annotation: Any) -> str:
    """Name an annotation in words that a person who writes YAML knows."""
    arguments = get_args(annotation)
    match get_origin(annotation):
        case None:
            return WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))
        case origin if origin is Annotated:
            unit = _unit(arguments[1:])
            return READERS[unit.name][2] if unit else plainly(arguments[0])
        case origin if origin is Union or origin is UnionType:
            return " or ".join(plainly(argument) for argument in arguments if argument is not NoneType)
        case origin if origin is Literal:
            return " | ".join(str(argument) for argument in arguments)
        case origin:
            return _container(origin, arguments)


def mentions(annotation: Any, type_: type) -> bool:
    """Tell whether a type occurs anywhere in an annotation."""
    return annotation is type_ or any(mentions(argument, type_) for argument in get_args(annotation))


def _annotated(base: Any, *marks: Any) -> Any:
    """Keep the marks, and put ours last: limits then stand next to the type, where the schema can see them."""
    unit = _unit(marks)
    inner = readable(base)
    plain, ours = (get_args(inner)[0], get_args(inner)[1:]) if get_origin(inner) is Annotated else (inner, ())
    if unit is not None:
        read, quantity, _ = READERS[unit.name]
        schema = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": quantity.pattern}]}
        plain, ours = base, (BeforeValidator(read), WithJsonSchema(schema))
    return Annotated[(plain, *marks, *ours)]


def _simple(annotation: Any) -> Any:
    if annotation is Path:
        return Annotated[Path, PlainValidator(_path), WithJsonSchema({"type": "string", "minLength": 1})]
    if annotation is Secret:
        return Annotated[Secret, PlainValidator(_secret), WithJsonSchema({"type": "string", "minLength": 1})]
    if annotation is int or annotation is float or annotation is bool:
        return Annotated[annotation, Strict(), BeforeValidator(_spelt_out)]
    return annotation


def _generic(origin: Any, arguments: Sequence[Any]) -> Any:
    return origin[tuple(readable(argument) for argument in arguments)]


def _either(one: Any, other: Any) -> Any:
    return one | other


def _unit(marks: Sequence[Any]) -> Unit | None:
    return next((mark for mark in marks if isinstance(mark, Unit)), None)


def _container(origin: Any, arguments: Sequence[Any]) -> str:
    if origin is Callable or not arguments:
        return "function" if origin is Callable else plainly(origin)
    if issubclass(origin, Mapping):
        return f"map of {plainly(arguments[-1])}"
    return f"list of {plainly(arguments[0])}"


def _path(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("should be a path")
    context = cast("Mapping[str, Path]", info.context)
    return context["base"] / Path(value).expanduser()


def _secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError("should be a text that is not empty: write it like ${env:NAME}")
    if "${" in value or (value.startswith("$") and value[1:].isidentifier()):
        raise ValueError("is not a reference batchflow knows: write ${env:NAME}, ${file:path} or ${secret:NAME}")
    return Secret(str(value))


def _spelt_out(value: object) -> object:
    if not isinstance(value, Referenced):
        return value
    for read in (int, float):
        try:
            return read(value)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(value.strip().casefold(), value)
