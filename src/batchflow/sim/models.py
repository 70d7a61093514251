"""The models the simulator serves, and the facts about each that decide whether a request is valid."""

from typing import Any

import msgspec

from batchflow.sim.clock import rfc3339


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One model: `id` is the alias callers send, `snapshot` what answers carry."""

    id: str
    snapshot: str
    generation: tuple[int, int]
    max_output: int
    max_input: int
    cache_minimum: int

    @property
    def line(self) -> str:
        """The family name: opus, sonnet, haiku, fable or mythos."""
        return self.id.split("-")[1]


def _model(name: str, generation: tuple[int, int], *, day: str = "", output: int = 128_000, cache: int = 512) -> Model:
    window = 200_000 if generation <= (4, 5) else 1_000_000
    snapshot = f"{name}-{day}" if day else name
    return Model(
        id=name, snapshot=snapshot, generation=generation, max_output=output, max_input=window, cache_minimum=cache
    )


CATALOGUE: tuple[Model, ...] = (
    _model("claude-fable-5-2", (5, 2)),
    _model("claude-mythos-5-2", (5, 2)),
    _model("claude-haiku-5-5", (5, 5)),
    _model("claude-sonnet-5-5", (5, 5)),
    _model("claude-opus-5-5", (5, 5)),
    _model("claude-fable-5-1", (5, 1)),
    _model("claude-mythos-5-1", (5, 1)),
    _model("claude-sonnet-5", (5, 0), cache=1024),
    _model("claude-opus-5", (5, 0)),
    _model("claude-fable-5", (5, 0)),
    _model("claude-mythos-5", (5, 0)),
    _model("claude-opus-4-8", (4, 8), cache=1024),
    _model("claude-opus-4-7", (4, 7), cache=2048),
    _model("claude-mythos-preview", (4, 7), cache=2048),
    _model("claude-opus-4-6", (4, 6), cache=4096),
    _model("claude-sonnet-4-6", (4, 6), cache=1024),
    _model("claude-opus-4-5", (4, 5), day="20251101", output=64_000, cache=4096),
    _model("claude-haiku-4-5", (4, 5), day="20251001", output=64_000, cache=4096),
    _model("claude-sonnet-4-5", (4, 5), day="20250929", output=64_000, cache=1024),
)
_BY_NAME = {name: model for model in CATALOGUE for name in (model.id, model.snapshot)}

EXTENDED_OUTPUT = "output-300k-2026-03-24"
_EXTENDED = frozenset(
    {"claude-opus-5-5", "claude-opus-5", "claude-opus-4-8", "claude-opus-4-7", "claude-opus-4-6"}
    | {"claude-sonnet-5-5", "claude-sonnet-5", "claude-sonnet-4-6", "claude-haiku-5-5"}
)


def find(name: str) -> Model | None:
    """The model with this alias or snapshot id."""
    return _BY_NAME.get(name)


def output_limit(model: Model, betas: frozenset[str], *, batch: bool) -> int:
    """The largest `max_tokens` the model accepts here."""
    if batch and EXTENDED_OUTPUT in betas and model.id in _EXTENDED:
        return 300_000
    return model.max_output


def info(model: Model) -> dict[str, Any]:
    """The model as GET /v1/models shows it."""
    yes, no = {"supported": True}, {"supported": False}
    modern = yes if model.generation >= (4, 6) else no
    levels = dict.fromkeys(("low", "medium", "high", "xhigh", "max"), modern)
    edits = dict.fromkeys(("clear_thinking_20251015", "clear_tool_uses_20250919", "compact_20260112"), yes)
    thinking = {
        "enabled": yes if model.generation < (4, 7) else no,
        "adaptive": modern,
        "disabled": yes,
        "between_tools": modern,
    }
    return {
        "type": "model",
        "id": model.snapshot,
        "display_name": model.id.replace("-", " ").title(),
        "created_at": rfc3339(0.0),
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": model.line,
        "max_input_tokens": model.max_input,
        "max_tokens": model.max_output,
        "capabilities": {
            "batch": yes,
            "citations": yes,
            "code_execution": yes,
            "context_management": {**yes, **edits},
            "effort": {**modern, **levels},
            "image_input": yes,
            "pdf_input": yes,
            "server_tools": {**yes, "web_search": yes, "code_execution": yes},
            "structured_outputs": yes,
            "thinking": {**yes, "types": thinking},
        },
    }
