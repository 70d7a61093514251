"""A secret store of the house. In a job file: `api_key: "${secret:vault:anthropic/batch}"`."""

from collections.abc import Mapping

from batchflow import Plugins
from batchflow.plugin import Register, hookimpl


class Vault:
    """Stands for a client of your vault. None says that there is no such secret."""

    def __init__(self, kept: Mapping[str, str]) -> None:
        self._kept = kept

    def find(self, name: str) -> str | None:
        return self._kept.get(name)


def vault() -> Vault:
    """Look secrets up in the vault."""
    return Vault({"anthropic/batch": "sk-ant-example"})


class House:
    @hookimpl
    def register_secrets(self, register: Register) -> None:
        register("vault", vault)


store = Plugins([House()]).secret_store("vault")()
assert store.find("anthropic/batch") == "sk-ant-example"
assert store.find("anthropic/other") is None
