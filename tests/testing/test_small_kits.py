"""The contracts of notifiers, secret stores, loaders, retry policies, checks and sources find out those that break a promise."""

from contextlib import nullcontext
from types import SimpleNamespace

import msgspec
import pytest

from batchflow.model.errors import NotifyError
from batchflow.model.record import Page, Record
from batchflow.model.words import Word
from batchflow.ports.retry import GiveUp, Retry
from batchflow.testing import (
    CheckContract,
    LoaderContract,
    NotifierContract,
    RetryContract,
    SecretStoreContract,
    SourceContract,
)
from batchflow.testing.loader import TEXTS
from batchflow.testing.sink import result


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


@pytest.mark.parametrize("change", [{"max_tokens": 9}, "nonsense", None, [1], {"at": object()}, {"at": {1, 2}}, {1: 2}])
def test_a_policy_with_a_senseless_change_is_found_out(change):
    def decide(failure):
        return Retry(1.0, change) if failure.attempt == 3 else GiveUp()

    with nullcontext() if change == {"max_tokens": 9} else pytest.raises(AssertionError):
        RetryContract().test_a_change_is_an_object_of_json(SimpleNamespace(decide=decide), Word.OVERLOADED)


@pytest.mark.parametrize("word", [Word.OK, Word.REJECTED, "ok", "splendid", None])
def test_a_check_with_a_word_of_its_own_is_found_out(word):
    def check(result):
        return msgspec.structs.replace(result, word=word)

    with nullcontext() if isinstance(word, Word) else pytest.raises(AssertionError):
        CheckContract().test_what_passed_has_a_word_that_there_is(SimpleNamespace(check=check), [result("a")])


class Shelf:
    """A place, its source and its pages' `behind`: one which counts from the beginning of its page and is off by so much."""

    def __init__(self, behind):
        self.behind = behind

    def fill(self, records):
        self.records = [Record(one["id"], dict(one), f"row {n}") for n, one in enumerate(records)]

    def source(self):
        return self

    async def read(self, after):
        for at in range((after or {}).get("at", 0), len(self.records), 16):
            page = self.records[at : at + 16]
            yield Page(page, {"at": at + len(page)}, behind=self.behind and self.behind(at))

    async def fingerprint(self):
        return None


@pytest.mark.parametrize(
    ("behind", "is_right"),
    [
        (None, True),
        (lambda at: lambda count: {"at": at + count}, True),
        (lambda at: lambda count: None if count % 2 else {"at": at + count}, True),
        (lambda at: lambda count: {"at": at + count + 1}, False),
        (lambda at: lambda count: {"at": count}, False),
        (lambda at: lambda count: at + count, False),
        (lambda at: {"at": at + 1}, False),
    ],
    ids=["no", "exact", "at times", "off by one", "from the page", "no cursor", "no function"],
)
async def test_a_source_whose_cursors_inside_a_page_are_wrong_is_found_out(behind, is_right):
    with nullcontext() if is_right else pytest.raises(AssertionError):
        await SourceContract().test_reading_goes_on_behind_any_item_of_a_page_that_has_cursors_inside(Shelf(behind))
