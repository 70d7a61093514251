"""Options that several verbs share, so that they are spelt and explained alike."""

from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter

Json: TypeAlias = Annotated[bool, Parameter(help="Print facts as JSON on standard output.")]
State: TypeAlias = Annotated[
    Path | None,
    Parameter(help="Folder where runs are kept. Default: BATCHFLOW_HOME, else `.batchflow` beside the job file."),
]
FoundState: TypeAlias = Annotated[
    Path | None,
    Parameter(help="Folder where runs are kept. Default: BATCHFLOW_HOME, else `.batchflow` here or in a folder above."),
]
NoWait: TypeAlias = Annotated[
    bool,
    Parameter(
        help="Leave as soon as everything is sent and what has come home is collected; a later `run` collects the rest."
    ),
]
Wait: TypeAlias = Annotated[
    str | None, Parameter(help="Stay at most this long (`90s`, `10m`, `2h`), then leave the rest in flight.")
]
JobFile: TypeAlias = Annotated[
    Path,
    Parameter(name="--file", help="The job file whose plugins count, too. Default: `batchflow.yaml` here, if any."),
]
HERE = Path("batchflow.yaml")
NoPlugins: TypeAlias = Annotated[
    bool, Parameter(name="--no-plugins", help="Load no plugins: neither installed ones nor the job file's.")
]
RunName: TypeAlias = Annotated[
    str, Parameter(help="A job's name (its last run), `job@last`, or the start of a run's id. Default: the newest run.")
]
