"""`batchflow describe [KIND] [NAME]`: the components there are, and the options of each."""

from typing import Annotated

from cyclopts import Parameter

from batchflow.cli.options import HERE, JobFile, Json, NoPlugins


def describe(
    kind: Annotated[str, Parameter(help="`source`, `builder`, `check`, `retry`, `sink`, `provider` ...")] = "",
    name: Annotated[str, Parameter(help="One component of that kind: then all its options.")] = "",
    /,
    *,
    file: JobFile = HERE,
    json: Json = False,
    no_plugins: NoPlugins = False,
) -> int:
    """List the components there are, built in and brought by plugins, or explain every option of one."""
    from batchflow.cli.describe import describe as tell
    from batchflow.config.plugging import plugins_for

    return tell(kind, name, plugins=plugins_for(file, off=no_plugins), json=json)
