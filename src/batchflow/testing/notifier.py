"""The tests that every notifier must pass: subclass `NotifierContract`, say what receives, and run pytest.

    class TestBell(NotifierContract):
        @pytest.fixture
        def receiver(self, tmp_path):
            return BellFile(tmp_path / "rung")

A `Receiver` is whoever is told: a server, a channel, a file. One that can also be away or unwilling (`Moody`) is worth
having: what a notifier says then decides whether it is tried again.
"""

import copy
import math
from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias, get_args, runtime_checkable

import anyio
import msgspec
import pytest

from batchflow.model.errors import NotifyError, NotifyRefused
from batchflow.model.notification import Kind, Notification
from batchflow.ports.notifier import Notifier

Mood: TypeAlias = Literal["well", "busy", "unwilling", "away"]
"""It takes what it is told; it cannot now; it never will; nobody is there."""

ODD_REASONS = {
    "nothing": "",
    "lines": "two\nlines\r\nand a tab\t",
    "every kind of character": 'é 漢字 \U0001f680 \u2028 "quoted" \\ <b>&amp;</b> {{ x }} `code`',
    "ten thousand letters": "x" * 10_000,
}
"""Reasons that have broken messages before."""


class Receiver(Protocol):
    """Whoever is told."""

    def notifier(self) -> Notifier:
        """Makes a new notifier that tells it."""
        ...

    def heard(self) -> Sequence[str]:
        """Gives what arrived, in order, each as a text in which a person would read it."""
        ...


@runtime_checkable
class Moody(Protocol):
    """A receiver that can be away or unwilling. It is well until it is told otherwise."""

    def be(self, mood: Mood) -> None:
        """Behaves so from now on."""
        ...


def notification(kind: Kind = "finished", *, number: int = 1, reason: str = "") -> Notification:
    """Makes one thing to tell."""
    status = {"finished": "done", "paused": "paused", "failed": "failed", "dead": "running"}[kind]
    return Notification(
        id=f"run-1-{kind}-{number}",
        kind=kind,
        at=1_800_000_000.125,
        job="nightly-triage",
        run="0199f2d6a1b07c3e9d51c0f4a2e86b17",
        status=status,
        reason=reason or ("" if kind == "finished" else "the account has no credit left"),
        counts={"read": 200, "rows": 200, "delivered": 198, "dead": 2, "unbuildable": 0, "waiting": 0},
        money={"paid": 0.0412, "listed": 0.0824, "waste": 0.0},
        next="batchflow report 0199f2d6a1b07c3e",
    )


