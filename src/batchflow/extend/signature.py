"""A factory's signature is its configuration: parse, help, reference page and editor schema are all read from it.

There is no second description that could disagree with the code. pydantic does the reading; `annotations` says what a
type means in a job file, `complaints` how its findings are told.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, cast, get_args, get_origin

import msgspec
from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, ValidationError, create_model
from pydantic_core import SchemaError

from batchflow.extend.annotations import Referenced, mentions, plainly, readable
from batchflow.extend.complaints import problems
from batchflow.model.errors import PluginError
from batchflow.model.problem import Problem
from batchflow.model.units import Doc, Folder, Given, Mendable, Secret

REQUIRED: Any = inspect.Parameter.empty


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One option, as its signature declares it."""

    name: str
    annotation: Any
    default: Any = REQUIRED
    doc: str = ""
    given: bool = False
    mendable: bool = False
    folder: bool = False

    @property
    def required(self) -> bool:
        """There is no default."""
        return self.default is REQUIRED

    @property
    def secret(self) -> bool:
        """Its value, or something in it, must not be shown."""
        return mentions(self.annotation, Secret)

    @property
    def type(self) -> str:
        """What to write, in plain words."""
        return plainly(self.annotation)


class Spec:
    """The options of one factory."""

    def __init__(self, parameters: Mapping[str, Parameter], *, open_ended: bool = False, doc: str = "") -> None:
        self.parameters = {name: one for name, one in parameters.items() if not one.given}
        self.given = frozenset(name for name, one in parameters.items() if one.given)
        self.needed = frozenset(name for name in self.given if parameters[name].required)
        """What the app must supply, having no default."""
        self.secret = frozenset(name for name, one in self.parameters.items() if one.secret)
        self.mendable = frozenset(name for name, one in self.parameters.items() if one.mendable)
        """Options that a run in the middle may see changed."""
        self.folders = frozenset(name for name, one in self.parameters.items() if one.folder)
        """Paths at which a folder is meant to be."""
        self.open_ended = open_ended
        """Options beyond the declared ones are passed on (`**params`)."""
        self.doc = doc
        self._model = _model(list(self.parameters.values()), open_ended=open_ended)

    @classmethod
    def of(cls, factory: Callable[..., Any]) -> "Spec":
        """Read the signature of a factory; a command asks for the same few over and over, so it is kept."""
        try:
            hash(factory)
        except TypeError:
            return _read(factory)
        return _kept(factory)

    def parse(
        self, options: Mapping[str, Any], base: Path, *, beside: Sequence[str] = ()
    ) -> tuple[dict[str, Any], list[Problem]]:
        """Read options into keyword arguments, or find every problem at once. Paths are taken from `base`.

        `beside` names options of the same map that somebody else reads, so that a slip is told from them too.
        """
        try:
            read = self._model.model_validate(dict(options), context={"base": base})
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            return {}, problems(found, options, [*self.parameters, *beside])
        return self._kwargs(read, base), []

    def schema(self) -> dict[str, Any]:
        """Describe the options as JSON Schema, for editors."""
        schema: dict[str, Any] = _untitled(self._model.model_json_schema(by_alias=True))
        schema = _inlined(schema, schema.pop("$defs", {}))
        for name, parameter in self.parameters.items():
            described = cast("dict[str, Any]", schema["properties"][name])
            if isinstance(parameter.default, str | int | float | bool):
                described["default"] = parameter.default
        return schema

    def _kwargs(self, read: BaseModel, base: Path) -> dict[str, Any]:
        kwargs = {name: value for name, value in _values(read, self.parameters) if value is not REQUIRED}
        for name, parameter in self.parameters.items():
            if name not in kwargs and isinstance(parameter.default, Path):
                kwargs[name] = base / parameter.default
        return kwargs


_NAMED = frozenset({inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD})


