"""Exit codes are part of the interface."""

import inspect

import pytest

from batchflow.cli.exits import Exit, exit_of
from batchflow.model import errors
from batchflow.model.words import Word


def refused(word):
    return errors.Refused("no", word=word)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigError("x"), 3),
        (errors.ConfigError("x", credentials=True), 6),
        (errors.UnknownComponent("x"), 3),
        (errors.SourceError("x"), 3),
        (errors.PluginError("x"), 8),
        (errors.RunRefused("x"), 2),
        (errors.UserError("x"), 2),
        (refused(Word.UNAUTHORIZED), 6),
        (refused(Word.NO_CREDIT), 5),
        (refused(Word.ARCHIVED), 5),
        (refused(Word.INVALID), 3),
        (refused(Word.UNKNOWN_MODEL), 3),
        (refused(Word.TOO_LARGE), 3),
        (refused(Word.OVERLOADED), 7),
        (refused(Word.RATE_LIMITED), 7),
        (errors.Unreachable("x"), 7),
        (errors.BadReply("x"), 7),
        (errors.ReplyLost("x"), 10),
        (errors.OverCap("x"), 5),
        (errors.Locked("x"), 9),
        (errors.SchemaTooNew("x"), 9),
        (errors.StoreUnavailable("x"), 9),
        (errors.ObjectDamaged("x"), 9),
        (errors.SinkError("x"), 10),
        (errors.Bug("x"), 1),
        (errors.IllegalTransition("x"), 1),
        (errors.BatchflowError("x"), 1),
    ],
)
def test_every_error_has_its_exit_code(error, code):
    assert exit_of(error) == code


def test_no_class_of_the_tree_is_forgotten():
    classes = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, errors.BatchflowError)]
    [cases] = [mark.args[1] for mark in test_every_error_has_its_exit_code.pytestmark]
    told = {type(error) for error, _ in cases}
    assert {one.__name__ for one in classes} - {one.__name__ for one in told} <= {
        "ProviderError",
        "StoreError",
        "Stale",
    }


def test_every_code_has_a_sentence_and_is_a_plain_number():
    assert [int(code) for code in Exit] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 130]
    assert all(code.sentence.endswith(".") or ":" in code.sentence for code in Exit)
