"""A JSON Schema of job files, for editors: made from the same signatures that read them, installed plugins included.

`# yaml-language-server: $schema=./batchflow.schema.json` in a job file gives completion, help and red lines. What a
schema cannot know stays with `validate`: whether a required option comes from `defaults`, whether a file exists.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, cast

from batchflow.config import sections
from batchflow.extend.facade import Plugins
from batchflow.extend.kinds import Kind
from batchflow.extend.offers import Offer
from batchflow.extend.signature import Spec
from batchflow.model.errors import PluginError

Json: TypeAlias = dict[str, Any]
DIALECT = "http://json-schema.org/draft-07/schema#"
"""The newest one that yaml-language-server understands in full."""
MAP = ["object", "null"]
"""An empty value takes a default away."""
REFERENCE: Json = {"type": "string", "pattern": r"\$\{(env|file|secret):"}


def schema(plugins: Plugins) -> Json:
    """Describe job files as they can be written with these plugins."""
    definitions = {
        "source": _component(plugins, Kind.SOURCE, beside=sections.source),
        "request": _component(plugins, Kind.BUILDER, default="template"),
        "check": _component(plugins, Kind.CHECK, whole=True),
        "retry": _component(plugins, Kind.RETRY, default="standard", beside=sections.retry),
        "sink": _component(plugins, Kind.SINK, beside=sections.sink, whole=True),
        "notifier": _component(plugins, Kind.NOTIFIER, beside=sections.notify, whole=True),
        "provider": _component(plugins, Kind.PROVIDER, default="anthropic"),
        "job": _job(),
    }
    return {
        "$schema": DIALECT,
        "title": "batchflow job file",
        "type": "object",
        "properties": {
            **_section(sections.file)["properties"],
            "state": _state(plugins),
            "plugins": {"anyOf": [{"type": "array", "items": {"type": "string"}}, _section(sections.plugins)]},
            "provider": _pointer("provider"),
            "secrets": {"type": "object", "additionalProperties": {"type": ["object", "null"]}},
            "defaults": {**_pointer("job"), "description": "Settings for every job: maps merge, lists replace."},
            "jobs": {"type": "object", "minProperties": 1, "additionalProperties": _pointer("job")},
        },
        "patternProperties": {f"^{sections.OWN}": {}},
        "required": ["jobs"],
        "additionalProperties": False,
        "if": {"not": {"required": ["defaults"]}},
        "then": {"properties": {"jobs": {"additionalProperties": {"required": ["source", "request", "sinks"]}}}},
        "definitions": definitions,
    }


def _state(plugins: Plugins) -> Json:
    single: Json = _section(sections.file)["properties"]["state"]
    folder: Json = _section(sections.state)["properties"]
    stores = {
        "store": _component(plugins, Kind.STATE_STORE, whole=True),
        "objects": _component(plugins, Kind.BLOB_STORE, whole=True),
    }
    whole = {"type": "object", "properties": folder | stores, "additionalProperties": False}
    return {"anyOf": [*single["anyOf"], whole], "description": single["description"]}


def _job() -> Json:
    parts = {key: _pointer(key) for key in ("source", "request", "retry", "provider")}
    rules = {key: _section(make) for key, make in _SECTIONS.items()}
    lists = {
        "checks": {"type": ["array", "null"], "items": _pointer("check")},
        "notify": {"type": ["array", "null"], "items": _pointer("notifier")},
        "sinks": {"type": ["array", "null"], "minItems": 1, "items": _pointer("sink")},
    }
    single: Json = _section(sections.job)["properties"]
    return {"type": MAP, "properties": parts | lists | rules | single, "additionalProperties": False}


_SECTIONS: Mapping[str, Callable[..., Any]] = {
    "batch": sections.batch,
    "submit": sections.submit,
    "budget": sections.budget,
}


def _component(
    plugins: Plugins, kind: Kind, *, default: str = "", beside: Callable[..., Any] | None = None, whole: bool = False
) -> Json:
    """Describe every component of a kind: which options there are depends on `type`. `whole` ones are never merged."""
    offers = [offer for offer in plugins.offers(kind).values() if _loads(offer)]
    others: Json = _section(beside)["properties"] if beside else {}
    cases = [_case(offer, others, whole=whole, is_default=offer.name == default) for offer in offers]
    known = [offer.name for offer in offers]
    named = {"enum": known, "description": f"Which {kind}."} | ({"default": default} if default else {})
    required = {} if default or not whole else {"required": ["type"]}
    return {"type": "object" if whole else MAP, "properties": {"type": named}, "allOf": cases, **required}


def _case(offer: Offer, others: Json, *, whole: bool, is_default: bool) -> Json:
    spec = Spec.of(offer.load())
    options = _resolvable(spec.schema())
    properties = {"type": {"const": offer.name, "description": spec.doc}, **others, **options["properties"]}
    required: list[str] = options.get("required", []) if whole else []
    is_it: Json = {"properties": {"type": {"const": offer.name}}}
    told = is_it if is_default else {**is_it, "required": ["type"]}
    then: Json = {"properties": properties, "required": required, "additionalProperties": spec.open_ended}
    return {"if": told, "then": then}


def _section(make: Callable[..., Any]) -> Json:
    return {**_resolvable(Spec.of(make).schema()), "type": MAP, "required": []}


def _resolvable(schema: Json) -> Json:
    """Let `${env:...}` stand wherever something other than free text is wanted."""
    properties = cast("Json", schema["properties"])
    return {**schema, "properties": {name: _or_reference(one) for name, one in properties.items()}}


def _or_reference(option: Json) -> Json:
    if _takes_text(option):
        return option
    told = {key: option[key] for key in ("description", "default") if key in option}
    bare = {key: value for key, value in option.items() if key not in told}
    branches = cast("Iterable[Json]", bare["anyOf"]) if set(bare) == {"anyOf"} else [bare]
    return {"anyOf": [*branches, REFERENCE], **told}


def _takes_text(option: Json) -> bool:
    branches = cast("Iterable[Json]", option.get("anyOf", [option]))
    return any(
        branch.get("type") == "string" and not branch.keys() & {"enum", "pattern", "const"} for branch in branches
    )


def _pointer(name: str) -> Json:
    return {"$ref": f"#/definitions/{name}"}


def _loads(offer: Offer) -> bool:
    """A plugin that is broken is no reason to have no schema at all."""
    try:
        Spec.of(offer.load())
    except PluginError:
        return False
    return True
