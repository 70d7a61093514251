"""`batchflow schema`: the job file's JSON schema."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from batchflow.cli.options import HERE, JobFile, NoPlugins


def schema(
    *,
    output: Annotated[Path | None, Parameter(help="Write it to this file, like `batchflow.schema.json`.")] = None,
    file: JobFile = HERE,
    no_plugins: NoPlugins = False,
) -> int:
    """Print the JSON schema of job files, with the options of every plugin, for editors.

    An editor finds it by the job file's first line: `# yaml-language-server: $schema=./batchflow.schema.json`
    """
    from batchflow.cli.schema import schema as write
    from batchflow.config.plugging import plugins_for

    return write(plugins=plugins_for(file, off=no_plugins), output=output)
