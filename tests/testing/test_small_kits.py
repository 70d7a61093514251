"""The contracts of notifiers, secret stores and loaders find out those that break a promise."""

import pytest

from batchflow.model.errors import NotifyError
from batchflow.testing import LoaderContract, NotifierContract, SecretStoreContract
from batchflow.testing.loader import TEXTS


class Wall:
    """A receiver whose notifier forgets ids, and calls everything that goes wrong weather."""

    def __init__(self):
        self.written = []
        self.mood = "well"

    def be(self, mood):
        self.mood = mood

    def heard(self):
        return self.written

    def notifier(self):
        return self

    async def notify(self, notification):
        if self.mood != "well":
            raise NotifyError("the wall, whose key is hunter2, is wet")
        self.written.append(f"{notification.job} is {notification.status}")

    async def close(self):
        pass


@pytest.mark.parametrize(
    ("test", "given"),
    [
        ("test_the_same_thing_told_again_can_be_known_by_its_id", ()),
        ("test_the_reason_of_a_pause_is_told", ()),
        ("test_what_will_not_pass_is_not", ()),
        ("test_no_failure_quotes_a_secret", (["hunter2"], "busy")),
    ],
)
async def test_a_careless_notifier_is_found_out(test, given):
    with pytest.raises(AssertionError):
        await getattr(NotifierContract(), test)(Wall(), *given)


class Drawer:
    """A vault and a store in one, which says what it has when it is asked for what it has not."""

    def __init__(self):
        self.kept = {}

    def put(self, name, secret):
        self.kept[name] = secret

    def store(self):
        return self

    def find(self, name):
        if name not in self.kept:
            raise ValueError(f"no {name} in {self.kept}")
        return self.kept[name].strip("=")

    def __repr__(self):
        return f"Drawer({self.kept})"


@pytest.mark.parametrize(
    ("test", "given"),
    [
        ("test_a_secret_is_found_as_it_was_put", ("sk-ant==",)),
        ("test_what_is_not_there_is_none_or_a_sentence_that_names_it", ()),
        ("test_it_does_not_show_what_it_found", ()),
    ],
)
def test_a_talkative_secret_store_is_found_out(test, given):
    with pytest.raises(AssertionError):
        getattr(SecretStoreContract(), test)(Drawer(), *given)


class Pile:
    """A library whose loader strips texts and makes the best of what is not there."""

    def __init__(self, base):
        self.base = base

    def put(self, text):
        (self.base / "prompt.md").write_bytes(text.encode())
        return {"path": "prompt.md"}

    def nowhere(self):
        return [{"path": "none.md"}]

    def loader(self):
        def pile(*, path: str) -> str:
            file = self.base / path
            return file.read_text().strip() if file.exists() else ""

        return pile


@pytest.mark.parametrize(
    ("test", "given"),
    [
        ("test_every_option_has_a_type_and_help", ()),
        ("test_a_text_comes_as_it_is", (TEXTS["a template"],)),
        ("test_what_is_nowhere_is_a_sentence", ()),
    ],
)
def test_a_helpful_loader_is_found_out(tmp_path, test, given):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(LoaderContract(), test)(Pile(tmp_path), *given)
