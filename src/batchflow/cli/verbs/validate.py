"""`batchflow validate [FILE] [JOB...]`: find every mistake in a job file."""

from typing import Annotated

from cyclopts import Parameter

from batchflow.cli.options import Json, NoPlugins


def validate(
    *what: Annotated[
        str, Parameter(name="FILE JOB", help="The job file (`batchflow.yaml`), then names of jobs (all).")
    ],
    json: Json = False,
    no_plugins: NoPlugins = False,
) -> int:
    """Find every mistake in a job file, each with its line, and what to write instead. Sends and writes nothing.

    The source's first 100 records are read and built, so that a missing column or an unknown variable is found too.
    """
    from batchflow.cli.checking import check_file

    return check_file(what, json=json, no_plugins=no_plugins)
