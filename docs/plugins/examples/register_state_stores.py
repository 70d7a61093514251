"""A built-in store under a name of your own, with options that you decide once for everybody."""

from pathlib import Path

from batchflow import Plugins
from batchflow.builtin.stores.sqlite import SqliteState, sqlite_state
from batchflow.plugin import Register, hookimpl


def team_state() -> SqliteState:
    """Keep the state of the team's runs on the disk that is backed up."""
    return sqlite_state(path=Path("/var/lib/batchflow/state.db"))


class House:
    @hookimpl
    def register_state_stores(self, register: Register) -> None:
        register("team", team_state)


store = Plugins([House()]).state_store("team")()  # nothing is opened yet: `Batchflow(store=store)` does that
assert isinstance(store, SqliteState)
