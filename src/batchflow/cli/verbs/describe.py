"""`batchflow describe [KIND] [NAME]`: the components there are, and the options of each."""

from typing import Annotated

from cyclopts import Parameter

from batchflow.cli.options import Json


def describe(
    kind: Annotated[str, Parameter(help="`source`, `builder`, `check`, `retry`, `sink`, `provider` ...")] = "",
    name: Annotated[str, Parameter(help="One component of that kind: then all its options.")] = "",
    /,
    *,
    json: Json = False,
) -> int:
    """List the components there are, built in and brought by plugins, or explain every option of one."""
    from batchflow.cli.describe import describe as tell
    from batchflow.extend.facade import Plugins

    return tell(kind, name, plugins=Plugins(), json=json)
