"""Verdicts: what becomes of each row that is not simply good. Rows that share a fate share one setback."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import msgspec

from batchflow.machine.bitmap import bitmap
from batchflow.model.result import Bad, Result
from batchflow.model.state import Batch, Decision, Setback
from batchflow.model.words import BILLED, Word
from batchflow.ports.check import Check
from batchflow.ports.retry import LONGEST, MOST_ATTEMPTS, Accept, Failure, GiveUp, Pause, Retry
from batchflow.stages.kit import Kit
from batchflow.stages.wall import blame, misgiven, wall

SAY = "say"
"""The part of a change that tells the model what was wrong with its last answer."""


@dataclass(slots=True)
class Group:
    """Rows of one fate."""

    attempt: int
    word: Word
    decision: Decision
    change: dict[str, Any]
    after: float
    key: str
    sample: str
    rows: list[int] = field(default_factory=list[int])


class Verdicts:
    """Collects the fates of a batch's rows."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self.groups: dict[tuple[object, ...], Group] = {}
        self.pause: tuple[Word, str] | None = None
        self.wasted = 0

    def take(self, results: Sequence[Result]) -> None:
        """Judge some rows."""
        for result in results:
            judged = examine(result, self._kit.parts.checks) if result.word is Word.OK else result
            if judged.word is not Word.OK:
                self._decide(judged)

    def _decide(self, result: Result) -> None:
        failure = Failure(
            word=result.word,
            message=result.error,
            key=result.key,
            carried=result.carried,
            attempt=result.attempt,
        )
        policy = self._kit.parts.retry
        doing = f"on record {result.key!r} ({result.word})"
        with wall(policy, doing):
            verdict = policy.decide(failure)
        match verdict:
            case Retry() if not _is_sound(verdict):
                wanted = f"a `Retry` whose `after` is 0 to {LONGEST:,} s and whose `change` is a map of JSON"
                raise misgiven(policy, doing, verdict, wanted)
            case Retry() if result.attempt >= MOST_ATTEMPTS:
                self._join(result, Decision.DEAD, {}, 0.0)
            case Retry(after=after, change=change):
                # The validator's words differ from row to row: they are found again when the rows are packed.
                shared: dict[str, Any] = {**change, SAY: []} if SAY in change else change
                self._join(result, Decision.AGAIN, shared, after)
                self.wasted += result.cost if result.word in BILLED else 0
            case GiveUp():
                self._join(result, Decision.DEAD, {}, 0.0)
            case Accept():
                self._join(result, Decision.KEEP, {}, 0.0)
            case Pause(why=why):
                self.pause = self.pause or (result.word, why)
                self._join(result, Decision.AGAIN, {"same_attempt": True}, 0.0)
            case _:  # pyright: ignore[reportUnnecessaryComparison] - a plugin's, whatever its type says
                raise misgiven(policy, doing, verdict, "a `Retry`, `GiveUp`, `Accept` or `Pause`")

    def _join(self, result: Result, decision: Decision, change: dict[str, Any], after: float) -> None:
        key = (result.attempt, result.word, decision, after, msgspec.json.encode(change, order="sorted"))
        group = self.groups.get(key)
        if group is None:
            group = Group(result.attempt, result.word, decision, change, after, result.key, result.error)
            self.groups[key] = group
        group.rows.append(result.row)

    def count(self, decision: Decision, *, canceled: bool = False) -> int:
        """Count the rows of a fate; canceled rows are booked apart from dead ones."""
        return sum(
            len(group.rows)
            for group in self.groups.values()
            if group.decision is decision and (group.word is Word.CANCELED) is canceled
        )

    def waits(self) -> list[float]:
        """Say for each row that is asked again how long it waits first."""
        return [group.after for group in self.groups.values() if group.decision is Decision.AGAIN for _ in group.rows]

    def setbacks(self, batch: Batch) -> list[Setback]:
        """Write the fates down."""
        now = self._kit.now()
        return [
            Setback(
                id=f"{batch.id}/{group.attempt}/{group.word}/{number}",
                run=batch.run,
                batch=batch.id,
                attempt=group.attempt,
                word=group.word,
                decision=group.decision,
                count=len(group.rows),
                rows=bitmap(group.rows, batch.count),
                change=group.change,
                wake_at=now + group.after if group.decision is Decision.AGAIN else None,
                key=group.key,
                sample=group.sample[:500],
            )
            for number, group in enumerate(self.groups.values())
        ]


def _is_sound(verdict: Retry) -> bool:
    """Tell whether a wait can be waited and a change can be stored: a plugin's, whatever its type says."""
    after: Any = verdict.after
    change: Any = verdict.change
    try:
        msgspec.json.encode(change)
    except (TypeError, ValueError, msgspec.MsgspecError):
        return False
    return isinstance(after, int | float) and 0 <= after <= LONGEST and isinstance(change, dict)


def examine(result: Result, checks: Sequence[Check]) -> Result:
    """Pass a good row through the job's checks; the first that says no gives it its word."""
    for check in checks:
        identity = _identity(result)
        try:
            verdict = check.check(result)
        except Exception as error:
            raise blame(check, f"on record {result.key!r}", error) from error
        if isinstance(verdict, Bad):
            return msgspec.structs.replace(result, word=verdict.word, error="\n".join(verdict.reasons))
        if not isinstance(verdict, Result):  # pyright: ignore[reportUnnecessaryIsInstance] - a plugin's, whatever its type says
            raise misgiven(check, f"on record {identity[0]!r}", verdict, "the `Result`, or a `Bad` that says why not")
        if (found := _identity(verdict)) != identity or not isinstance(verdict.text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            wanted = f"the same row ({identity}): it may replace `word`, `text` and `output`, a text by a text"
            raise misgiven(check, f"on record {identity[0]!r}", (*found, verdict.text), wanted)
        if not isinstance(verdict.word, Word):  # pyright: ignore[reportUnnecessaryIsInstance] - a plugin's, whatever its type says
            raise misgiven(check, f"as the word of record {identity[0]!r}", verdict.word, "a `Word` (`Word.REJECTED`)")
        result = verdict
    return result


_identity = attrgetter("key", "attempt", "batch", "row", "origin", "cost", "list_cost")
"""What a row is, and what it cost: not for a check to say."""
