"""`batchflow plugin list | check | why | new`: what plugins there are, whether one is sound, who brings the parts of a job; a new one."""

from typing import Annotated

from cyclopts import App, Parameter

from batchflow.cli.options import HERE, JobFile, Json, NoPlugins
from batchflow.cli.scaffolds import Wanted

plugin = App(
    name="plugin", help="List plugins, check one, say which part of a job comes from which, or write a new one."
)


@plugin.command(name="list")
def list_(*, file: JobFile = HERE, json: Json = False, no_plugins: NoPlugins = False) -> int:
    """List all plugins in the order in which they are loaded: whence they come, what they bring, and which are broken or denied.

    With `--no-plugins` nothing of theirs is imported: they are only named.
    """
    from batchflow.cli.plugging import tell_all

    return tell_all(file, json=json, off=no_plugins)


@plugin.command
def check(
    name: Annotated[
        str, Parameter(help="A plugin's name, its distribution, or a file `*.py`. Default: all of them.")
    ] = "",
    /,
    *,
    file: JobFile = HERE,
    json: Json = False,
) -> int:
    """Load a plugin and say everything that is wrong with it: hooks, factories, options. Nothing is made and nothing is sent.

    Exit code 8 says that something is.
    """
    from batchflow.cli.plugging import check as look

    return look(name, file, json=json)


@plugin.command
def why(
    *what: Annotated[
        str, Parameter(name="FILE JOB", help="The job file (`batchflow.yaml`), then names of jobs (all).")
    ],
    json: Json = False,
    no_plugins: NoPlugins = False,
) -> int:
    """Say for every part of a job which plugin brings it, and whose part of the same name it replaced."""
    from batchflow.cli.plugging import why as tell

    return tell(what, json=json, off=no_plugins)


@plugin.command
def new(
    name: Annotated[str, Parameter(help="What it is called, like `acme-lake`; also the folder that is written.")],
    /,
    *,
    kind: Annotated[Wanted, Parameter(help="What it brings.")] = "sink",
) -> int:
    """Write a package with one part that works, its contract tests, and a job that uses it. Nothing is ever overwritten."""
    from batchflow.cli.scaffolding import new as write

    return write(name, kind)