class NotifierContract:
    """The promises of `ports.notifier`. Give a `receiver`; say `identified = False` where no id reaches it."""

    identified = True

    @pytest.fixture
    def receiver(self) -> Receiver:
        """Who is told."""
        raise NotImplementedError("give a `receiver` fixture in the subclass")

    @pytest.fixture
    def unsaid(self) -> Sequence[str]:
        """Texts that no message may quote: keys, passwords, tokens."""
        return ()

    async def test_it_is_a_notifier_and_making_it_tells_nobody(self, receiver: Receiver) -> None:
        notifier = receiver.notifier()
        assert isinstance(notifier, Notifier)
        await notifier.close()
        assert list(receiver.heard()) == []

    async def test_one_thing_is_told_once(self, receiver: Receiver) -> None:
        await tell(receiver, notification())
        assert len(receiver.heard()) == 1

    @pytest.mark.parametrize("kind", get_args(Kind))
    async def test_whatever_it_is_the_job_is_named(self, receiver: Receiver, kind: Kind) -> None:
        await tell(receiver, notification(kind))
        [heard] = receiver.heard()
        assert "nightly-triage" in heard

    async def test_different_things_read_differently(self, receiver: Receiver) -> None:
        kinds: tuple[Kind, ...] = get_args(Kind)
        await tell(receiver, *map(notification, kinds))
        assert len(set(receiver.heard())) == len(kinds)

    async def test_things_are_told_in_order(self, receiver: Receiver) -> None:
        told = [notification("paused", number=number, reason=f"reason {number}.") for number in range(5)]
        await tell(receiver, *told)
        assert [f"reason {number}." in heard for number, heard in enumerate(receiver.heard())] == [True] * 5

    async def test_the_reason_of_a_pause_is_told(self, receiver: Receiver) -> None:
        await tell(receiver, notification("paused"))
        assert "no credit" in receiver.heard()[0]

    @pytest.mark.parametrize("reason", ODD_REASONS.values(), ids=ODD_REASONS)
    async def test_whatever_the_reason_says_it_is_told(self, receiver: Receiver, reason: str) -> None:
        await tell(receiver, msgspec.structs.replace(notification("paused"), reason=reason))
        assert len(receiver.heard()) == 1

    async def test_counts_and_sums_that_are_new_are_no_trouble(self, receiver: Receiver) -> None:
        later = msgspec.structs.replace(notification(), counts={"new": 1}, money={"new": 1e9}, next="", reason="")
        await tell(receiver, later)
        assert len(receiver.heard()) == 1

    async def test_the_same_thing_told_again_can_be_known_by_its_id(self, receiver: Receiver) -> None:
        if not self.identified:
            pytest.skip("no id reaches this receiver")
        await tell(receiver, notification())
        await tell(receiver, notification())
        await tell(receiver, notification(number=2))
        assert [notification().id in heard for heard in receiver.heard()] == [True, True, False]

    async def test_what_is_told_stays_as_it_was(self, receiver: Receiver) -> None:
        told = notification()
        before = copy.deepcopy(told)
        await tell(receiver, told)
        assert told == before

    async def test_it_can_be_closed_twice(self, receiver: Receiver) -> None:
        notifier = receiver.notifier()
        await notifier.notify(notification())
        await notifier.close()
        await notifier.close()
        assert len(receiver.heard()) == 1

    async def test_a_try_that_is_canceled_can_be_made_again(self, receiver: Receiver) -> None:
        notifier = receiver.notifier()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await notifier.notify(notification())
        before = len(receiver.heard())
        await notifier.notify(notification())
        await notifier.close()
        assert len(receiver.heard()) == before + 1

    async def test_a_canceled_task_can_close_it(self, receiver: Receiver) -> None:
        notifier = receiver.notifier()
        await notifier.notify(notification())
        with anyio.CancelScope() as scope:
            scope.cancel()
            await notifier.close()
        await notifier.close()

    @pytest.mark.parametrize("mood", ["busy", "away"])
    async def test_what_may_pass_is_worth_another_try(self, receiver: Receiver, mood: Mood) -> None:
        error = await failure(receiver, mood)
        assert not isinstance(error, NotifyRefused)

    async def test_what_will_not_pass_is_not(self, receiver: Receiver) -> None:
        assert isinstance(await failure(receiver, "unwilling"), NotifyRefused)

    @pytest.mark.parametrize("mood", ["busy", "unwilling", "away"])
    async def test_a_failure_says_what_happened(self, receiver: Receiver, mood: Mood) -> None:
        error = await failure(receiver, mood)
        assert str(error)
        assert math.isfinite(error.after)
        assert error.after >= 0

    @pytest.mark.parametrize("mood", ["busy", "unwilling", "away"])
    async def test_no_failure_quotes_a_secret(self, receiver: Receiver, unsaid: Sequence[str], mood: Mood) -> None:
        error = await failure(receiver, mood)
        assert [text for text in unsaid if text in f"{error} {error.hint}"] == []

    @pytest.mark.parametrize("mood", ["busy", "away"])
    async def test_another_try_arrives_when_the_trouble_is_over(self, receiver: Receiver, mood: Mood) -> None:
        moody = moods_of(receiver)
        notifier = receiver.notifier()
        moody.be(mood)
        with pytest.raises(NotifyError):
            await notifier.notify(notification())
        moody.be("well")
        await notifier.notify(notification())
        await notifier.close()
        assert len(receiver.heard()) == 1

    async def test_what_one_refused_thing_leaves_behind_does_not_stop_the_next(self, receiver: Receiver) -> None:
        moody = moods_of(receiver)
        notifier = receiver.notifier()
        moody.be("unwilling")
        with pytest.raises(NotifyRefused):
            await notifier.notify(notification())
        moody.be("well")
        await notifier.notify(notification(number=2))
        await notifier.close()
        assert len(receiver.heard()) == 1

    async def test_it_does_not_show_its_secrets(self, receiver: Receiver, unsaid: Sequence[str]) -> None:
        notifier = receiver.notifier()
        assert [text for text in unsaid if text in repr(notifier)] == []
        await notifier.close()


async def tell(receiver: Receiver, *told: Notification) -> None:
    """Tells things as one process does, and ends."""
    notifier = receiver.notifier()
    try:
        for one in told:
            await notifier.notify(one)
    finally:
        await notifier.close()


async def failure(receiver: Receiver, mood: Mood) -> NotifyError:
    """Tells somebody in such a mood, and gives what came of it."""
    moods_of(receiver).be(mood)
    with pytest.raises(NotifyError) as caught:
        await tell(receiver, notification())
    return caught.value


def moods_of(receiver: Receiver) -> Moody:
    """Gives a receiver that has moods."""
    if not isinstance(receiver, Moody):
        pytest.skip("this receiver is always there and takes everything")
    return receiver
