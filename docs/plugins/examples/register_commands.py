"""A verb of your own: `batchflow tenants --top 3`. The built-in verbs keep their names."""

from typing import Annotated

from cyclopts import Parameter

from batchflow import Plugins
from batchflow.plugin import Register, hookimpl


def tenants(*, top: Annotated[int, Parameter(help="How many to show.")] = 10) -> int:
    """List the tenants that cost most; the exit code is what is returned."""
    print(f"the first {top}")
    return 0


class House:
    @hookimpl
    def register_commands(self, register: Register) -> None:
        register("tenants", tenants)


verb = Plugins([House()]).commands()["tenants"]
assert verb(top=3) == 0
