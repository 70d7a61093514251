"""`batchflow plugin new`: a package with one part that works, its tests and a job that uses it, to be changed into one's own."""

import re
import sys
from collections.abc import Iterator, Mapping
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from keyword import iskeyword
from pathlib import Path
from types import MappingProxyType

import msgspec

from batchflow.cli.app import VERBS
from batchflow.cli.exits import Exit
from batchflow.cli.running_core import noted_by_installer, uv_sources
from batchflow.cli.scaffolds import Wanted
from batchflow.cli.writing import texts, write_new
from batchflow.extend.facade import Plugins
from batchflow.extend.kinds import Kind
from batchflow.model.errors import RunRefused, UserError
from batchflow.ports.builder import Inspectable

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
THREADED = frozenset({"sink", "source", "notifier"})
"""The kinds whose code hands blocking work to a thread, with anyio."""
CALLED_IN_TEMPLATES: Mapping[str, str] = MappingProxyType({"filter": "{{{{ 'a' | {} }}}}", "global": "{{{{ {}() }}}}"})
"""How those kinds are asked for, which have names that Jinja2 may have, too."""
STYLE = """
[tool.ruff]
line-length = 120

[tool.basedpyright]
include = ["src"]
typeCheckingMode = "strict"
"""
"""Settings by which the packages are clean. In the template itself, they would be ruff's settings for our own checkout, too."""


class Called(msgspec.Struct, frozen=True):
    """What a new plugin is called, as a distribution, as a module and in a job file."""

    name: str

    @property
    def module(self) -> str:
        """The name to import."""
        return self.name.replace("-", "_")

    @property
    def part(self) -> str:
        """The name in job files: `batchflow-lake` brings `lake`."""
        return self.module.removeprefix("batchflow_")

    def put_into(self, text: str) -> str:
        """Replace the names that the templates have."""
        for template, own in (("your_plugin", self.module), ("your-plugin", self.name), ("your_part", self.part)):
            text = text.replace(template, own)
        return text


def new(name: str, kind: Wanted, *, within: Path = Path()) -> Exit:
    """Write a package into a folder of its name."""
    called = Called(name)
    if reason := next(_objections(called, kind), ""):
        raise UserError(
            f"a plugin cannot be called `{name}`: {reason}; nothing was written",
            hint=f"type `batchflow plugin new {_better(name, kind)} --kind {kind}`",
        )
    folder, instead = within / name, "choose another name, or move the folder away"
    if folder.exists() and any(folder.iterdir()):
        raise RunRefused(f"there is a folder {folder} already; nothing was written", hint=instead)
    write_new(folder, package(called, kind, folder), instead=instead)
    sys.stdout.write(
        f"Next: cd {folder} && uv run pytest && uv run batchflow plugin check {name}\n"
        "Without uv: pip install -e . pytest hypothesis, then pytest. README.md says what to change.\n"
    )
    return Exit.DELIVERED


def package(called: Called, kind: Wanted, folder: Path) -> dict[Path, str]:
    """Make the files of a package that is to lie in a folder."""
    templates = files("batchflow.scaffold")
    found = texts(templates / "every") | texts(templates / kind)
    made = {Path(called.put_into(str(path))): called.put_into(text) for path, text in found.items()}
    project = made[Path("pyproject.toml")]
    if kind not in THREADED:
        project = project.replace('"anyio>=4.9", ', "")
    if kind == "command":
        project = project.replace('"batchflow-jobs>=0.1"]', '"batchflow-jobs>=0.1", "cyclopts>=4"]')
    made[Path("pyproject.toml")] = project + STYLE + uv_sources(noted_by_installer(), folder)
    return made


def _objections(called: Called, kind: Wanted) -> Iterator[str]:
    if not NAME.fullmatch(called.name):
        yield "a name is made of lower-case letters, digits and single dashes, and begins with a letter"
    elif iskeyword(called.module):
        yield "that is a word of Python's own"
    elif called.module in sys.stdlib_module_names:
        yield "a module of Python's own has that name"
    elif called.module in {"batchflow", "your_plugin", "tests"}:
        yield "that name is taken"
    elif _is_installed(called):
        yield "something installed here has that name"
    elif kind == "command" and called.part in {verb for verb, _, _ in VERBS}:
        yield f"batchflow has a verb `{called.part}`, which is the one that would be run"
    elif _is_there(kind, called.part):
        yield f"batchflow has a {kind.replace('prices', 'price book')} `{called.part}`, which yours would replace"


def _is_there(kind: Wanted, part: str) -> bool:
    """Look for a part of that name in the box; templates have Jinja2's own, too."""
    plugins = Plugins(entry_points=False)
    if kind in CALLED_IN_TEMPLATES:
        return _renders(plugins, CALLED_IN_TEMPLATES[kind].format(part))
    return kind in set(Kind) and part in plugins.offers(Kind(kind))


def _renders(plugins: Plugins, prompt: str) -> bool:
    try:
        builder = plugins.builder("template")(model="any", max_tokens=1, prompt=prompt)
    except ValueError:
        return False
    return isinstance(builder, Inspectable) and not builder.problems(frozenset(), version="")


def _is_installed(called: Called) -> bool:
    """Look for a distribution and for a module; a bare folder, which Python would import too, is no module."""
    try:
        distribution(called.name)
    except PackageNotFoundError:
        spec = PathFinder.find_spec(called.module)
        return spec is not None and spec.origin is not None
    return True


def _better(name: str, kind: str) -> str:
    """Suggest a name: the same one, mended, and longer by what it is where that is not enough."""
    mended = "-".join(re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()))
    if mended and not mended[0].isalpha():
        mended = f"my-{mended}"
    mended = mended or f"my-{kind}"
    return f"{mended}-{kind.replace('_', '-')}" if next(_objections(Called(mended), _as_kind(kind)), "") else mended


def _as_kind(kind: str) -> Wanted:
    return msgspec.convert(kind, Wanted)
