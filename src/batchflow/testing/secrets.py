"""The tests that every secret store must pass: subclass `SecretStoreContract`, say how a secret is put there, and run pytest.

class TestFolder(SecretStoreContract):
@pytest.fixture
def vault(self, tmp_path):
return FolderVault(tmp_path)
"""

from contextlib import suppress
from typing import Protocol, runtime_checkable

import pytest

from batchflow.ports.secrets import Secrets

HIDDEN = "hunter2-and-then-some"
TEXTS = {
    "a key": "sk-ant-api03-AbC_123-xyz==",
    "spaces": "a pass phrase with  two spaces",
    "every kind of character": "pässwörd-漢字-\U0001f511",
    "signs of other languages": "$HOME ${x} %s {{ y }} 'q' \"q\" \\n `id`",
    "lines": "-----BEGIN PRIVATE KEY-----\nMIIEvQ\nABC=\n-----END PRIVATE KEY-----",
    "ten thousand letters": "x" * 10_000,
}
"""What secrets look like. None ends in a line end: editors put one there, and a store may take it away."""
ODD_NAMES = (
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "a/../../b",
    "n" * 300,
    "nul\0inside",
    "*",
    " ",
    "'; --",
    "é\u2028",
)
"""Names that lead out, or nowhere."""


class Vault(Protocol):
    """Where secrets are put, to be found by the store under test."""

    def put(self, name: str, secret: str) -> None:
        """Keeps a secret under a name, in place of what was there."""
        ...

    def store(self) -> Secrets:
        """Makes a new store that looks there."""
        ...


@runtime_checkable
class Spoilable(Protocol):
    """A vault that can hold something that is no text."""

    def spoil(self, name: str) -> None:
        """Keeps under a name what is no text."""
        ...


@runtime_checkable
class Removable(Protocol):
    """A vault that can be missing, or closed."""

    def remove(self) -> None:
        """Takes it away."""
        ...


class SecretStoreContract:
    """The promises of `ports.secrets`. Give a `vault`."""

    @pytest.fixture
    def vault(self) -> Vault:
        """Where secrets are put."""
        raise NotImplementedError("give a `vault` fixture in the subclass")

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
    def test_a_secret_is_found_as_it_was_put(self, vault: Vault, text: str) -> None:
        vault.put("api_key", text)
        assert vault.store().find("api_key") == text

    def test_secrets_are_told_apart(self, vault: Vault) -> None:
        vault.put("one", "first")
        vault.put("two", "second")
        store = vault.store()
        assert [store.find(name) for name in ("one", "two", "one")] == ["first", "second", "first"]

    def test_what_is_not_there_is_none_or_a_sentence_that_names_it(self, vault: Vault) -> None:
        vault.put("other", HIDDEN)
        assert_no_secret(vault.store(), "api_key", named=True)

    def test_names_are_told_apart_by_every_letter(self, vault: Vault) -> None:
        vault.put("api_key", HIDDEN)
        for name in ("api_ke", "api_key2", "pi_key"):
            assert_no_secret(vault.store(), name)

    @pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
    def test_a_name_that_leads_nowhere_is_answered_and_not_crashed_upon(self, vault: Vault, name: str) -> None:
        vault.put("api_key", HIDDEN)
        assert_no_secret(vault.store(), name)

    def test_an_odd_name_does_not_spoil_the_next(self, vault: Vault) -> None:
        vault.put("api_key", HIDDEN)
        store = vault.store()
        with suppress(ValueError):
            store.find("../x")
        assert store.find("api_key") == HIDDEN

    def test_one_that_was_changed_is_found_by_the_next_process(self, vault: Vault) -> None:
        vault.put("api_key", "old")
        vault.store().find("api_key")
        vault.put("api_key", "new")
        assert vault.store().find("api_key") == "new"

    def test_it_does_not_show_what_it_found(self, vault: Vault) -> None:
        vault.put("api_key", HIDDEN)
        store = vault.store()
        store.find("api_key")
        assert HIDDEN not in f"{store!r} {store}"

    def test_what_is_no_text_is_a_sentence_that_names_it(self, vault: Vault) -> None:
        if not isinstance(vault, Spoilable):
            pytest.skip("this vault can hold nothing but texts")
        vault.spoil("api_key")
        with pytest.raises(ValueError, match="api_key") as caught:
            vault.store().find("api_key")
        assert "decode" not in str(caught.value), "a message of Python's own quotes the bytes it stumbled upon"

    def test_making_it_asks_nobody(self, vault: Vault) -> None:
        _missing(vault)
        assert vault.store()

    def test_a_vault_that_is_missing_is_a_sentence(self, vault: Vault) -> None:
        _missing(vault)
        with pytest.raises(ValueError, match=r"\w+ \w+"):
            vault.store().find("api_key")


def assert_no_secret(store: Secrets, name: str, *, named: bool = False) -> None:
    """Asserts that there is none of that name: None, or a `ValueError` that quotes no other."""
    said = f"none, and {name}"
    try:
        found = store.find(name)
    except ValueError as error:
        found, said = None, str(error)
    assert found is None
    assert said
    assert HIDDEN not in said
    assert not named or name in said


def _missing(vault: Vault) -> None:
    if not isinstance(vault, Removable):
        pytest.skip("this vault cannot be missing")
    vault.put("api_key", HIDDEN)
    vault.remove()
