"""The parts that come in the box: sources, builders, checks, sinks, stores, a webhook, the Anthropic provider.

They know only model, ports and extend, and register through the same door as anybody's plugin; a plugin that registers
the same name replaces them. Factories are named by path, so that `--help` imports none of them.
"""

from batchflow.extend.hooks import Register, hookimpl


@hookimpl
def register_sources(register: Register) -> None:
    """Files, standard input and SQLite."""
    for name in ("jsonl", "csv", "sqlite", "files", "stdin"):
        register(name, f"batchflow.builtin.sources.{name}:{name}")


@hookimpl
def register_builders(register: Register) -> None:
    """Jinja2 templates."""
    register("template", "batchflow.builtin.builders.template:template")


@hookimpl
def register_providers(register: Register) -> None:
    """Anthropic's Message Batches API."""
    register("anthropic", "batchflow.builtin.anthropic.provider:anthropic")


@hookimpl
def register_checks(register: Register) -> None:
    """JSON schemas."""
    register("schema", "batchflow.builtin.checks.schema:schema")


@hookimpl
def register_retries(register: Register) -> None:
    """The default policy."""
    register("standard", "batchflow.builtin.retry:standard")


@hookimpl
def register_sinks(register: Register) -> None:
    """Standard output, files and SQLite."""
    for name in ("stdout", "jsonl", "csv", "sqlite"):
        register(name, f"batchflow.builtin.sinks.{name}:{name}")


@hookimpl
def register_state_stores(register: Register) -> None:
    """SQLite, and memory for tests and throw-away runs."""
    register("sqlite", "batchflow.builtin.stores.sqlite:sqlite_state")
    register("memory", "batchflow.builtin.stores.memory:memory_state")


@hookimpl
def register_blob_stores(register: Register) -> None:
    """A local folder, and memory for tests and throw-away runs."""
    register("folder", "batchflow.builtin.stores.folder:folder")
    register("memory", "batchflow.builtin.stores.memory:memory_blobs")


@hookimpl
def register_prices(register: Register) -> None:
    """Anthropic's price list."""
    register("anthropic", "batchflow.builtin.anthropic.prices:anthropic_prices")


@hookimpl
def register_notifiers(register: Register) -> None:
    """Signed webhooks."""
    register("webhook", "batchflow.builtin.notifiers.webhook:webhook")


@hookimpl
def register_secrets(register: Register) -> None:
    """A folder of files."""
    register("folder", "batchflow.builtin.secrets.folder:folder")
