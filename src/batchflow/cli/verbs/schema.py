"""`batchflow schema`: the job file's JSON schema."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def schema(
    *, output: Annotated[Path | None, Parameter(help="Write it to this file, like `batchflow.schema.json`.")] = None
) -> int:
    """Print the JSON schema of job files, with the options of every installed plugin, for editors.

    An editor finds it by the job file's first line: `# yaml-language-server: $schema=./batchflow.schema.json`
    """
    from batchflow.cli.schema import schema as write
    from batchflow.extend.facade import Plugins

    return write(plugins=Plugins(), output=output)
