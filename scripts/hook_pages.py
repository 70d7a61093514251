"""The pages of `docs/plugins`: one a hook, made of its spec, of what its first word means, and of one example file.

A new hook gets its page by one file, `docs/plugins/examples/HOOK.py`: its docstring is said before it, the rest is shown
as it is, and run by the tests of the docs.
"""

import ast
import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from batchflow import testing
from batchflow.extend import hooks
from batchflow.extend.kinds import HOOKS

FOLDER = Path(__file__).parent.parent / "docs" / "plugins"
EXAMPLES = FOLDER / "examples"
MADE = "<!-- made by scripts/reference.py of the hook's spec and of `examples/{name}.py`: change those -->"

CALLED: Mapping[str, str] = MappingProxyType(
    {
        "register": "Once, when an app is made (`Batchflow(...)`, or a command). Every plugin is asked: the built-in parts first, then "
        "installed distributions by the name of their entry point, then the job file's `plugins:`, then objects handed in. A name that "
        "was there already is replaced, with a notice.",
        "check": "Before money is spent. Every plugin is asked, and all that is found is told at once.",
        "choose": "Whenever that one thing is to be decided. The plugin that was loaded last is asked first, and the first answer that "
        "is not `None` counts.",
        "on": "After the commit that it tells of, event by event, in a thread that each plugin has for itself. When a run has ended, it is waited for, "
        "up to ten seconds for each event. A process that dies in between tells nobody.",
    }
)
"""When and how a hook is called, by its first word."""

RAISES: Mapping[str, str] = MappingProxyType(
    {
        "register": "Nothing of that plugin is taken: `batchflow plugin list` says why. Jobs that need none of its parts go on; one that "
        "does is refused with the plugin's name and the reason. An object that was handed in raises `PluginError` at once.",
        "check": "That is a problem of the job, too, and named as the plugin's: the job is not run.",
        "choose": "That is logged once, with the plugin's name, and counts as `None`. So does an answer that is no number, or out of bounds.",
        "on": "The error is logged with the plugin's name. The run goes on, and so do the other plugins. One that hangs is named, and "
        "waited for no longer.",
    }
)
"""What happens when a hook raises, by its first word."""

ALWAYS = (
    "A hook is a plain `def` with `@hookimpl`, and may declare fewer parameters than listed; an `async def`, a misspelt "
    "name (with the right spelling) or a parameter that does not exist are refused when the plugin is loaded."
)


def all_hooks() -> dict[str, Callable[..., Any]]:
    """Find the specs, in the order in which they are declared."""
    return {name: made for name, made in vars(hooks).items() if hasattr(made, "batchflow_spec")}


def first_word(name: str) -> str:
    """Give the word that says how a hook is called."""
    return name.partition("_")[0]


def said(hook: Callable[..., Any]) -> str:
    """Give a hook's own sentences, in one line."""
    return " ".join((inspect.getdoc(hook) or "").split())


def signature(hook: Callable[..., Any]) -> str:
    """Write a hook as an author would, without where its types come from."""
    return hook.__name__ + re.sub(r"[a-z_.]+[.]([A-Z])", r"\1", str(inspect.signature(hook)))


def pages() -> dict[Path, str]:
    """Make every page of the folder that is made as a whole."""
    return {FOLDER / f"{name}.md": page(name, hook) for name, hook in all_hooks().items()}


def page(name: str, hook: Callable[..., Any]) -> str:
    """Make the page of one hook."""
    word = first_word(name)
    parts = [
        f"# `{name}`",
        MADE.format(name=name),
        said(hook),
        f"```text\n{signature(hook)}\n```",
        f"**When it is called.** {CALLED[word]}",
        f"**When it raises.** {RAISES[word]}",
        *_contract(name),
        ALWAYS,
        "## Example",
        *_example(EXAMPLES / f"{name}.py"),
        "[All hooks](README.md)",
    ]
    return "\n\n".join(parts) + "\n"


def _contract(name: str) -> list[str]:
    """Name the tests that a part of this kind is held to, where there are some."""
    kinds = [kind for kind, hook in HOOKS.items() if hook == name]
    kits = [f"{kind.title().replace('_', '')}Contract" for kind in kinds]
    return [
        f"**What holds it to its promises.** `batchflow.testing.{kit}`: subclass it, give its fixtures, and each promise is a test."
        for kit in kits
        if kit in testing.__all__
    ]


def _example(path: Path) -> list[str]:
    """Split an example into what is said before it and what is shown."""
    if not path.exists():
        return [f"There is no example: write `examples/{path.name}`."]  # and a test fails until there is
    text = path.read_text(encoding="utf-8")
    first = ast.parse(text).body[0]
    shown = "\n".join(text.splitlines()[first.end_lineno or 0 :]).strip()
    return [ast.get_docstring(ast.parse(text)) or "", f"```python\n{shown}\n```"]


def index() -> str:
    """List the hooks, each with its page, by their first word."""
    made = all_hooks()
    words = dict.fromkeys(map(first_word, made))
    return "\n".join(f"**`{word}_*`** {CALLED[word]}\n\n{_listed(word, made)}\n" for word in words)


def _listed(word: str, made: Mapping[str, Callable[..., Any]]) -> str:
    rows = [
        f"| [`{name}`]({name}.md) | {said(hook).replace('|', '')} |"
        for name, hook in made.items()
        if first_word(name) == word
    ]
    return "\n".join(["| hook | |", "|---|---|", *rows])