def _parameter(declared: inspect.Parameter) -> Parameter:
    annotation: Any = Any if declared.annotation is REQUIRED else declared.annotation
    marks = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return Parameter(
        name=declared.name,
        annotation=annotation,
        default=declared.default,
        doc=next((mark.text for mark in marks if isinstance(mark, Doc)), ""),
        given=any(mark is Given or isinstance(mark, Given) for mark in marks),
        mendable=any(mark is Mendable or isinstance(mark, Mendable) for mark in marks),
        folder=any(mark is Folder or isinstance(mark, Folder) for mark in marks),
    )


def _read(factory: Callable[..., Any]) -> Spec:
    try:
        signature = inspect.signature(factory, eval_str=True)
    except (ValueError, TypeError, NameError) as error:
        raise PluginError(
            f"the signature of {factory!r} cannot be read: {error}",
            hint="annotate its parameters with types that can be imported at run time",
        ) from error
    declared = [one for one in signature.parameters.values() if one.kind in _NAMED]
    open_ended = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in signature.parameters.values())
    doc = (inspect.getdoc(factory) or "").partition("\n")[0]
    return Spec({one.name: _parameter(one) for one in declared}, open_ended=open_ended, doc=doc)


_kept = lru_cache(maxsize=100)(_read)


def _model(parameters: list[Parameter], *, open_ended: bool) -> type[BaseModel]:
    """Build the reader. Fields have numbers for names: a parameter may be called `schema` or `copy`, a field may not."""
    fields: dict[str, Any] = {
        f"option_{number}": (readable(one.annotation), _field(one)) for number, one in enumerate(parameters)
    }
    extra = "allow" if open_ended else "forbid"
    config = ConfigDict(extra=extra, arbitrary_types_allowed=True, hide_input_in_errors=True)
    try:
        return create_model("Options", __config__=config, **fields)
    except (PydanticUserError, SchemaError, TypeError) as error:
        names = ", ".join(f"{one.name}: {one.annotation}" for one in parameters)
        raise PluginError(
            f"a job file cannot hold one of these parameters: {names} ({error})",
            hint="mark what the app supplies with `Given()`, and give the others types of plain data",
        ) from error


def _field(one: Parameter) -> Any:
    if one.required:
        return Field(alias=one.name, description=one.doc or None, title=None)
    return Field(alias=one.name, description=one.doc or None, default_factory=lambda: REQUIRED)


def _values(read: BaseModel, parameters: Mapping[str, Parameter]) -> list[tuple[str, Any]]:
    declared = [(name, getattr(read, f"option_{number}")) for number, name in enumerate(parameters)]
    return [(name, _plain(value)) for name, value in [*declared, *(read.model_extra or {}).items()]]


def _untitled(schema: Any) -> Any:
    """Drop the titles that pydantic makes of names; an option called `title` is a map and stays."""
    match schema:
        case dict():
            items = cast("dict[str, Any]", schema).items()
            return {key: _untitled(item) for key, item in items if key != "title" or not isinstance(item, str)}
        case list():
            return [_untitled(item) for item in cast("list[Any]", schema)]
        case _:
            return schema


def _inlined(schema: Any, definitions: Mapping[str, Any], inside: frozenset[str] = frozenset()) -> Any:
    """Put definitions where they are pointed to, so that the schema can be set into another; a circle is cut."""
    match schema:
        case {"$ref": str() as pointer}:
            name = pointer.rpartition("/")[2]
            return {} if name in inside else _inlined(definitions[name], definitions, inside | {name})
        case dict():
            items = cast("dict[str, Any]", schema).items()
            return {key: _inlined(item, definitions, inside) for key, item in items}
        case list():
            return [_inlined(item, definitions, inside) for item in cast("list[Any]", schema)]
        case _:
            return schema


def _plain(value: Any) -> Any:
    """Strip the mark of a reference off a text: from here on it is a text like any other."""
    match value:
        case Referenced():
            return str(value)
        case dict():
            return {key: _plain(item) for key, item in cast("dict[Any, Any]", value).items()}
        case list():
            return [_plain(item) for item in cast("list[Any]", value)]
        case _:
            return value
