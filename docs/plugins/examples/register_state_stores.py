"""A built-in store under a name of your own, with options that you decide once for everybody."""

from pathlib import Path

from batchflow import Plugins
from batchflow.plugin import Register, StateStore, hookimpl


def team_state() -> StateStore:
    """Keep the state of the team's runs on the disk that is backed up."""
    return Plugins(entry_points=False).state_store("sqlite")(path=Path("/var/lib/batchflow/state.db"))


class House:
    @hookimpl
    def register_state_stores(self, register: Register) -> None:
        register("team", team_state)


store = Plugins([House()]).state_store("team")()  # nothing is opened yet: `Batchflow(store=store)` does that
assert callable(store.commit)
