"""`batchflow demo`: see 200 records go the whole way."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

FOLDER = Path("batchflow-demo")


def demo(*, into: Annotated[Path, Parameter(help="Folder to write the job and its results to.")] = FOLDER) -> int:
    """See 200 insurance claims go the whole way, with no key and no network, in about ten seconds.

    Starts a simulator on this machine and runs a job with a few injected failures against it: a claim that finds the
    model overloaded, one that expires, one that is cut off, one whose answer is no JSON, and one that is refused.
    """
    import anyio

    from batchflow.cli.demo.show import show

    return anyio.run(show, into)
