"""`template`: the builder that a job's `request:` describes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from batchflow.builtin.builders.attachment import attachment
from batchflow.builtin.builders.builder import TemplateBuilder
from batchflow.builtin.builders.environment import environment
from batchflow.builtin.builders.files import data_of
from batchflow.builtin.builders.request import Writer, conversation, output_config
from batchflow.model.units import Doc, Given


def template(
    *,
    model: Annotated[str, Doc("The model to ask. May be a template.")],
    max_tokens: Annotated[int | str, Doc("The most tokens an answer may have. May be a template.")],
    system: Annotated[
        str | dict[str, Any] | list[dict[str, Any]] | None,
        Doc("The system prompt: a template, {file: PATH}, {load: LOADER, ...}, or a list of blocks."),
    ] = None,
    prompt: Annotated[
        str | dict[str, Any] | None, Doc("The last user turn: a template, {file: PATH}, or {load: LOADER, ...}.")
    ] = None,
    messages: Annotated[
        list[dict[str, Any]] | dict[str, Any] | None,
        Doc("Turns that come before the prompt: a list, or {file: PATH} to JSON or YAML. Their texts are templates."),
    ] = None,
    tools: Annotated[list[dict[str, Any]] | None, Doc("Tools the model may use, as the API takes them.")] = None,
    output: Annotated[
        dict[str, Any] | None, Doc("JSON schema of the answer, or {file: PATH}: sent as structured output.")
    ] = None,
    attach: Annotated[
        str | dict[str, str] | None,
        Doc(
            "Column of a base64 PDF or image to put before the text of the last user turn, or {column: NAME, media_type: TYPE}."
        ),
    ] = None,
    override: Annotated[str | None, Doc("Column with a JSON object that is merged over this record's request.")] = None,
    base: Annotated[Path, Given(), Doc("Folder that {file: PATH} starts from: the job file's own.")] = Path(),
    filters: Annotated[
        Mapping[str, Callable[..., Any]] | None, Given(), Doc("Template filters beside Jinja2's own, by name.")
    ] = None,
    globals: Annotated[
        Mapping[str, Callable[..., Any]] | None, Given(), Doc("Template functions beside Jinja2's own, by name.")
    ] = None,
    **params: Annotated[Any, Doc("Any other parameter of the API, sent as it is.")],
) -> TemplateBuilder:
    """Builds requests from Jinja2 templates over each record's columns.

    Texts see the record's columns as variables, and the record itself as `record` (for names like "Claim text"). A
    variable that a record lacks makes that record a dead letter; one that no record can have is found by `validate`.
    """
    writer = Writer(environment=environment(filters, globals), base=base)
    if prompt is None and not messages:
        raise ValueError("a request needs a prompt, or messages")
    schema = data_of(output, where="output", base=base)
    attached = attachment(attach)
    tree: dict[str, Any] = {"model": writer.text(model, "model"), "max_tokens": writer.number(max_tokens, "max_tokens")}
    tree |= ({"tools": tools} if tools is not None else {}) | params
    tree |= {"output_config": output_config(params.get("output_config"), schema)} if schema is not None else {}
    tree |= {"system": writer.system(system)} if system is not None else {}
    turns = writer.messages(messages) if messages else []
    asked = writer.text(prompt, "prompt") if prompt is not None else None
    tree["messages"] = conversation(turns, asked, attached)
    return TemplateBuilder(
        tree, texts=writer.texts, passed=tuple(params), attachment=attached, override=override, output=schema
    )
