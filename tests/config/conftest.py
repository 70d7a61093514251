"""A job file, the plugins it is read with, and what is said about it."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from batchflow.config.load import load
from batchflow.extend.facade import Plugins
from batchflow.model.errors import ConfigError
from batchflow.model.units import Doc, Given, Mendable, Secret
from batchflow.plugin import hookimpl


class Made:
    """What the fakes make: it remembers what it was made from."""

    promise = "at_least_once"

    def __init__(self, **options):
        self.options = options

    async def read(self, after): ...

    def build(self, record): ...

    def decide(self, failure): ...

    def check(self, result):
        return result

    async def fingerprint(self): ...

    async def open(self, context, last): ...

    async def write(self, part): ...

    async def close(self): ...


def table(*, path: Path, table: str = "t", dsn: Secret | None = None, mode: Literal["add", "set"] = "add") -> Made:
    """A table."""
    if mode == "set" and table == "t":
        raise ValueError("table must be named with `mode: set`")
    return Made(path=path, table=table, dsn=dsn, mode=mode)


def rows(
    *,
    path: Path,
    key: str = "id",
    carry: Annotated[tuple[str, ...], Given()] = (),
    spool: Annotated[Path | None, Given()] = None,
) -> Made:
    """Rows."""
    return Made(path=path, key=key, carry=carry, spool=spool)


def asks(*, model: str, prompt: str | dict[str, str] = "", base: Annotated[Path, Given()], **params: Any) -> Made:
    """Asks."""
    if model == "none":
        raise ValueError("model: none is no model")
    return Made(model=model, prompt=prompt, base=base, **params)


def needy(*, engine: Annotated[object, Given()]) -> Made:
    """Needs what nobody has."""
    return Made(engine=engine)


def shaped(*, output: Annotated[object, Given()] = "not told") -> object:
    """Has typed columns."""
    return [output]


def crashes() -> Made:
    """Fails."""
    raise RuntimeError("no driver")


def remote(
    *,
    key: Annotated[Secret | None, Doc("k")] = None,
    url: Annotated[str, Mendable(), Doc("u")] = "https://api",
    headers: dict[str, Secret] | None = None,
    retries: int = 0,
) -> Made:
    """Answers."""
    if url == "nowhere":
        raise ValueError(f"url: {url} is no address")
    return Made(key=key, url=url, headers=headers)


def quoting(*, key: Secret) -> Made:
    """Says too much."""
    raise RuntimeError(f"cannot use {key.reveal()}")


class Fakes:
    @hookimpl
    def register_sources(self, register):
        register("rows", rows)
        register("needy", needy)

    @hookimpl
    def register_builders(self, register):
        register("asks", asks)

    @hookimpl
    def register_sinks(self, register):
        register("table", table)
        register("crashes", crashes)
        register("shaped", shaped)
        register("broken", "no_such_module_anywhere:sink")

    @hookimpl
    def register_providers(self, register):
        register("remote", remote)
        register("quoting", quoting)


@pytest.fixture
def more():
    """Plugins beside the fakes."""
    return []


@pytest.fixture
def plugins(more):
    return Plugins([Fakes(), *more], entry_points=False)


JOB = """\
version: 1
provider: {type: remote, key: "${env:KEY}"}
jobs:
  triage:
    source: {type: rows, path: in.jsonl}
    request: {type: asks, model: m}
    sinks: [{type: table, path: out.db}]
"""
ENV = {"KEY": "hunter2hunter2"}


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write a job file and go where it is, so that messages name it shortly."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="job.yaml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return Path(name)

    return write


@pytest.fixture
def loaded(written, plugins):
    return lambda text=JOB, env=ENV, **options: load(written(text), plugins, env, **options)


@pytest.fixture
def refused(loaded):
    """Everything that is said about a bad job file."""

    def refuse(text, env=ENV, **options):
        with pytest.raises(ConfigError) as raised:
            loaded(text, env, **options)
        return raised.value

    return refuse


@pytest.fixture
def heads(refused):
    """The first line of each thing said."""
    return lambda text, env=ENV: [problem.partition("\n")[0] for problem in refused(text, env).problems]
