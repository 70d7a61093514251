"""A factory's signature is its configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import jsonschema_rs
import pytest

from batchflow.extend.annotations import Referenced
from batchflow.extend.facade import Plugins
from batchflow.extend.kinds import Kind
from batchflow.extend.signature import Spec
from batchflow.model.errors import PluginError
from batchflow.model.units import Doc, Dollars, Given, Seconds, Secret, Size

BASE = Path("/jobs")


def factory(
    *,
    path: Annotated[Path, Doc("Where it is.")],
    key: Annotated[str | None, Doc("Its key.")] = None,
    mode: Annotated[Literal["upsert", "insert"], Doc("How.")] = "upsert",
    wait: Annotated[Seconds, Doc("How long.")] = 10.0,
    size: Annotated[Size | None, Doc("How large.")] = None,
    cost: Annotated[Dollars, Doc("How dear.")] = 0,
    password: Annotated[Secret | None, Doc("Which.")] = None,
    headers: Annotated[dict[str, Secret], Doc("More.")] = {},  # noqa: B006 - configuration is never mutated
    rows: Annotated[int, Doc("How many.")] = 3,
    header: Annotated[bool, Doc("Whether.")] = True,
    share: Annotated[float, Doc("Which part.")] = 0.5,
    columns: Annotated[str | list[str], Doc("Which.")] = "",
    schema: Annotated[dict[str, Any] | None, Doc("A name that pydantic has for itself.")] = None,
    log: Annotated[Path, Doc("Where.")] = Path("log.txt"),
    base: Annotated[Path, Given(), Doc("From the app.")],
    filters: Annotated[Mapping[str, Any] | None, Given] = None,
) -> None:
    """Makes something.

    At length.
    """


SPEC = Spec.of(factory)


def read(**options):
    kwargs, problems = SPEC.parse({"path": "a"} | options, BASE)
    assert not problems
    return kwargs


def wrong(spec=SPEC, **options):
    kwargs, problems = spec.parse(options if spec is not SPEC else {"path": "a"} | options, BASE)
    assert kwargs == {}
    return [(one.path, one.message) for one in problems]


def test_what_is_not_written_keeps_the_factorys_own_default():
    assert read() == {"path": Path("/jobs/a"), "log": Path("/jobs/log.txt")}


def test_paths_start_at_the_job_files_folder():
    assert read(path="claims/*.csv")["path"] == Path("/jobs/claims/*.csv")
    assert read(path="/elsewhere/x")["path"] == Path("/elsewhere/x")
    assert read(path="~/x")["path"] == Path.home() / "x"


def test_quantities_are_numbers_when_they_arrive():
    assert read(wait="10m", size="64MiB", cost=20.5) == read() | {"wait": 600.0, "size": 2**26, "cost": 20_500_000_000}


def test_secrets_are_wrapped_wherever_they_stand():
    kwargs = read(password="hunter2", headers={"x-key": "hunter3"})
    assert kwargs["password"].reveal() == "hunter2"
    assert kwargs["headers"]["x-key"].reveal() == "hunter3"
    assert "hunter" not in repr(kwargs)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("rows", True, "should be a whole number"),
        ("rows", "10", "should be a whole number"),
        ("rows", 1.5, "should be a whole number"),
        ("header", "yes", "should be true or false"),
        ("header", 1, "should be true or false"),
        ("share", "1", "should be a number"),
        ("key", 5, "should be text; put it in quotes"),
        ("mode", "merge", "should be 'upsert' or 'insert'"),
        ("wait", "soon", "a duration is written like 90, 30s, 10m, 24h or 2d"),
        ("size", "64mb", "a size is written like 500000, 500kB, 64MB (decimal) or 64MiB (binary)"),
        ("cost", "20 EUR", "money is written in dollars, like 20 or 20.50"),
        ("columns", 3, "should be text; put it in quotes, or should be a list"),
        ("schema", "x", "should be a map of `name: value`"),
        ("password", "", "should be a text that is not empty: write it like ${env:NAME}"),
        (
            "password",
            "${ENV:KEY}",
            "is not a reference batchflow knows: write ${env:NAME}, ${file:path} or ${secret:NAME}",
        ),
        ("password", "$KEY", "is not a reference batchflow knows: write ${env:NAME}, ${file:path} or ${secret:NAME}"),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_in_plain_words(option, value, message):
    assert wrong(**{option: value}) == [((option,), message)]


def test_every_problem_is_told_at_once():
    told = wrong(pth="x", rows="many", columns=["a", 2], headers={"x": 5})
    assert told == [
        (("columns", 1), "should be text; put it in quotes"),
        (("headers", "x"), "should be a text that is not empty: write it like ${env:NAME}"),
        (("pth",), "unknown option `pth`"),
        (("rows",), "should be a whole number"),
    ]


def test_an_unknown_option_is_answered_with_what_was_meant():
    _, problems = SPEC.parse({"path": "a", "hedaer": True, "carri": []}, BASE, beside=["carry"])
    hints = {one.path[0]: one.hint for one in problems}
    assert hints["hedaer"].startswith("did you mean `header` or `headers`? known: carry, columns, cost")
    assert hints["carri"].startswith("did you mean `carry`?")
    assert all(one.at_key for one in problems)


def test_a_missing_option_is_named():
    assert SPEC.parse({}, BASE)[1][0].message == "`path` is required"


def test_what_the_app_supplies_cannot_be_written():
    assert SPEC.given == {"base", "filters"}
    assert SPEC.needed == {"base"}
    assert wrong(base="/etc") == [(("base",), "unknown option `base`")]


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [("rows", "10", 10), ("share", "0.25", 0.25), ("header", "true", True), ("wait", "5m", 300.0)],
)
def test_a_text_from_a_reference_may_stand_for_a_number(option, text, value):
    assert read(**{option: Referenced(text)})[option] == value


def test_a_text_from_a_reference_stays_a_text_where_text_is_wanted():
    key = read(key=Referenced("123"))["key"]
    assert (key, type(key)) == ("123", str)


def test_a_reference_with_no_number_in_it_is_refused_without_showing_it():
    assert wrong(rows=Referenced("hunter2")) == [(("rows",), "should be a whole number")]


def test_an_open_ended_factory_passes_other_options_on():
    def opened(*, model: str, **params: Any) -> None: ...

    spec = Spec.of(opened)
    assert spec.parse({"model": "m", "top_k": {"a": [Referenced("x")]}}, BASE) == (
        {"model": "m", "top_k": {"a": ["x"]}},
        [],
    )
    assert spec.schema()["additionalProperties"] is True


def test_classes_and_positional_parameters_serve_as_well():
    class Made:
        def __init__(self, path: Path, *, rows: int = 1) -> None: ...

    assert Spec.of(Made).parse({"path": "x"}, BASE)[0] == {"path": Path("/jobs/x")}


def test_a_signature_that_cannot_be_read_names_the_factory():
    def strange(*, path: "NoSuchType") -> None: ...  # noqa: F821

    with pytest.raises(PluginError, match=r"strange.*NoSuchType"):
        Spec.of(strange)


def test_a_parameter_that_no_job_file_can_hold_names_the_remedy():
    class Ticks(Protocol):
        def now(self) -> float: ...

    def clocked(*, clock: Ticks | None = None) -> None: ...

    with pytest.raises(PluginError, match=r"cannot hold one of these parameters: clock: ") as raised:
        Spec.of(clocked)
    assert "Given()" in raised.value.hint


def test_the_schema_accepts_what_is_right_and_rejects_what_is_not():
    validator = jsonschema_rs.validator_for(SPEC.schema())
    good = {
        "path": "a",
        "wait": "10m",
        "size": "1MB",
        "rows": 2,
        "mode": "insert",
        "headers": {"a": "b"},
        "schema": {"x": 1},
    }
    assert validator.is_valid(good)
    for bad in ({"rows": "x"}, {"wait": "soon"}, {"mode": "x"}, {"base": "x"}, {"path": 1}, {"headers": {"a": 1}}):
        assert not validator.is_valid(good | bad), bad


def test_the_schema_carries_help_and_defaults_and_no_titles():
    schema = SPEC.schema()
    assert schema["properties"]["rows"] == {"type": "integer", "description": "How many.", "default": 3}
    assert "title" not in schema["properties"]["mode"]
    assert schema["required"] == ["path"]


def test_a_dataclass_is_described_in_place():
    @dataclass
    class Turn:
        role: str

    def talks(*, turns: list[Turn]) -> None: ...

    assert Spec.of(talks).schema()["properties"]["turns"]["items"]["properties"] == {"role": {"type": "string"}}


def test_types_are_named_in_plain_words():
    named = {name: one.type for name, one in SPEC.parameters.items()}
    assert named == {
        "path": "path", "key": "text", "mode": "upsert | insert", "wait": "duration", "size": "size", "cost": "dollars",
        "password": "secret", "headers": "map of secret", "rows": "whole number", "header": "true or false",
        "share": "number", "columns": "text or list of text", "schema": "map of anything", "log": "path",
    }  # fmt: skip
    assert SPEC.doc == "Makes something."
    assert SPEC.parameters["path"].doc == "Where it is."
    assert SPEC.secret == {"password", "headers"}


CONFIGURABLE = (Kind.SOURCE, Kind.BUILDER, Kind.CHECK, Kind.RETRY, Kind.SINK, Kind.PROVIDER)
BUILTIN = [offer for kind in CONFIGURABLE for offer in Plugins(entry_points=False).offers(kind).values()]


@pytest.mark.parametrize("offer", BUILTIN, ids=lambda offer: f"{offer.kind}-{offer.name}")
def test_every_option_of_a_built_in_part_has_help(offer):
    spec = Spec.of(offer.load())
    assert spec.doc
    assert not [name for name, one in spec.parameters.items() if not one.doc]
